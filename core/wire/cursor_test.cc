#include "core/wire/cursor.h"

#include <gtest/gtest.h>

namespace ds::wire {
namespace {

TEST(Cursor, CountsIntervalsOfTwentySeconds) {
  EXPECT_EQ(cursor_at(kCursorEpoch, std::nullopt), 0u);
  EXPECT_EQ(cursor_at(kCursorEpoch + Duration{19999999}, std::nullopt), 0u);
  EXPECT_EQ(cursor_at(kCursorEpoch + seconds(20), std::nullopt), 1u);
  // 2026-01-01T00:00:00Z is 449 days after the epoch.
  EXPECT_EQ(cursor_at(Instant{1767225600000000}, std::nullopt), 449u * 86400 / 20);
}

TEST(Cursor, IsZeroBeforeItsEpoch) { EXPECT_EQ(cursor_at(Instant{0}, std::nullopt), 0u); }

TEST(Cursor, OvertakesTheClients) {
  const Instant now = kCursorEpoch + seconds(20 * 1000);
  EXPECT_EQ(cursor_at(now, 999), 1000u);
  EXPECT_EQ(cursor_at(now, 1000), 1001u);
  EXPECT_EQ(cursor_at(now, 5000), 5001u);
}

TEST(Cursor, NeverGoesBackwardsOrRepeatsInAChainOfPolls) {
  uint64_t cursor = cursor_at(kCursorEpoch, std::nullopt);
  for (int64_t second = 0; second < 600; second += 7) {
    const uint64_t next = cursor_at(kCursorEpoch + seconds(second), cursor);
    EXPECT_GT(next, cursor);
    cursor = next;
  }
}

}  // namespace
}  // namespace ds::wire
