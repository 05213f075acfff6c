#include "store/generation_files.h"

#include <algorithm>
#include <string>
#include <utility>

#include "store/log_format.h"

namespace ds::store {

using ports::IoError;
using ports::IoStatus;

namespace {

constexpr uint64_t kFillStepBytes = 256 << 10;
constexpr uint64_t kFillSyncBytes = 512 << 10;  // syncs of the log wait as long as this takes

// Gives the file its name for good, or removes it.
IoStatus name_generation_file(ports::Directory& directory, uint32_t generation) {
  const IoStatus renamed = directory.rename(kUnfinishedName, generation_name(generation));
  if (renamed.ok()) return directory.sync();
  // Gives the space back. If this fails too, the next attempt or the next start does it.
  (void)directory.remove(kUnfinishedName);
  return renamed;
}

IoStatus make_zero_file(ports::File& file, uint64_t bytes, const Enough& enough) {
  const auto reserved = file.reserve(bytes);
  if (!reserved.ok()) return reserved.error();
  // Where nothing can be reserved, writing it is what takes the space.
  return fill_with_zeros(file, 0, bytes, *reserved ? enough : nullptr);
}

}  // namespace

IoStatus fill_with_zeros(ports::File& file, uint64_t from, uint64_t to, const Enough& enough) {
  const std::string zeros(std::min(kFillStepBytes, to - from), '\0');
  uint64_t unsynced = 0;
  for (uint64_t at = from; at < to;) {
    // The last step says how long the file is.
    if (enough && enough(at - from)) at = std::max(at, to - zeros.size());
    const std::string_view step(zeros.data(), std::min<uint64_t>(zeros.size(), to - at));
    const IoStatus written = file.write_at(at, {&step, 1});
    if (!written.ok()) return written;
    at += step.size();
    unsynced += step.size();
    if (unsynced >= kFillSyncBytes || at == to) {
      const IoStatus synced = file.sync();
      if (!synced.ok()) return synced;
      unsynced = 0;
    }
  }
  return {};
}

Result<std::unique_ptr<ports::File>, IoError> create_generation_file(ports::Directory& directory,
                                                                     uint32_t generation,
                                                                     uint64_t bytes,
                                                                     const Enough& enough) {
  auto opened = directory.open(kUnfinishedName, ports::Directory::Open::kCreateNew);
  if (!opened.ok() && opened.error() == IoError::kExists) {
    // Left behind by an attempt that failed.
    const IoStatus removed = directory.remove(kUnfinishedName);
    if (!removed.ok()) return removed.error();
    opened = directory.open(kUnfinishedName, ports::Directory::Open::kCreateNew);
  }
  if (!opened.ok()) return opened.error();
  std::unique_ptr<ports::File> file = std::move(opened).value();

  IoStatus status = make_zero_file(*file, bytes, enough);
  if (!status.ok()) {
    file.reset();
    (void)directory.remove(kUnfinishedName);
    return status.error();
  }
  status = name_generation_file(directory, generation);
  if (!status.ok()) return status.error();
  return file;
}

IoStatus reuse_generation_file(ports::Directory& directory, ports::File& file,
                               uint32_t generation) {
  static constexpr char kZeros[kGenerationHeaderBytes] = {};
  const std::string_view parts[] = {{kZeros, sizeof kZeros}, kSpareMark};
  IoStatus status = file.write_at(0, parts);
  if (status.ok()) status = file.sync();
  (void)file.take(ports::File::Hold::kFree);
  if (!status.ok()) {
    (void)directory.remove(kUnfinishedName);
    return status;
  }
  return name_generation_file(directory, generation);
}

Result<std::shared_ptr<ports::File>, IoError> GenerationFiles::get(uint32_t generation) {
  {
    const std::lock_guard lock(mutex_);
    if (generation <= given_up_through_) return IoError::kNotFound;
    const auto found = entries_.find(generation);
    if (found != entries_.end()) {
      found->second.last_use = ++uses_;
      return found->second.file;
    }
  }
  auto opened = directory_.open(generation_name(generation), ports::Directory::Open::kExisting);
  if (!opened.ok()) return opened.error();
  std::shared_ptr<ports::File> file = std::move(opened).value();
  // Held while it is open here, so that it is not reused. If it is being, it has been given up.
  if (!file->take(ports::File::Hold::kShared)) return IoError::kNotFound;

  const std::lock_guard lock(mutex_);
  if (generation <= given_up_through_) return IoError::kNotFound;
  // Another thread may have been faster: its file, or the one that the committer has put, counts.
  Entry& entry = entries_[generation];
  if (entry.file == nullptr) entry.file = file;
  entry.last_use = ++uses_;
  file = entry.file;
  if (entries_.size() > kOpenFilesMax) {
    entries_.erase(std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; }));
  }
  return file;
}

std::shared_ptr<ports::File> GenerationFiles::give_up_through(uint32_t generation) {
  const std::lock_guard lock(mutex_);
  given_up_through_ = std::max(given_up_through_, generation);
  const auto last = entries_.find(generation);
  std::shared_ptr<ports::File> file;
  if (last != entries_.end()) file = std::move(last->second.file);
  entries_.erase(entries_.begin(), entries_.upper_bound(generation));
  return file;
}

bool GenerationFiles::given_up(uint32_t generation) {
  const std::lock_guard lock(mutex_);
  return generation <= given_up_through_;
}

void GenerationFiles::put(uint32_t generation, std::shared_ptr<ports::File> file) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[generation];
  entry.file = std::move(file);
  entry.last_use = ++uses_;
}

}  // namespace ds::store
