#include "core/wire/text.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

std::string decimal(uint64_t value) {
  std::string out;
  append_decimal(out, value);
  return out;
}

std::string rfc3339(Instant instant) {
  std::string out;
  append_rfc3339(out, instant);
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  append_json_escaped(out, text);
  return out;
}

TEST(Decimal, IsReadBackAsWritten) {
  tests::Random random(1);
  for (int i = 0; i < 10000; ++i) {
    const uint64_t value = random.next() >> random.below(64);
    EXPECT_EQ(parse_decimal(decimal(value), UINT64_MAX), value);
  }
  EXPECT_EQ(decimal(0), "0");
  EXPECT_EQ(decimal(UINT64_MAX), "18446744073709551615");
  EXPECT_EQ(parse_decimal("18446744073709551615", UINT64_MAX), UINT64_MAX);
}

TEST(Decimal, IsNothingButPlainDigits) {
  for (const std::string_view text : {"", "+1", "-1", " 1", "1 ", "01", "00", "1.0", "1e3", "0x1",
                                      "1,000", "\xd9\xa1", "1_0", "/", ":"}) {
    EXPECT_EQ(parse_decimal(text, UINT64_MAX), std::nullopt) << text;
  }
  EXPECT_EQ(parse_decimal(std::string_view("1\0", 2), UINT64_MAX), std::nullopt);
}

TEST(Decimal, AboveTheMaximumIsRefused) {
  EXPECT_EQ(parse_decimal("18446744073709551616", UINT64_MAX), std::nullopt);
  EXPECT_EQ(parse_decimal("99999999999999999999999", UINT64_MAX), std::nullopt);
  EXPECT_EQ(parse_decimal("100", 100), 100u);
  EXPECT_EQ(parse_decimal("101", 100), std::nullopt);
  EXPECT_EQ(parse_decimal("5", 4), std::nullopt);
  EXPECT_EQ(parse_decimal("0", 0), 0u);
  for (uint64_t max = 0; max < 300; ++max) {
    for (uint64_t value = 0; value < 300; ++value) {
      ASSERT_EQ(parse_decimal(decimal(value), max).has_value(), value <= max);
    }
  }
}

TEST(EqualsIgnoringCase, OnlyFoldsAsciiLetters) {
  EXPECT_TRUE(equals_ignoring_case("Stream-Closed", "sTREAM-cLOSED"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("[", "{"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_FALSE(equals_ignoring_case("\xc4", "\xe4"));
}

TEST(Rfc3339, IsReadToTheMicrosecond) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), Instant{0});
  EXPECT_EQ(parse_rfc3339("1970-01-01t00:00:01z"), Instant{1000000});
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.999999Z"), Instant{-1});
  EXPECT_EQ(parse_rfc3339("2026-01-02T03:04:05.678Z"), Instant{1767323045678000});
  EXPECT_EQ(parse_rfc3339("2000-02-29T12:00:00.5Z"), Instant{951825600500000});
  EXPECT_EQ(parse_rfc3339("2026-01-02T03:04:05.1234569999Z"), Instant{1767323045123456});
}

TEST(Rfc3339, ZonesNameTheSameInstant) {
  const auto utc = parse_rfc3339("2026-01-02T03:04:05Z");
  EXPECT_EQ(parse_rfc3339("2026-01-02T04:04:05+01:00"), utc);
  EXPECT_EQ(parse_rfc3339("2026-01-01T22:34:05-04:30"), utc);
  EXPECT_EQ(parse_rfc3339("2026-01-02T03:04:05-00:00"), utc);
  EXPECT_EQ(parse_rfc3339("2026-01-03T03:03:05+23:59"), utc);
}

TEST(Rfc3339, ALeapSecondCountsAsTheOneBefore) {
  EXPECT_EQ(parse_rfc3339("2016-12-31T23:59:60Z"), parse_rfc3339("2016-12-31T23:59:59Z"));
}

TEST(Rfc3339, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      "2026",
                                      "2026-01-02",
                                      "2026-01-02T03:04:05",
                                      "2026-01-02 03:04:05Z",
                                      "2026-13-02T03:04:05Z",
                                      "2026-00-02T03:04:05Z",
                                      "2026-01-32T03:04:05Z",
                                      "2026-01-00T03:04:05Z",
                                      "2025-02-29T03:04:05Z",
                                      "1900-02-29T03:04:05Z",
                                      "2026-04-31T03:04:05Z",
                                      "2026-01-02T24:00:00Z",
                                      "2026-01-02T03:60:05Z",
                                      "2026-01-02T03:04:61Z",
                                      "2026-01-02T03:04:05.Z",
                                      "2026-01-02T03:04:05,5Z",
                                      "2026-01-02T03:04:05+24:00",
                                      "2026-01-02T03:04:05+01:60",
                                      "2026-01-02T03:04:05+0100",
                                      "2026-01-02T03:04:05+01",
                                      "2026-01-02T03:04:05ZZ",
                                      " 2026-01-02T03:04:05Z",
                                      "2026-01-02T03:04:05Z ",
                                      "26-01-02T03:04:05Z",
                                      "+2026-01-02T03:04:05Z",
                                      "2026-1-2T3:4:5Z",
                                      "0000-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01",
                                      "tomorrow",
                                      "1767323045"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

TEST(Rfc3339, IsWrittenInMilliseconds) {
  EXPECT_EQ(rfc3339(Instant{0}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339(Instant{1767323045678999}), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(rfc3339(Instant{-1}), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(rfc3339(*parse_rfc3339("0000-01-01T00:00:00Z")), "0000-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339(*parse_rfc3339("9999-12-31T23:59:59.999Z")), "9999-12-31T23:59:59.999Z");
}

TEST(Rfc3339, IsReadBackAsWrittenOnEveryDayOfTenThousandYears) {
  const Instant first = *parse_rfc3339("0000-01-01T00:00:00Z");
  const Instant last = *parse_rfc3339("9999-12-31T23:59:59.999Z");
  tests::Random random(2);
  std::string before;
  uint64_t days = 0;
  for (Instant day = first; day < last; day = day + seconds(86400)) {
    const Instant t = day + milliseconds(static_cast<int64_t>(random.below(86400000)));
    const std::string text = rfc3339(t);
    ASSERT_EQ(parse_rfc3339(text), t) << text;
    ASSERT_LT(before, text);  // time order is text order
    before = text;
    ++days;
  }
  EXPECT_EQ(days, 3652425u);
}

TEST(Rfc3339, SurvivesEveryMutationAndWritesWhatItAccepts) {
  tests::for_each_mutation("2026-01-02T03:04:05.678+01:00", [](std::string_view input) {
    const auto instant = parse_rfc3339(input);
    if (!instant) return;
    const std::string text = rfc3339(*instant);
    ASSERT_EQ(text.size(), 24u) << input;
    ASSERT_EQ(rfc3339(*parse_rfc3339(text)), text) << input;
  });
}

TEST(JsonEscape, LeavesNothingThatEndsAString) {
  EXPECT_EQ(escaped("plain \xc3\xa9"), "plain \xc3\xa9");
  EXPECT_EQ(escaped("\"\\\n\r\t"), "\\\"\\\\\\n\\r\\t");
  EXPECT_EQ(escaped(std::string_view("\0\x1f\x7f", 3)), "\\u0000\\u001f\\u007f");
}

}  // namespace
}  // namespace ds::wire
