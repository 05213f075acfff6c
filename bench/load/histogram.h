// Latencies, counted in buckets whose width grows with the value.
//
// Each power of two is cut into kSubBuckets equal buckets, so a value is known to within
// 1/kSubBuckets of itself (under 0.8 %), and exactly below 2 * kSubBuckets. Percentiles are given
// as the upper edge of their bucket: they overstate by at most that, and never understate.
// Recording is a shift, an add and two compares; the whole table is 36 KiB and allocated once.
#pragma once

#include <cstdint>
#include <vector>

namespace ds::bench {

class Histogram {
 public:
  static constexpr int kSubBucketBits = 7;
  static constexpr int64_t kSubBuckets = int64_t{1} << kSubBucketBits;
  // Larger values count as this one (in nanoseconds: 73 minutes); max() stays exact.
  static constexpr int64_t kValueMax = (int64_t{1} << 42) - 1;

  Histogram();

  // Values below zero count as zero.
  void record(int64_t value) {
    if (value < 0) value = 0;
    ++counts_[bucket_of(value < kValueMax ? value : kValueMax)];
    ++count_;
    sum_ += value;
    if (value > max_) max_ = value;
  }

  // The value that `quantile` (0 to 1) of the recorded ones do not exceed; 0 when empty.
  int64_t at(double quantile) const;
  int64_t max() const { return max_; }
  double mean() const;
  uint64_t count() const { return count_; }

  void add(const Histogram& other);
  void clear();

  // The largest value that shares a bucket with this one. REQUIRES: 0 <= value <= kValueMax.
  static int64_t upper_edge(int64_t value);

 private:
  static uint32_t bucket_of(int64_t value);
  static int64_t upper_edge_of_bucket(uint32_t bucket);

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  int64_t sum_ = 0;
  int64_t max_ = 0;
};

}  // namespace ds::bench
