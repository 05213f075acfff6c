#include "bench/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ds::bench {

// Values below 2 * kSubBuckets are their own bucket. Above, the top kSubBucketBits + 1 bits choose
// the bucket, and every doubling of the value adds kSubBuckets to its number.
uint32_t Histogram::bucket_of(int64_t value) {
  const auto v = static_cast<uint64_t>(value);
  const int width = static_cast<int>(std::bit_width(v));
  const int shift = std::max(0, width - (kSubBucketBits + 1));
  return static_cast<uint32_t>(static_cast<uint64_t>(shift) * kSubBuckets + (v >> shift));
}

int64_t Histogram::upper_edge_of_bucket(uint32_t bucket) {
  if (bucket < 2 * kSubBuckets) return bucket;
  const auto shift = static_cast<int>(bucket / kSubBuckets) - 1;
  const int64_t top = bucket - shift * kSubBuckets;
  return ((top + 1) << shift) - 1;
}

int64_t Histogram::upper_edge(int64_t value) { return upper_edge_of_bucket(bucket_of(value)); }

Histogram::Histogram() : counts_(bucket_of(kValueMax) + 1) {}

int64_t Histogram::at(double quantile) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(quantile * static_cast<double>(count_));
  const auto rank = static_cast<uint64_t>(std::clamp(wanted, 1.0, static_cast<double>(count_)));
  uint64_t seen = 0;
  for (uint32_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) {
      // The last bucket also holds what was too large for it.
      if (bucket + 1 == counts_.size()) return max_;
      return std::min(upper_edge_of_bucket(bucket), max_);
    }
  }
  return max_;
}

double Histogram::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

void Histogram::add(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

void Histogram::clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  sum_ = 0;
  max_ = 0;
}

}  // namespace ds::bench
