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

class MessageIndex {
 public:
  static constexpr size_t kBlockEntries = 256;

  size_t size() const { return frozen_.size() * kBlockEntries + recent_.size(); }
  bool empty() const { return frozen_.empty() && recent_.empty(); }
  // The position where the first indexed message begins; 0 until anything has been sealed.
  Position begin() const { return begin_; }
  Position end() const { return empty() ? begin_ : at(size() - 1).end; }

  // REQUIRES: i < size().
  const MessageEntry& at(size_t i) const;
  // Where message i begins. REQUIRES: i < size().
  Position start_of(size_t i) const { return i == 0 ? begin_ : at(i - 1).end; }

  // The index of the first message that ends after `p`; size() if there is none.
  size_t first_ending_after(Position p) const;

  // REQUIRES: entry.end > end().
  void push(const MessageEntry& entry);

  // A copy of all messages before `p`, the one around `p` clipped to end there. Shares the blocks.
  MessageIndex clipped(Position p) const;

 private:
  using Block = std::vector<MessageEntry>;
  Position begin_;
  std::vector<std::shared_ptr<const Block>> frozen_;  // kBlockEntries entries each
  Block recent_;
};

}  // namespace ds::stream
