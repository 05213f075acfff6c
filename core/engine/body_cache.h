// Bodies of answers that were put together of many messages, for the next reader who asks for the
// same: readers who catch up ask for the same chunks (DESIGN §5), and a body is in memory once,
// however many of them it is being sent to.
//
// A stream's bytes at a position never change, so nothing here has to be invalidated. Owned by one
// engine.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "core/base/hash.h"
#include "core/base/slice.h"
#include "core/base/types.h"

namespace ds::engine {

class BodyCache {
 public:
  explicit BodyCache(HashKey key) : by_range_(0, RangeHash{key}) {}

  // What an answer with these bytes of a stream says.
  struct Range {
    Incarnation stream;
    Position begin;
    Position end;
    friend bool operator==(const Range&, const Range&) = default;
  };

  // Null if it is not held.
  SharedBytes find(const Range& range);

  // Afterwards all bodies take at most `budget_bytes`; those that were not asked for the longest
  // go first. A body that is larger than half of that is not kept. REQUIRES: find(range) is null.
  void put(const Range& range, SharedBytes body, uint64_t budget_bytes);

  void clear();

  // Memory of what it holds.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Range range;
    SharedBytes body;
  };
  struct RangeHash {
    HashKey key;
    size_t operator()(const Range& range) const;
  };
  static uint64_t memory_of(const SharedBytes& body);
  void drop_oldest();

  uint64_t bytes_ = 0;
  std::list<Entry> entries_;  // what was asked for last comes first
  std::unordered_map<Range, std::list<Entry>::iterator, RangeHash> by_range_;
};

}  // namespace ds::engine
