#include "core/engine/path_table.h"

#include <utility>

#include "core/base/assert.h"

namespace ds::engine {

namespace {
constexpr size_t kCapacityMin = 16;
constexpr size_t kCacheLine = 64;

// Whoever looks a stream up wants most of it, one line after the other: all are on their way while
// the first is waited for.
void prefetch(const StreamEntry* stream) {
  const char* const at = reinterpret_cast<const char*>(stream);
  for (size_t line = 0; line < sizeof(StreamEntry); line += kCacheLine) {
    __builtin_prefetch(at + line);
  }
}
}  // namespace

size_t PathTable::seek(std::string_view path, uint64_t hash) const {
  size_t at = home(hash);
  for (; slots_[at].stream != nullptr; at = next(at)) {
    if (slots_[at].hash != hash) continue;
    prefetch(slots_[at].stream);
    if (slots_[at].stream->state.path == path) break;
  }
  return at;
}

StreamEntry* PathTable::find(std::string_view path) const {
  return size_ == 0 ? nullptr : slots_[seek(path, siphash13(path, key_))].stream;
}

StreamEntry* PathTable::put(StreamEntry& stream) {
  if ((size_ + 1) * 4 > slots_.size() * 3) {
    resize(slots_.empty() ? kCapacityMin : slots_.size() * 2);
  }
  const uint64_t hash = siphash13(stream.state.path, key_);
  Slot& slot = slots_[seek(stream.state.path, hash)];
  slot.hash = hash;
  StreamEntry* const before = std::exchange(slot.stream, &stream);
  if (before == nullptr) ++size_;
  return before;
}

void PathTable::remove(const StreamEntry& stream) {
  DS_ASSERT(size_ > 0);
  size_t hole = seek(stream.state.path, siphash13(stream.state.path, key_));
  DS_ASSERT(slots_[hole].stream == &stream);
  // Who would not be found any more past the hole moves into it.
  for (size_t at = next(hole); slots_[at].stream != nullptr; at = next(at)) {
    const size_t mask = slots_.size() - 1;
    const size_t from_home = (at - home(slots_[at].hash)) & mask;
    const size_t from_hole = (at - hole) & mask;
    if (from_home < from_hole) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = Slot();
  --size_;
}

void PathTable::shrink() {
  size_t capacity = slots_.size();
  while (capacity > kCapacityMin && size_ * 4 < capacity) capacity /= 2;
  if (capacity < slots_.size() / 2) resize(capacity);
}

void PathTable::resize(size_t capacity) {
  std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(capacity));
  for (const Slot& slot : before) {
    if (slot.stream == nullptr) continue;
    size_t at = home(slot.hash);
    while (slots_[at].stream != nullptr) at = next(at);
    slots_[at] = slot;
  }
}

}  // namespace ds::engine
