#include "server/clock.h"

#include <time.h>

#include <algorithm>

namespace ds::server {

namespace {

int64_t read_us(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1000000 + t.tv_nsec / 1000;
}

}  // namespace

int64_t Clock::monotonic_us() { return read_us(CLOCK_MONOTONIC); }
int64_t Clock::wall_us() { return read_us(CLOCK_REALTIME); }

Clock::Clock() : distance_us_(wall_us() - monotonic_us()), last_resync_us_(monotonic_us()) {}

Instant Clock::now() const {
  return Instant{monotonic_us() + distance_us_.load(std::memory_order_relaxed)};
}

void Clock::resync() {
  const int64_t mono = monotonic_us();
  const int64_t target = wall_us() - mono;
  const int64_t current = distance_us_.load(std::memory_order_relaxed);
  const int64_t back_max = (mono - last_resync_us_) / 10;
  last_resync_us_ = mono;
  distance_us_.store(std::max(target, current - back_max), std::memory_order_relaxed);
}

}  // namespace ds::server
