#include "core/wire/offset_text.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

std::string text_of(Offset offset) {
  std::string out;
  append_offset(out, offset);
  return out;
}

TEST(OffsetText, HasSixteenDigitsEach) {
  EXPECT_EQ(text_of({Incarnation{1767323045678000}, Position{42}}),
            "1767323045678000_0000000000000042");
  EXPECT_EQ(text_of({}), "0000000000000000_0000000000000000");
  EXPECT_EQ(text_of({Incarnation{9999999999999999}, Position{9999999999999999}}),
            "9999999999999999_9999999999999999");
}

TEST(OffsetText, IsReadBackAsWrittenAndSortsLikeTheOffset) {
  tests::Random random(1);
  Offset before;
  for (int i = 0; i < 10000; ++i) {
    const Offset offset{Incarnation{random.below(10000000000000000) >> random.below(50)},
                        Position{random.below(10000000000000000) >> random.below(50)}};
    if (offset == Offset{}) continue;
    const auto parsed = parse_offset(text_of(offset));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->kind, OffsetParam::Kind::kAt);
    EXPECT_TRUE(parsed->names_life);
    EXPECT_EQ(parsed->at, offset);
    EXPECT_EQ(before < offset, text_of(before) < text_of(offset));
    before = offset;
  }
}

TEST(OffsetText, SentinelsAndZeroNameNoLife) {
  for (const std::string_view text : {"-1", "0000000000000000_0000000000000000"}) {
    const auto parsed = parse_offset(text);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->kind, OffsetParam::Kind::kBeginning);
    EXPECT_FALSE(parsed->names_life);
  }
  const auto now = parse_offset("now");
  ASSERT_TRUE(now);
  EXPECT_EQ(now->kind, OffsetParam::Kind::kNow);
  EXPECT_FALSE(now->names_life);
}

TEST(OffsetText, AcceptsOnlyWhatIsWritten) {
  for (const std::string_view text :
       {"", "0", "-2", "-1 ", "NOW", "now ", "0_0", "0000000000000001_000000000000000",
        "0000000000000001_00000000000000001", "0000000000000001-0000000000000001",
        "000000000000001a_0000000000000001", "+000000000000001_0000000000000001",
        " 00000000000001_00000000000000001", "0000000000000001__000000000000001", "0,1", "0 1",
        "../0000000000000000000000000000000"}) {
    EXPECT_EQ(parse_offset(text), std::nullopt) << text;
  }
}

TEST(OffsetText, WhateverIsAcceptedIsWrittenTheSameWay) {
  tests::for_each_mutation("0000000000000123_0000000000000456", [](std::string_view input) {
    const auto parsed = parse_offset(input);
    if (parsed && parsed->kind == OffsetParam::Kind::kAt) {
      EXPECT_EQ(text_of(parsed->at), input);
    }
  });
}

TEST(OffsetTextDeathTest, SeventeenDigitsAreABugOfOurs) {
  std::string out;
  EXPECT_DEATH(append_offset(out, {Incarnation{10000000000000000}, Position{0}}), "assertion");
}

}  // namespace
}  // namespace ds::wire
