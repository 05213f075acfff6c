#include "core/stream/message_index.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace ds::stream {

const MessageEntry& MessageIndex::at(size_t i) const {
  DS_ASSERT(i >= first_);
  const size_t stored = i - base_;
  const size_t block = stored / kBlockEntries;
  if (block < frozen_.size()) return (*frozen_[block])[stored % kBlockEntries];
  const size_t in_recent = stored - frozen_.size() * kBlockEntries;
  DS_ASSERT(in_recent < recent_.size());
  return recent_[in_recent];
}

size_t MessageIndex::first_ending_after(Position p) const {
  // Most reads are near the tail or at the beginning: both ends first.
  const size_t count = size();
  if (empty() || end() <= p) return count;
  if (at(first_).end > p) return first_;
  size_t low = first_;  // ends at or before p
  size_t high = count - 1;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (at(middle).end > p ? high : low) = middle;
  }
  return high;
}

void MessageIndex::push(const MessageEntry& entry) {
  DS_ASSERT(entry.end > end());
  end_ = entry.end;
  recent_.push_back(entry);
  if (recent_.size() == kBlockEntries) {
    frozen_.push_back(std::make_shared<const Block>(std::move(recent_)));
    recent_ = Block();
  }
}

void MessageIndex::drop_through(uint32_t generation) {
  const size_t count = size();
  size_t first = first_;
  while (first < count && at(first).record.generation() <= generation) {
    // Generations never go back: a block whose last entry goes, goes whole.
    const size_t block = (first - base_) / kBlockEntries;
    const bool whole =
        block < frozen_.size() && frozen_[block]->back().record.generation() <= generation;
    begin_ = whole ? frozen_[block]->back().end : at(first).end;
    first = whole ? base_ + (block + 1) * kBlockEntries : first + 1;
  }
  first_ = first;
  if (first_ == count) {
    frozen_ = {};
    recent_ = Block();
    base_ = count;
    return;
  }
  const size_t gone = std::min((first_ - base_) / kBlockEntries, frozen_.size());
  frozen_.erase(frozen_.begin(), frozen_.begin() + static_cast<std::ptrdiff_t>(gone));
  base_ += gone * kBlockEntries;
}

MessageIndex MessageIndex::clipped(Position p) const {
  MessageIndex copy;
  copy.begin_ = copy.end_ = std::min(begin_, p);
  copy.base_ = copy.first_ = first_;
  if (p <= begin_) return copy;
  const size_t count = first_ending_after(p);
  const bool cuts_message = count < size() && start_of(count) < p;
  const size_t whole_blocks = std::min((count - base_) / kBlockEntries, frozen_.size());
  if (whole_blocks > 0) copy.base_ = base_;
  copy.frozen_.assign(frozen_.begin(), frozen_.begin() + static_cast<std::ptrdiff_t>(whole_blocks));
  if (whole_blocks > 0) copy.end_ = copy.frozen_.back()->back().end;
  for (size_t i = std::max(copy.size(), first_); i < count; ++i) copy.push(at(i));
  if (cuts_message) {
    MessageEntry last = at(count);
    last.end = p;
    copy.push(last);
  }
  return copy;
}

}  // namespace ds::stream
