#include "core/engine/body_cache.h"

#include <string_view>
#include <utility>

#include "core/base/assert.h"

namespace ds::engine {

namespace {
// Of an entry beside its body: its places in the list and the map, and what the allocator adds.
constexpr uint64_t kEntryBytes = 208;
}  // namespace

size_t BodyCache::RangeHash::operator()(const Range& range) const {
  const uint64_t words[] = {range.stream.value, range.begin.value, range.end.value};
  const std::string_view bytes(reinterpret_cast<const char*>(words), sizeof words);
  return static_cast<size_t>(siphash13(bytes, key));
}

uint64_t BodyCache::memory_of(const SharedBytes& body) { return kEntryBytes + body->capacity(); }

SharedBytes BodyCache::find(const Range& range) {
  const auto found = by_range_.find(range);
  if (found == by_range_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->body;
}

void BodyCache::put(const Range& range, SharedBytes body, uint64_t budget_bytes) {
  const uint64_t added = memory_of(body);
  if (added > budget_bytes / 2) return;
  while (!entries_.empty() && bytes_ + added > budget_bytes) drop_oldest();
  entries_.push_front({range, std::move(body)});
  const bool is_new = by_range_.emplace(range, entries_.begin()).second;
  DS_ASSERT(is_new);
  bytes_ += added;
}

void BodyCache::drop_oldest() {
  bytes_ -= memory_of(entries_.back().body);
  by_range_.erase(entries_.back().range);
  entries_.pop_back();
}

void BodyCache::clear() {
  by_range_.clear();
  entries_.clear();
  bytes_ = 0;
}

}  // namespace ds::engine
