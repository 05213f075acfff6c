#include "core/engine/body_cache.h"

#include <iterator>
#include <string_view>
#include <utility>

namespace ds::engine {

namespace {
// Of an entry beside its body: its places in the list and the map, and what the allocator adds.
constexpr uint64_t kEntryBytes = 208;
}  // namespace

size_t BodyCache::PlaceHash::operator()(const Place& place) const {
  const uint64_t words[] = {place.stream.value, place.begin.value};
  const std::string_view bytes(reinterpret_cast<const char*>(words), sizeof words);
  return static_cast<size_t>(siphash13(bytes, key));
}

uint64_t BodyCache::memory_of(const SharedBytes& body) { return kEntryBytes + body->capacity(); }

SharedBytes BodyCache::find(const Place& place, Position end) {
  const auto found = by_place_.find(place);
  if (found == by_place_.end() || found->second->end != end) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->body;
}

void BodyCache::put(const Place& place, Position end, SharedBytes body, uint64_t budget_bytes) {
  if (const auto found = by_place_.find(place); found != by_place_.end()) drop(found->second);
  const uint64_t added = memory_of(body);
  if (added > budget_bytes) return shrink(budget_bytes);
  shrink(budget_bytes - added);
  entries_.push_front({place, end, std::move(body)});
  by_place_.emplace(place, entries_.begin());
  bytes_ += added;
}

void BodyCache::shrink(uint64_t budget_bytes) {
  while (bytes_ > budget_bytes) drop(std::prev(entries_.end()));
}

void BodyCache::drop(std::list<Entry>::iterator entry) {
  bytes_ -= memory_of(entry->body);
  by_place_.erase(entry->place);
  entries_.erase(entry);
}

void BodyCache::clear() {
  by_place_.clear();
  entries_.clear();
  bytes_ = 0;
}

}  // namespace ds::engine
