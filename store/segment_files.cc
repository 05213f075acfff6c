#include <algorithm>

#include "store/sealed_reader.h"

namespace ds::store {

using ports::IoError;

namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr size_t kDigits = 16;
constexpr std::string_view kHex = "0123456789abcdef";

template <typename Map>
auto oldest(Map& entries) {
  return std::min_element(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.second.last_use < b.second.last_use;
  });
}

}  // namespace

std::string segment_name(uint64_t id) {
  std::string name(kDigits, '0');
  for (size_t i = kDigits; i-- > 0; id >>= 4) name[i] = kHex[id & 15];
  return name.append(kSuffix);
}

std::optional<uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t id = 0;
  for (const char c : name.substr(0, kDigits)) {
    const size_t digit = kHex.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    id = id << 4 | digit;
  }
  if (id == 0) return std::nullopt;
  return id;
}

Result<std::shared_ptr<ports::File>, IoError> SegmentFiles::get(uint64_t id) {
  uint64_t forgotten = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found != entries_.end()) {
      found->second.last_use = ++uses_;
      return found->second.file;
    }
    forgotten = forgotten_;
  }
  auto opened = directory_.open(segment_name(id), ports::Directory::Open::kExisting);
  if (!opened.ok()) return opened.error();
  std::shared_ptr<ports::File> file = std::move(opened).value();

  const std::lock_guard lock(mutex_);
  // Perhaps it has just been removed: kept open, it would take its space for long.
  if (forgotten != forgotten_) return file;
  Entry& entry = entries_[id];
  if (entry.file == nullptr) entry.file = file;
  entry.last_use = ++uses_;
  file = entry.file;
  if (entries_.size() > kOpenFilesMax) entries_.erase(oldest(entries_));
  return file;
}

void SegmentFiles::forget(uint64_t id) {
  const std::lock_guard lock(mutex_);
  ++forgotten_;
  entries_.erase(id);
  const auto first = heads_.lower_bound({id, 0});
  const auto last = heads_.upper_bound({id, UINT64_MAX});
  for (auto kept = first; kept != last; ++kept) head_blocks_ -= kept->second.head->blocks.size();
  heads_.erase(first, last);
}

SegmentFiles::HeadPtr SegmentFiles::head(uint64_t id, uint64_t head_offset) {
  const std::lock_guard lock(mutex_);
  const auto found = heads_.find({id, head_offset});
  if (found == heads_.end()) return nullptr;
  found->second.last_use = ++uses_;
  return found->second.head;
}

void SegmentFiles::keep_head(uint64_t id, uint64_t head_offset, HeadPtr head) {
  const size_t blocks = head->blocks.size();
  if (blocks < kHeadBlocksMin) return;
  const std::lock_guard lock(mutex_);
  const auto [entry, added] = heads_.try_emplace({id, head_offset});
  entry->second.last_use = ++uses_;
  if (!added) return;
  entry->second.head = std::move(head);
  head_blocks_ += blocks;
  while (heads_.size() > 1 && (head_blocks_ > kHeadBlocksMax || heads_.size() > kHeadsMax)) {
    const auto dropped = oldest(heads_);
    head_blocks_ -= dropped->second.head->blocks.size();
    heads_.erase(dropped);
  }
}

}  // namespace ds::store
