// A bound on what many threads keep in memory for one purpose together, and bytes that count
// against it for as long as anybody refers to them.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "core/base/slice.h"

namespace ds::server {

// Any thread. Outlives its charges.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // For what is there already and cannot be refused any more.
  void charge(uint64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  // For what can. Refuses once the budget is used up; the last one that is let in may go past the
  // limit, so that nothing is too large to ever be let in.
  [[nodiscard]] bool try_charge(uint64_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) < limit_) return true;
    release(bytes);
    return false;
  }
  void release(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  bool exhausted() const { return used() >= limit_; }

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
};

// Bytes of a budget, given back when this ends.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  // Takes over what has been charged already.
  MemoryCharge(MemoryBudget& budget, uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
  MemoryCharge(MemoryCharge&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryCharge() { resize(0); }

  // Makes it `bytes` in all: the size is known now.
  void resize(uint64_t bytes);
  uint64_t bytes() const { return bytes_; }

 private:
  MemoryBudget* budget_ = nullptr;
  uint64_t bytes_ = 0;
};

// The same bytes together with a charge for them, which ends with the last reference to what is
// returned.
SharedBytes charged(SharedBytes bytes, MemoryCharge charge);
inline SharedBytes share_charged(std::string bytes, MemoryCharge charge) {
  return charged(share(std::move(bytes)), std::move(charge));
}
// Whether these bytes carry a charge, and need not be charged again.
bool is_charged(const SharedBytes& bytes);
// The bytes that a charge was added to; or the same, if they carry none.
const SharedBytes& uncharged(const SharedBytes& bytes);

}  // namespace ds::server
