#include "tests/fakes/memory_disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ds::fakes {

using ports::IoError;
using ports::IoStatus;

namespace {

class MemoryFile final : public ports::File {
 public:
  explicit MemoryFile(std::shared_ptr<MemoryDisk::Node> node) : node_(std::move(node)) {}

  IoStatus write_at(uint64_t position, std::span<const std::string_view> parts) override {
    const std::lock_guard lock(node_->mutex);
    for (const std::string_view part : parts) {
      if (node_->content.size() < position + part.size()) {
        node_->content.resize(position + part.size());
      }
      node_->content.replace(position, part.size(), part);
      position += part.size();
    }
    return {};
  }
  IoStatus sync() override { return {}; }
  Result<uint64_t, IoError> read_at(uint64_t position, char* to, uint64_t size) const override {
    const std::lock_guard lock(node_->mutex);
    if (position >= node_->content.size()) return uint64_t{0};
    const uint64_t take = std::min<uint64_t>(size, node_->content.size() - position);
    std::memcpy(to, node_->content.data() + position, take);
    return take;
  }
  Result<uint64_t, IoError> read_uncached(uint64_t position, char* to,
                                          uint64_t size) const override {
    return read_at(position, to, size);
  }
  Result<uint64_t, IoError> size() const override {
    const std::lock_guard lock(node_->mutex);
    return uint64_t{node_->content.size()};
  }
  IoStatus truncate(uint64_t size) override {
    const std::lock_guard lock(node_->mutex);
    node_->content.resize(size);
    return {};
  }
  Result<bool, IoError> reserve(uint64_t) override { return false; }

 private:
  std::shared_ptr<MemoryDisk::Node> node_;
};

}  // namespace

class MemoryDirectory final : public ports::Directory {
 public:
  MemoryDirectory(MemoryDisk& disk, std::string path)
      : disk_(disk), prefix_(std::move(path) + "/") {}
  ~MemoryDirectory() override {
    const std::lock_guard lock(disk_.mutex_);
    std::erase_if(disk_.locks_, [this](const auto& entry) { return entry.second == this; });
  }

  Result<std::unique_ptr<ports::File>, IoError> open(const std::string& name, Open how) override {
    const std::lock_guard lock(disk_.mutex_);
    const auto found = disk_.files_.find(prefix_ + name);
    if (how == Open::kExisting && found == disk_.files_.end()) return IoError::kNotFound;
    if (how == Open::kCreateNew && found != disk_.files_.end()) return IoError::kExists;
    auto node = how == Open::kExisting ? found->second : std::make_shared<MemoryDisk::Node>();
    disk_.files_[prefix_ + name] = node;
    return std::unique_ptr<ports::File>(std::make_unique<MemoryFile>(std::move(node)));
  }
  Result<std::vector<std::string>, IoError> list() override {
    const std::lock_guard lock(disk_.mutex_);
    std::vector<std::string> names;
    for (const auto& [path, node] : disk_.files_) {
      if (!path.starts_with(prefix_)) continue;
      const std::string name = path.substr(prefix_.size());
      if (name.find('/') == std::string::npos) names.push_back(name);
    }
    return names;
  }
  IoStatus rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(disk_.mutex_);
    const auto found = disk_.files_.find(prefix_ + from);
    if (found == disk_.files_.end()) return IoError::kNotFound;
    auto node = found->second;
    disk_.files_.erase(found);
    disk_.files_[prefix_ + to] = std::move(node);
    return {};
  }
  IoStatus remove(const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    return disk_.files_.erase(prefix_ + name) != 0 ? IoStatus() : IoStatus(IoError::kNotFound);
  }
  IoStatus sync() override { return {}; }
  IoStatus lock(const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    const auto [entry, inserted] = disk_.locks_.try_emplace(prefix_ + name, this);
    return entry->second == this ? IoStatus() : IoStatus(IoError::kLocked);
  }
  Result<std::unique_ptr<ports::Directory>, IoError> subdirectory(
      const std::string& name) override {
    return disk_.directory(prefix_ + name);
  }

 private:
  MemoryDisk& disk_;
  const std::string prefix_;
};

std::unique_ptr<ports::Directory> MemoryDisk::directory(const std::string& path) {
  return std::make_unique<MemoryDirectory>(*this, path);
}

}  // namespace ds::fakes
