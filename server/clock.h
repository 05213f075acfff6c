// Wall time that never stands still and hardly ever jumps.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/base/types.h"

namespace ds::server {

// The one clock of a process. now() runs at the pace of the monotonic clock, at a distance that
// resync() keeps near the wall clock: a step forward is followed at once, a step back is made up
// for by running a tenth slower, so that timers go on firing meanwhile. Readings by one thread may
// go back by the length of one such correction: whoever promises that time never moves back keeps
// his last reading (Loop::now).
class Clock {
 public:
  Clock();

  // Any thread.
  Instant now() const;
  // One thread, about every second.
  void resync();

 private:
  static int64_t monotonic_us();
  static int64_t wall_us();

  std::atomic<int64_t> distance_us_;  // what is added to the monotonic clock
  int64_t last_resync_us_;            // on the monotonic clock
};

}  // namespace ds::server
