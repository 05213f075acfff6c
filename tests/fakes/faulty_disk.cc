#include "tests/fakes/faulty_disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ds::fakes {

using ports::IoError;
using ports::IoStatus;

namespace {

constexpr uint64_t kSector = FaultyDisk::kSectorBytes;

// The sector's bytes, filled up with zeros behind the end of the file.
std::string sector_of(const std::string& content, uint64_t sector) {
  const uint64_t begin = sector * kSector;
  std::string bytes = begin < content.size() ? content.substr(begin, kSector) : std::string();
  bytes.resize(kSector);
  return bytes;
}

void put_sector(std::string& content, uint64_t sector, const std::string& bytes) {
  const uint64_t begin = sector * kSector;
  if (content.size() < begin + kSector) content.resize(begin + kSector);
  content.replace(begin, kSector, bytes);
}

uint64_t copy_out(const std::string& content, uint64_t position, char* to, uint64_t size) {
  if (position >= content.size()) return 0;
  const uint64_t take = std::min<uint64_t>(size, content.size() - position);
  std::memcpy(to, content.data() + position, take);
  return take;
}

}  // namespace

class FaultyFile final : public ports::File {
 public:
  FaultyFile(FaultyDisk& disk, FaultyDisk::InodePtr inode, uint64_t life)
      : disk_(disk), inode_(std::move(inode)), life_(life) {}

  IoStatus write_at(uint64_t position, std::span<const std::string_view> parts) override {
    const std::lock_guard lock(disk_.mutex_);
    const auto failure = disk_.begin_call(life_);
    std::string bytes;
    for (const std::string_view part : parts) bytes.append(part);
    if (!failure) return disk_.write(*inode_, position, bytes);
    if (life_ == disk_.life_ && !disk_.one_in(3)) {
      uint64_t part = disk_.one_in(2) ? bytes.size() : disk_.random_() % (bytes.size() + 1);
      if (*failure == IoError::kNoSpace && part == bytes.size() && part > 0) --part;
      (void)disk_.write(*inode_, position, std::string_view(bytes).substr(0, part));
    }
    return *failure;
  }
  IoStatus sync() override {
    const std::lock_guard lock(disk_.mutex_);
    const auto failure = disk_.begin_call(life_);
    if (life_ != disk_.life_) return IoError::kFailed;
    return disk_.sync(*inode_, failure);
  }
  // Fails as a sync does, and takes the error away from the next one; makes nothing durable.
  IoStatus write_behind(uint64_t, uint64_t) override {
    const std::lock_guard lock(disk_.mutex_);
    const auto failure = disk_.begin_call(life_);
    if (life_ != disk_.life_ || std::exchange(disk_.write_behind_fails_, false)) {
      return IoError::kFailed;
    }
    return failure ? disk_.sync(*inode_, failure) : IoStatus();
  }
  Result<uint64_t, IoError> read_at(uint64_t position, char* to, uint64_t size) const override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    return copy_out(inode_->cached, position, to, size);
  }
  Result<uint64_t, IoError> read_uncached(uint64_t position, char* to,
                                          uint64_t size) const override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    // What is still dirty is written before; what is clean is read as it is.
    std::string medium = inode_->durable;
    for (const auto& [sector, versions] : inode_->dirty)
      put_sector(medium, sector, versions.back());
    medium.resize(inode_->cached.size());
    return copy_out(medium, position, to, size);
  }
  Result<uint64_t, IoError> size() const override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    return uint64_t{inode_->cached.size()};
  }
  IoStatus truncate(uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    disk_.truncate(*inode_, size);
    return {};
  }
  Result<bool, IoError> reserve(uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    if (!disk_.can_reserve_) return false;
    const uint64_t has = std::max<uint64_t>(inode_->reserved, inode_->cached.size());
    if (size > has && disk_.space_ && disk_.space_used() + size - has > *disk_.space_) {
      return IoError::kNoSpace;
    }
    inode_->reserved = std::max(inode_->reserved, size);
    return true;
  }

 private:
  FaultyDisk& disk_;
  const FaultyDisk::InodePtr inode_;
  const uint64_t life_;
};

class FaultyDirectory final : public ports::Directory {
 public:
  FaultyDirectory(FaultyDisk& disk, std::string prefix, uint64_t life)
      : disk_(disk), prefix_(std::move(prefix)), life_(life) {}
  ~FaultyDirectory() override {
    const std::lock_guard lock(disk_.mutex_);
    std::erase_if(disk_.locks_, [this](const auto& entry) { return entry.second == this; });
  }

  Result<std::unique_ptr<ports::File>, IoError> open(const std::string& name, Open how) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    const std::string path = prefix_ + name;
    const auto found = disk_.names_.find(path);
    const bool exists = found != disk_.names_.end();
    if (how == Open::kExisting && !exists) return IoError::kNotFound;
    if (how == Open::kCreateNew && exists) return IoError::kExists;
    FaultyDisk::InodePtr inode;
    if (exists) {
      inode = found->second;
    } else {
      inode = std::make_shared<FaultyDisk::Inode>();
      disk_.change_names([path, inode](FaultyDisk::Names& names) { names[path] = inode; });
    }
    return std::unique_ptr<ports::File>(std::make_unique<FaultyFile>(disk_, inode, life_));
  }
  Result<std::vector<std::string>, IoError> list() override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    std::vector<std::string> names;
    for (const auto& [path, inode] : disk_.names_) {
      if (!path.starts_with(prefix_)) continue;
      const std::string name = path.substr(prefix_.size());
      if (name.find('/') == std::string::npos) names.push_back(name);
    }
    return names;
  }
  IoStatus rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    const std::string old_path = prefix_ + from;
    const std::string new_path = prefix_ + to;
    const auto found = disk_.names_.find(old_path);
    if (found == disk_.names_.end()) return IoError::kNotFound;
    disk_.change_names([old_path, new_path, inode = found->second](FaultyDisk::Names& names) {
      names.erase(old_path);
      names[new_path] = inode;
    });
    return {};
  }
  IoStatus remove(const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    const std::string path = prefix_ + name;
    if (!disk_.names_.contains(path)) return IoError::kNotFound;
    disk_.change_names([path](FaultyDisk::Names& names) { names.erase(path); });
    return {};
  }
  IoStatus sync() override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    disk_.durable_names_ = disk_.names_;
    disk_.unsynced_changes_.clear();
    return {};
  }
  IoStatus lock(const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    const auto [entry, inserted] = disk_.locks_.try_emplace(prefix_ + name, this);
    return entry->second == this ? IoStatus() : IoStatus(IoError::kLocked);
  }
  Result<std::unique_ptr<ports::Directory>, IoError> subdirectory(
      const std::string& name) override {
    const std::lock_guard lock(disk_.mutex_);
    if (const auto failure = disk_.begin_call(life_)) return *failure;
    return std::unique_ptr<ports::Directory>(
        std::make_unique<FaultyDirectory>(disk_, prefix_ + name + "/", life_));
  }

 private:
  FaultyDisk& disk_;
  const std::string prefix_;
  const uint64_t life_;
};

std::unique_ptr<ports::Directory> FaultyDisk::root() {
  const std::lock_guard lock(mutex_);
  return std::make_unique<FaultyDirectory>(*this, "", life_);
}

void FaultyDisk::crash(Crash how) {
  const std::lock_guard lock(mutex_);
  ++life_;
  fail_at_.reset();
  sync_fault_.reset();
  locks_.clear();
  if (how == Crash::kKeep) return;
  if (how == Crash::kTear) {
    const size_t kept = random_() % (unsynced_changes_.size() + 1);
    for (size_t i = 0; i < kept; ++i) unsynced_changes_[i](durable_names_);
  }
  unsynced_changes_.clear();
  names_ = durable_names_;
  for (auto& [path, inode] : names_) {
    if (how == Crash::kTear) {
      const bool grown = one_in(2);
      const uint64_t size = grown ? inode->cached.size() : inode->durable.size();
      if (grown) apply_cut(*inode);
      apply_some_sectors(*inode, true);
      inode->durable.resize(size);
    }
    inode->cached = inode->durable;
    inode->dirty.clear();
    inode->cut = UINT64_MAX;
    inode->reserved = 0;
  }
}

uint64_t FaultyDisk::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void FaultyDisk::fail_call(uint64_t number, IoError error) {
  const std::lock_guard lock(mutex_);
  fail_at_ = number;
  fail_on_ = false;
  fail_with_ = error;
}

void FaultyDisk::fail_from(uint64_t number, IoError error) {
  fail_call(number, error);
  const std::lock_guard lock(mutex_);
  fail_on_ = true;
}

void FaultyDisk::fail_next_write_behind() {
  const std::lock_guard lock(mutex_);
  write_behind_fails_ = true;
}

void FaultyDisk::heal() {
  const std::lock_guard lock(mutex_);
  write_behind_fails_ = false;
  fail_at_.reset();
  sync_fault_.reset();
}

void FaultyDisk::fail_next_sync(SyncFault fault) {
  const std::lock_guard lock(mutex_);
  sync_fault_ = fault;
}

void FaultyDisk::set_space(std::optional<uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  space_ = bytes;
}

void FaultyDisk::set_can_reserve(bool can) {
  const std::lock_guard lock(mutex_);
  can_reserve_ = can;
}

uint64_t FaultyDisk::used_space() const {
  const std::lock_guard lock(mutex_);
  return space_used();
}

uint64_t FaultyDisk::free_space() const {
  const std::lock_guard lock(mutex_);
  if (!space_) return UINT64_MAX;
  return *space_ - std::min(*space_, space_used());
}

std::vector<std::string> FaultyDisk::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) names.push_back(path);
  return names;
}

std::string FaultyDisk::contents(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  return found != names_.end() ? found->second->cached : std::string();
}

void FaultyDisk::set_contents(const std::string& path, std::string bytes) {
  const std::lock_guard lock(mutex_);
  InodePtr& inode = names_[path];
  if (inode == nullptr) inode = std::make_shared<Inode>();
  durable_names_[path] = inode;
  inode->dirty.clear();
  inode->durable = bytes;
  inode->cached = std::move(bytes);
}

void FaultyDisk::flip_bit(const std::string& path, uint64_t byte, int bit) {
  const std::lock_guard lock(mutex_);
  const auto flip = [bit](std::string& bytes, uint64_t at) {
    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
  };
  Inode& inode = *names_.at(path);
  if (byte < inode.cached.size()) flip(inode.cached, byte);
  if (byte < inode.durable.size()) flip(inode.durable, byte);
  const auto dirty = inode.dirty.find(byte / kSector);
  if (dirty == inode.dirty.end()) return;
  for (std::string& version : dirty->second) flip(version, byte % kSector);
}

// Counts a call; the error that it has to fail with, if any.
std::optional<IoError> FaultyDisk::begin_call(uint64_t life) {
  if (life != life_) return IoError::kFailed;
  const uint64_t number = calls_++;
  if (!fail_at_) return std::nullopt;
  const bool fails = fail_on_ ? number >= *fail_at_ : number == *fail_at_;
  return fails ? std::optional<IoError>(fail_with_) : std::nullopt;
}

uint64_t FaultyDisk::space_used() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) {
    used += std::max<uint64_t>(inode->reserved, inode->cached.size());
  }
  return used;
}

IoStatus FaultyDisk::write(Inode& inode, uint64_t position, std::string_view bytes) {
  if (bytes.empty()) return {};
  const uint64_t end = position + bytes.size();
  const uint64_t has = std::max<uint64_t>(inode.reserved, inode.cached.size());
  if (end > has && space_ && space_used() + end - has > *space_) return IoError::kNoSpace;
  if (inode.cached.size() < end) inode.cached.resize(end);
  inode.cached.replace(position, bytes.size(), bytes);
  for (uint64_t sector = position / kSector; sector <= (end - 1) / kSector; ++sector) {
    inode.dirty[sector].push_back(sector_of(inode.cached, sector));
  }
  return {};
}

// What is cut off never comes back, however the file grows again.
void FaultyDisk::truncate(Inode& inode, uint64_t size) {
  const bool shorter = size < inode.cached.size();
  inode.cached.resize(size);
  if (!shorter) return;
  inode.cut = std::min(inode.cut, size);
  inode.dirty.erase(inode.dirty.lower_bound((size + kSector - 1) / kSector), inode.dirty.end());
  if (size % kSector > 0) {
    inode.dirty[size / kSector].push_back(sector_of(inode.cached, size / kSector));
  }
}

void FaultyDisk::apply_cut(Inode& inode) {
  if (inode.durable.size() > inode.cut) inode.durable.resize(inode.cut);
  inode.cut = UINT64_MAX;
}

IoStatus FaultyDisk::sync(Inode& inode, std::optional<IoError> failure) {
  std::optional<SyncFault> fault = std::exchange(sync_fault_, std::nullopt);
  if (failure && !fault) fault = static_cast<SyncFault>(random_() % 3);
  if (!fault) {
    apply_cut(inode);
    for (const auto& [sector, versions] : inode.dirty) {
      put_sector(inode.durable, sector, versions.back());
    }
    inode.durable.resize(inode.cached.size());
    inode.dirty.clear();
    return {};
  }
  if (*fault != SyncFault::kKeepsDirty) {
    apply_cut(inode);
    apply_some_sectors(inode, false);
    inode.durable.resize(inode.cached.size());
    if (*fault == SyncFault::kDropsCached) inode.cached = inode.durable;
    inode.dirty.clear();
  }
  return failure.value_or(IoError::kFailed);
}

// Lets about half of the dirty sectors reach the medium, in one of their versions.
void FaultyDisk::apply_some_sectors(Inode& inode, bool any_version) {
  for (const auto& [sector, versions] : inode.dirty) {
    if (one_in(2)) continue;
    const size_t version = any_version ? random_() % versions.size() : versions.size() - 1;
    put_sector(inode.durable, sector, versions[version]);
  }
}

void FaultyDisk::change_names(const std::function<void(Names&)>& change) {
  change(names_);
  unsynced_changes_.push_back(change);
}

}  // namespace ds::fakes
