// How many streams there are, known without counting: those of the catalog at the start, and what
// the engines have created and ended since it was sealed.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/engine/stream_quota.h"

namespace ds::server {

// Any thread.
class StreamCount final : public engine::StreamQuota {
 public:
  // `most`: 0 for any number.
  explicit StreamCount(uint64_t most) : most_(most) {}

  void begin_with(uint64_t streams) { count_.fetch_add(streams, std::memory_order_relaxed); }
  // While a log is replayed it may pass through values that are too low.
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  bool take() override {
    const uint64_t before = count_.fetch_add(1, std::memory_order_relaxed);
    if (most_ == 0 || before < most_) return true;
    give_back();
    return false;
  }
  void take_anyway() override { count_.fetch_add(1, std::memory_order_relaxed); }
  void give_back() override { count_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const uint64_t most_;
  std::atomic<uint64_t> count_{0};
};

}  // namespace ds::server
