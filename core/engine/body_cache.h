// Bodies of answers that were put together of many messages, for the next reader who asks for the
// same: readers who catch up ask for the same chunks, and a body that is kept here is in memory
// once, however many of them it is being sent to.
//
// A stream's bytes at a position never change, so nothing here is ever wrong; but a body that ended
// at the tail is of no use once there is more, and makes room for the longer one. Owned by one
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
  explicit BodyCache(HashKey key) : by_place_(0, PlaceHash{key}) {}

  // Where a body begins.
  struct Place {
    Incarnation stream;
    Position begin;
    friend bool operator==(const Place&, const Place&) = default;
  };

  // The body of the bytes from `place` to `end`; null if it is not held.
  SharedBytes find(const Place& place, Position end);

  // Takes the place of another body that begins there. Afterwards all bodies take at most
  // `budget_bytes`; one that is larger than that is not kept.
  void put(const Place& place, Position end, SharedBytes body, uint64_t budget_bytes);

  // Lets go of those that were not asked for the longest, until the rest takes at most
  // `budget_bytes`.
  void shrink(uint64_t budget_bytes);

  void clear();

  // Memory of what it holds.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Place place;
    Position end;
    SharedBytes body;
  };
  struct PlaceHash {
    HashKey key;
    size_t operator()(const Place& place) const;
  };
  static uint64_t memory_of(const SharedBytes& body);
  void drop(std::list<Entry>::iterator entry);

  uint64_t bytes_ = 0;
  std::list<Entry> entries_;  // what was asked for last comes first
  std::unordered_map<Place, std::list<Entry>::iterator, PlaceHash> by_place_;
};

}  // namespace ds::engine
