#include "core/stream/message_index.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace ds::stream {

const MessageEntry& MessageIndex::at(size_t i) const {
  const size_t block = i / kBlockEntries;
  if (block < frozen_.size()) return (*frozen_[block])[i % kBlockEntries];
  const size_t in_recent = i - frozen_.size() * kBlockEntries;
  DS_ASSERT(in_recent < recent_.size());
  return recent_[in_recent];
}

size_t MessageIndex::first_ending_after(Position p) const {
  // Most reads are near the tail or at the beginning: both ends first.
  const size_t count = size();
  if (count == 0 || end() <= p) return count;
  if (at(0).end > p) return 0;
  size_t low = 0;  // ends at or before p
  size_t high = count - 1;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (at(middle).end > p ? high : low) = middle;
  }
  return high;
}

void MessageIndex::push(const MessageEntry& entry) {
  DS_ASSERT(entry.end > end());
  recent_.push_back(entry);
  if (recent_.size() == kBlockEntries) {
    frozen_.push_back(std::make_shared<const Block>(std::move(recent_)));
    recent_ = Block();
  }
}

MessageIndex MessageIndex::clipped(Position p) const {
  MessageIndex copy;
  copy.begin_ = begin_;
  size_t count = first_ending_after(p);
  const bool cuts_message = count < size() && start_of(count) < p;
  const size_t whole_blocks = std::min(count / kBlockEntries, frozen_.size());
  copy.frozen_.assign(frozen_.begin(), frozen_.begin() + static_cast<std::ptrdiff_t>(whole_blocks));
  for (size_t i = whole_blocks * kBlockEntries; i < count; ++i) copy.push(at(i));
  if (cuts_message) {
    MessageEntry last = at(count);
    last.end = p;
    copy.push(last);
  }
  return copy;
}

}  // namespace ds::stream
