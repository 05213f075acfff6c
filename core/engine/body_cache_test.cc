#include "core/engine/body_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace ds::engine {
namespace {

constexpr HashKey kKey{1, 2};

BodyCache::Range range(uint64_t stream, uint64_t begin, uint64_t end) {
  return {Incarnation{stream}, Position{begin}, Position{end}};
}

SharedBytes body_of(size_t bytes) { return share(std::string(bytes, 'x')); }

TEST(BodyCache, FindsWhatWasPutForTheSameBytesOfTheSameStreamOnly) {
  BodyCache cache(kKey);
  EXPECT_EQ(cache.find(range(1, 0, 10)), nullptr);
  const SharedBytes body = body_of(10);
  cache.put(range(1, 0, 10), body, 1 << 20);
  EXPECT_EQ(cache.find(range(1, 0, 10)), body);
  EXPECT_EQ(cache.find(range(2, 0, 10)), nullptr);
  EXPECT_EQ(cache.find(range(1, 1, 10)), nullptr);
  EXPECT_EQ(cache.find(range(1, 0, 11)), nullptr);
}

TEST(BodyCache, LetsGoOfWhatWasNotAskedForTheLongest) {
  BodyCache cache(kKey);
  const uint64_t budget = 5000;
  for (uint64_t i = 0; i < 4; ++i) cache.put(range(i, 0, 1000), body_of(1000), budget);
  ASSERT_NE(cache.find(range(0, 0, 1000)), nullptr);
  cache.put(range(4, 0, 1000), body_of(1000), budget);
  EXPECT_NE(cache.find(range(0, 0, 1000)), nullptr);
  EXPECT_EQ(cache.find(range(1, 0, 1000)), nullptr);
  EXPECT_NE(cache.find(range(4, 0, 1000)), nullptr);
  for (uint64_t i = 5; i < 100; ++i) {
    cache.put(range(i, 0, 1000), body_of(1000), budget);
    EXPECT_LE(cache.bytes(), budget);
  }
}

TEST(BodyCache, OneBodyDoesNotPushOutAllOthers) {
  BodyCache cache(kKey);
  cache.put(range(1, 0, 10), body_of(10), 2000);
  cache.put(range(2, 0, 1500), body_of(1500), 2000);
  EXPECT_EQ(cache.find(range(2, 0, 1500)), nullptr);
}

TEST(BodyCache, ASmallerBudgetHoldsFromTheNextBodyOn) {
  BodyCache cache(kKey);
  for (uint64_t i = 0; i < 10; ++i) cache.put(range(i, 0, 1000), body_of(1000), 1 << 20);
  cache.put(range(10, 0, 100), body_of(100), 2000);
  EXPECT_LE(cache.bytes(), 2000U);
  EXPECT_NE(cache.find(range(10, 0, 100)), nullptr);
}

TEST(BodyCache, ClearedItTakesNothing) {
  BodyCache cache(kKey);
  cache.put(range(1, 0, 1000), body_of(1000), 1 << 20);
  const SharedBytes sent = cache.find(range(1, 0, 1000));
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_EQ(cache.find(range(1, 0, 1000)), nullptr);
  EXPECT_EQ(sent->size(), 1000U);
}

}  // namespace
}  // namespace ds::engine
