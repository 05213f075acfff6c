// The generator's clock: nanoseconds that never move back, with no meaning between machines.
#pragma once

#include <time.h>

#include <cstdint>

namespace ds::bench {

inline constexpr int64_t kNsPerSecond = 1'000'000'000;
inline constexpr int64_t kNeverNs = INT64_MAX;

inline int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * kNsPerSecond + t.tv_nsec;
}

inline int64_t seconds_to_ns(double seconds) {
  return static_cast<int64_t>(seconds * static_cast<double>(kNsPerSecond));
}

}  // namespace ds::bench
