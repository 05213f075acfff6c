#include "core/engine/body_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace ds::engine {
namespace {

constexpr HashKey kKey{1, 2};

BodyCache::Place place(uint64_t stream, uint64_t begin) {
  return {Incarnation{stream}, Position{begin}};
}

SharedBytes body_of(size_t bytes) { return share(std::string(bytes, 'x')); }

class Bodies : public ::testing::Test {
 protected:
  SharedBytes find(uint64_t stream, uint64_t begin, uint64_t end) {
    return cache.find(place(stream, begin), Position{end});
  }
  void put(uint64_t stream, uint64_t begin, uint64_t end, uint64_t budget) {
    cache.put(place(stream, begin), Position{end}, body_of(static_cast<size_t>(end - begin)),
              budget);
  }
  BodyCache cache{kKey};
};

TEST_F(Bodies, AreFoundForTheSameBytesOfTheSameStreamOnly) {
  EXPECT_EQ(find(1, 0, 10), nullptr);
  const SharedBytes body = body_of(10);
  cache.put(place(1, 0), Position{10}, body, 1 << 20);
  EXPECT_EQ(find(1, 0, 10), body);
  EXPECT_EQ(find(2, 0, 10), nullptr);
  EXPECT_EQ(find(1, 1, 10), nullptr);
  EXPECT_EQ(find(1, 0, 11), nullptr);
}

TEST_F(Bodies, ALongerBodyTakesThePlaceOfAShorterOne) {
  for (uint64_t end = 1; end <= 1000; ++end) {
    put(1, 0, end, 1 << 20);
    EXPECT_NE(find(1, 0, end), nullptr);
    EXPECT_LE(cache.bytes(), 2000U);
  }
  EXPECT_EQ(find(1, 0, 999), nullptr);
}

TEST_F(Bodies, ThoseThatWereNotAskedForTheLongestGoFirst) {
  const uint64_t budget = 5000;
  for (uint64_t i = 0; i < 4; ++i) put(i, 0, 1000, budget);
  ASSERT_NE(find(0, 0, 1000), nullptr);
  put(4, 0, 1000, budget);
  EXPECT_NE(find(0, 0, 1000), nullptr);
  EXPECT_EQ(find(1, 0, 1000), nullptr);
  EXPECT_NE(find(4, 0, 1000), nullptr);
  for (uint64_t i = 5; i < 100; ++i) {
    put(i, 0, 1000, budget);
    EXPECT_LE(cache.bytes(), budget);
  }
}

TEST_F(Bodies, OneThatIsLargerThanAllMayBeIsNotKept) {
  put(1, 0, 10, 2000);
  put(2, 0, 2000, 2000);
  EXPECT_EQ(find(2, 0, 2000), nullptr);
  EXPECT_NE(find(1, 0, 10), nullptr);
}

TEST_F(Bodies, ASmallerBudgetHoldsAtOnce) {
  for (uint64_t i = 0; i < 10; ++i) put(i, 0, 1000, 1 << 20);
  put(10, 0, 100, 2000);
  EXPECT_LE(cache.bytes(), 2000U);
  EXPECT_NE(find(10, 0, 100), nullptr);
  put(11, 0, 5000, 1000);
  EXPECT_LE(cache.bytes(), 1000U);
  cache.shrink(0);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST_F(Bodies, ClearedTheyTakeNothing) {
  put(1, 0, 1000, 1 << 20);
  const SharedBytes sent = find(1, 0, 1000);
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_EQ(find(1, 0, 1000), nullptr);
  EXPECT_EQ(sent->size(), 1000U);
}

}  // namespace
}  // namespace ds::engine
