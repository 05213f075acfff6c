// Timers of one engine: a heap that is checked lazily. A timer that is no longer wanted stays in
// the heap until it is due; whoever handles it looks at the thing it names before acting.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

#include "core/base/types.h"

namespace ds::engine {

struct Timer {
  enum class Kind : uint8_t { kLongPoll, kSse, kExpiry, kUnpin, kNewLife, kEvict };
  Instant due;
  Kind kind = Kind::kExpiry;
  uint64_t key = 0;  // a request id, or a stream's identity
};

class Timers {
 public:
  void arm(Instant due, Timer::Kind kind, uint64_t key) { heap_.push(Timer{due, kind, key}); }
  Instant next() const { return heap_.empty() ? kNever : heap_.top().due; }
  // Takes out one timer that is due.
  std::optional<Timer> pop_due(Instant now) {
    if (heap_.empty() || heap_.top().due > now) return std::nullopt;
    const Timer timer = heap_.top();
    heap_.pop();
    return timer;
  }

 private:
  struct Later {
    bool operator()(const Timer& a, const Timer& b) const { return a.due > b.due; }
  };
  std::priority_queue<Timer, std::vector<Timer>, Later> heap_;
};

}  // namespace ds::engine
