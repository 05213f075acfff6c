// Where the messages of a stream are: their ends, times and places in the log, in stream order.
//
// Old entries sit in frozen blocks that forks share with their source, across threads; only the
// newest entries are in a block of the stream's own. Half-open ranges of positions throughout.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/types.h"

namespace ds::stream {

// One message: the bytes of one append.
struct MessageEntry {
  Position end;        // one past its last byte; it begins where the one before ends
  LogPosition record;  // the record that holds it
  uint64_t time_ms;    // when it was appended
};

// Messages are counted from the first one that was ever pushed: a number stays the same when older
// entries go.
class MessageIndex {
 public:
  static constexpr size_t kBlockEntries = 256;

  // Entries [first(), size()) are there.
  size_t first() const { return first_; }
  size_t size() const { return base_ + frozen_.size() * kBlockEntries + recent_.size(); }
  bool empty() const { return first_ == size(); }
  // The position where the first indexed message begins: what is before it has been sealed.
  Position begin() const { return begin_; }
  Position end() const { return end_; }

  // REQUIRES: first() <= i < size().
  const MessageEntry& at(size_t i) const;
  // Where message i begins. REQUIRES: first() <= i < size().
  Position start_of(size_t i) const { return i == first_ ? begin_ : at(i - 1).end; }

  // The number of the first message that ends after `p`; size() if there is none. For a `p` before
  // begin() that is the first one of those here.
  size_t first_ending_after(Position p) const;

  // REQUIRES: entry.end > end().
  void push(const MessageEntry& entry);

  // Everything before `p` has been sealed. REQUIRES: empty().
  void start_at(Position p) { begin_ = end_ = p; }
  // Forgets the messages that are in generations up to this one: they have been sealed.
  void drop_through(uint32_t generation);

  // A copy of all messages before `p`, the one around `p` clipped to end there. Shares the blocks.
  MessageIndex clipped(Position p) const;

 private:
  using Block = std::vector<MessageEntry>;
  Position begin_;
  Position end_;      // of the newest entry, kept here so that a push need not wait for its memory
  size_t base_ = 0;   // the number of the first entry that is stored
  size_t first_ = 0;  // of the first one that counts
  std::vector<std::shared_ptr<const Block>> frozen_;  // kBlockEntries entries each
  Block recent_;
};

}  // namespace ds::stream
