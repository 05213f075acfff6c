#include "bench/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace ds::bench {
namespace {

TEST(Histogram, EmptyAnswersZero) {
  const Histogram h;
  EXPECT_EQ(h.at(0.5), 0);
  EXPECT_EQ(h.mean(), 0);
  EXPECT_EQ(h.max(), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  for (int64_t v = 0; v < 2 * Histogram::kSubBuckets; ++v) EXPECT_EQ(Histogram::upper_edge(v), v);
}

TEST(Histogram, TheUpperEdgeIsNeverBelowTheValueAndWithinTheStatedError) {
  std::mt19937_64 random(1);
  for (int bits = 1; bits <= 42; ++bits) {
    for (int i = 0; i < 2000; ++i) {
      const auto v = static_cast<int64_t>(random() & ((uint64_t{1} << bits) - 1));
      const int64_t edge = Histogram::upper_edge(v);
      ASSERT_GE(edge, v);
      ASSERT_LE((edge - v) * Histogram::kSubBuckets, v) << v;
    }
  }
}

TEST(Histogram, BucketsCoverTheRangeWithoutGapOrOverlap) {
  int64_t v = 0;
  while (v < Histogram::kValueMax) {
    const int64_t edge = Histogram::upper_edge(v);
    ASSERT_GE(edge, v);
    ASSERT_EQ(Histogram::upper_edge(edge), edge);
    v = edge + 1;
  }
  EXPECT_EQ(v, Histogram::kValueMax + 1);
}

TEST(Histogram, PercentilesAgreeWithTheSortedValues) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(12, 1.5);
  Histogram h;
  std::vector<int64_t> values;
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(static_cast<int64_t>(latency(random)));
    h.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const double wanted = std::max(1.0, std::ceil(q * static_cast<double>(values.size())));
    const int64_t exact = values[static_cast<size_t>(wanted) - 1];
    EXPECT_GE(h.at(q), exact) << q;
    EXPECT_LE((h.at(q) - exact) * Histogram::kSubBuckets, exact) << q;
  }
  EXPECT_EQ(h.at(1.0), values.back());
  EXPECT_EQ(h.max(), values.back());
}

TEST(Histogram, ValuesOutOfRangeAreKept) {
  Histogram h;
  h.record(-5);
  h.record(Histogram::kValueMax * 4);
  EXPECT_EQ(h.count(), 2u);
  EXPECT_EQ(h.at(0.5), 0);
  EXPECT_EQ(h.at(1), Histogram::kValueMax * 4);
}

TEST(Histogram, AddingTwoIsRecordingBoth) {
  Histogram a, b, both;
  for (int64_t v = 1; v < 100'000; v = v * 3 + 1) {
    a.record(v);
    both.record(v);
    b.record(v * 7);
    both.record(v * 7);
  }
  a.add(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.mean(), both.mean());
  for (const double q : {0.1, 0.5, 0.9}) EXPECT_EQ(a.at(q), both.at(q));
  a.clear();
  EXPECT_EQ(a.count(), 0u);
  EXPECT_EQ(a.at(0.5), 0);
}

}  // namespace
}  // namespace ds::bench
