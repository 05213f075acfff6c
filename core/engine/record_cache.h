// The tail cache: recently committed batches, so that live readers and readers near the tail never
// touch a disk. Owned by one engine; the bytes are shared with whoever sends them.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "core/base/slice.h"
#include "core/base/types.h"
#include "core/stream/message_index.h"

namespace ds::engine {

class RecordCache {
 public:
  // Afterwards its batches take at most `budget_bytes` of memory, but the newest one is always
  // held. REQUIRES: `first_record` is after every batch that is held.
  void push(LogPosition first_record, SharedBytes records, uint64_t budget_bytes);

  // Lets go of the oldest batches until the rest takes at most `budget_bytes`, or is one.
  void shrink(uint64_t budget_bytes);

  // Forgets the batches in generations up to this one.
  void drop_through(uint32_t generation);

  // Keeps the payloads of `index`, which are `bytes`, for good: no log has them. Returns an index
  // that says where they are now.
  stream::MessageIndex adopt(const stream::MessageIndex& index, std::string_view bytes);

  // The bytes from the record at `record` to the end of its batch; empty if it is not held. The
  // result keeps the whole batch alive.
  Slice find(LogPosition record) const;

  // Finds the records of one stream in their order: the next one is mostly in the batch of the one
  // before it, or soon after. REQUIRES: the cache does not change meanwhile.
  class Walk {
   public:
    explicit Walk(const RecordCache& cache) : cache_(cache) {}
    // As RecordCache::find; the bytes live as long as the cache has them.
    std::string_view find(LogPosition record);

   private:
    const RecordCache& cache_;
    size_t at_ = 0;  // of the batch that was found last
  };

  // Memory of what it holds.
  uint64_t bytes() const { return bytes_; }
  // What one batch takes, with all that its string has reserved.
  static uint64_t memory_of(const SharedBytes& records);

 private:
  struct Held {
    LogPosition first;
    SharedBytes records;
  };
  template <typename Batches>
  static typename Batches::const_iterator batch_after(const Batches& batches, LogPosition record);
  template <typename Batches>
  static const Held* find_in(const Batches& batches, LogPosition record);
  static std::string_view rest_of(const Held& held, LogPosition record);

  uint64_t bytes_ = 0;
  std::deque<Held> held_;      // by `first`
  std::vector<Held> adopted_;  // by `first`, at positions that no log has
};

}  // namespace ds::engine
