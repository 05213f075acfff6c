// What answers that clients have not taken yet keep in memory. Each buffer counts once, however
// many connections of a loop wait to send it; also one that the tail cache has as well, since the
// cache may let go of it at any time.
//
// One per event loop, on its thread; the budget is everybody's.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "core/base/slice.h"
#include "server/memory_budget.h"

namespace ds::server {

class AnswerMemory {
 public:
  explicit AnswerMemory(MemoryBudget& budget) : budget_(budget) {}
  AnswerMemory(const AnswerMemory&) = delete;
  AnswerMemory& operator=(const AnswerMemory&) = delete;

  // No further read should be begun.
  bool exhausted() const { return budget_.exhausted(); }

  // A queue refers to `buffer` and cannot send it now. Each hold() is followed by one drop().
  void hold(const SharedBytes& buffer) {
    if (buffer == nullptr || is_charged(buffer)) return;
    if (held_[buffer.get()]++ == 0) budget_.charge(buffer->size());
  }
  void drop(const SharedBytes& buffer) {
    if (buffer == nullptr || is_charged(buffer)) return;
    const auto found = held_.find(buffer.get());
    if (--found->second > 0) return;
    held_.erase(found);
    budget_.release(buffer->size());
  }

  // For what belongs to one queue alone.
  void charge(uint64_t bytes) { budget_.charge(bytes); }
  void release(uint64_t bytes) { budget_.release(bytes); }

 private:
  MemoryBudget& budget_;
  std::unordered_map<const std::string*, uint32_t> held_;  // how many queues wait with a buffer
};

}  // namespace ds::server
