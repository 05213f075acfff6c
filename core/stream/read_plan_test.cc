#include "core/stream/read_plan.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/support/mutations.h"

namespace ds::stream {
namespace {

using tests::Random;
using Cache = wire::CachePolicy::Kind;

StreamState state_of(Random& random, size_t messages, uint64_t longest) {
  StreamState state;
  state.lives = {{Position{0}, Incarnation{7}, false}};
  for (size_t i = 0; i < messages; ++i) {
    state.writer.tail = state.writer.tail + 1 + random.below(longest);
    state.index.push({state.writer.tail, LogPosition{i}, 100 + i});
  }
  return state;
}

TEST(ReadPlan, NothingToReadIsTheTail) {
  Random random(1);
  for (const size_t messages : {0, 1, 10}) {
    const StreamState state = state_of(random, messages, 9);
    for (const uint64_t beyond : {0U, 1U, 50U}) {
      const ReadPlan plan = plan_read(state, state.writer.tail + beyond, 10);
      EXPECT_EQ(plan.begin, state.writer.tail);
      EXPECT_EQ(plan.end, state.writer.tail);
      EXPECT_EQ(plan.bytes(), 0u);
      EXPECT_EQ(plan.first, plan.last);
      EXPECT_TRUE(plan.at_tail);
    }
  }
}

// What the answers of a stream must be, from wherever readers begin.
TEST(ReadPlan, ReadersFromEveryOffsetMeetOnTheSameBoundaries) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const StreamState state = state_of(random, 400, 1 + random.below(60));
    const uint64_t chunk = 1 + random.below(200);
    const uint64_t tail = state.writer.tail.value;
    std::set<uint64_t> message_ends{0};
    for (size_t i = 0; i < state.index.size(); ++i)
      message_ends.insert(state.index.at(i).end.value);
    // Where a boundary is: the first message end at or after each multiple of the chunk size.
    std::set<uint64_t> boundaries{tail};
    for (uint64_t m = chunk; m <= tail; m += chunk) boundaries.insert(*message_ends.lower_bound(m));
    for (uint64_t from = 0; from <= tail; ++from) {
      const ReadPlan plan = plan_read(state, Position{from}, chunk);
      ASSERT_LE(plan.begin.value, from);
      ASSERT_TRUE(message_ends.count(plan.begin.value)) << "whole messages";
      ASSERT_TRUE(boundaries.count(plan.end.value)) << from << " ends at " << plan.end.value;
      ASSERT_EQ(plan.at_tail, plan.end.value == tail);
      if (from == tail) continue;
      ASSERT_GT(plan.end.value, from) << "a reader gets on";
      ASSERT_EQ(*boundaries.upper_bound(plan.begin.value), plan.end.value) << "the next boundary";
      // Exactly the messages that end after `from`.
      ASSERT_EQ(plan.begin, state.index.start_of(plan.first));
      ASSERT_EQ(plan.end, state.index.at(plan.last - 1).end);
      ASSERT_GT(state.index.at(plan.first).end.value, from);
      // At most one message more than the chunk size.
      ASSERT_LT(state.index.start_of(plan.last - 1).value, plan.begin.value + chunk);
      ASSERT_EQ(plan.newest_ms, 100 + plan.last - 1);
    }
    // Whoever follows the ends, from anywhere, passes the same boundaries.
    for (uint64_t from = 0; from <= tail; from += 1 + random.below(20)) {
      uint64_t at = from;
      size_t steps = 0;
      while (at < tail) {
        at = plan_read(state, Position{at}, chunk).end.value;
        ASSERT_TRUE(boundaries.count(at));
        ASSERT_LE(++steps, boundaries.size());
      }
    }
  }
}

TEST(ReadPlan, AHugeChunkIsAllThereIs) {
  Random random(5);
  const StreamState state = state_of(random, 50, 9);
  const ReadPlan plan = plan_read(state, Position{0}, uint64_t{1} << 40);
  EXPECT_EQ(plan.end, state.writer.tail);
  EXPECT_EQ(plan.last, 50u);
  EXPECT_TRUE(plan.at_tail);
}

TEST(ReadPlan, WhereAnOffsetPoints) {
  Random random(6);
  const StreamState state = state_of(random, 5, 9);
  const auto at = [&state](std::string_view text) {
    return resolve(state, *wire::parse_offset(text));
  };
  EXPECT_EQ(at("-1"), Position{0});
  EXPECT_EQ(at("0000000000000000_0000000000000000"), Position{0});
  EXPECT_EQ(at("now"), state.writer.tail);
  EXPECT_EQ(at("0000000000000007_0000000000000003"), Position{3});
  EXPECT_EQ(at("0000000000000007_9999999999999999"), state.writer.tail);
  EXPECT_EQ(at("0000000000000008_0000000000000003"), std::nullopt);
}

class Caching : public ::testing::Test {
 protected:
  wire::CachePolicy policy(bool names_life = true) const {
    return cache_policy(state, plan, names_life, expires, now, {60, 300, 5});
  }
  StreamState state;
  ReadPlan plan;
  Instant expires = kNever;
  Instant now{1000000000};
};

TEST_F(Caching, WhatMayStillGrowIsAskedForAgain) {
  plan.at_tail = true;
  EXPECT_EQ(policy().kind, Cache::kNoCache);
  EXPECT_EQ(policy(false).kind, Cache::kNoCache);
}

TEST_F(Caching, WhatNeverChangesIsKept) {
  for (const bool closed_end : {false, true}) {
    plan.at_tail = state.writer.closed = closed_end;
    EXPECT_EQ(policy().kind, Cache::kPublic);
    EXPECT_EQ(policy().max_age_seconds, 60u);
    EXPECT_EQ(policy().stale_while_revalidate_seconds, 300u);
    EXPECT_EQ(policy(false).kind, Cache::kPublic);
    EXPECT_EQ(policy(false).max_age_seconds, 5u);
    EXPECT_EQ(policy(false).stale_while_revalidate_seconds, 0u);
  }
}

TEST_F(Caching, NothingIsKeptLongerThanItLives) {
  const struct {
    int64_t left_us;
    Cache kind;
    uint32_t max_age;
    uint32_t stale;
  } rows[] = {{-5, Cache::kNoCache, 0, 0},
              {0, Cache::kNoCache, 0, 0},
              {999999, Cache::kNoCache, 0, 0},
              {1000000, Cache::kPublic, 1, 0},
              {59999999, Cache::kPublic, 59, 0},
              {60000000, Cache::kPublic, 60, 0},
              {100000000, Cache::kPublic, 60, 40},
              {360000000, Cache::kPublic, 60, 300},
              {9000000000000, Cache::kPublic, 60, 300}};
  for (const auto& row : rows) {
    expires = Instant{now.us + row.left_us};
    EXPECT_EQ(policy().kind, row.kind) << row.left_us;
    if (row.kind == Cache::kNoCache) continue;
    EXPECT_EQ(policy().max_age_seconds, row.max_age) << row.left_us;
    EXPECT_EQ(policy().stale_while_revalidate_seconds, row.stale) << row.left_us;
  }
}

}  // namespace
}  // namespace ds::stream
