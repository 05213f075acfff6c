#include "core/wire/etag.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

std::string text_of(const ETag& tag) {
  std::string out;
  append_etag(out, tag);
  return out;
}

const ETag kTag{Incarnation{17}, Position{5}, Position{99}, true, false};

TEST(ETag, SaysWhatWasRead) {
  EXPECT_EQ(text_of({Incarnation{17}, Position{5}, Position{99}}), "\"17:5:99\"");
  EXPECT_EQ(text_of(kTag), "\"17:5:99:t\"");
  EXPECT_EQ(text_of({Incarnation{17}, Position{5}, Position{99}, true, true}), "\"17:5:99:t:c\"");
}

TEST(ETag, DiffersWheneverAnythingDiffers) {
  std::set<std::string> seen;
  for (const uint64_t life : {1, 11}) {
    for (const uint64_t begin : {1, 11}) {
      for (const uint64_t end : {11, 111}) {
        for (const bool up_to_date : {false, true}) {
          for (const bool closed : {false, true}) {
            seen.insert(
                text_of({Incarnation{life}, Position{begin}, Position{end}, up_to_date, closed}));
          }
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 32u);
}

TEST(IfNoneMatch, MatchesTheTagItselfWeakOrStrong) {
  EXPECT_TRUE(if_none_match_matches("\"17:5:99:t\"", kTag));
  EXPECT_TRUE(if_none_match_matches("W/\"17:5:99:t\"", kTag));
  EXPECT_FALSE(if_none_match_matches("\"17:5:99\"", kTag));
  EXPECT_FALSE(if_none_match_matches("\"17:5:99:t:c\"", kTag));
  EXPECT_FALSE(if_none_match_matches("\"7:5:99:t\"", kTag));
}

TEST(IfNoneMatch, AStarMatchesEverything) {
  EXPECT_TRUE(if_none_match_matches("*", kTag));
  EXPECT_TRUE(if_none_match_matches(" * ", kTag));
  EXPECT_FALSE(if_none_match_matches("**", kTag));
  EXPECT_FALSE(if_none_match_matches("*, \"x\"", kTag));
}

TEST(IfNoneMatch, FindsTheTagInAList) {
  EXPECT_TRUE(if_none_match_matches("\"a\", \"17:5:99:t\"", kTag));
  EXPECT_TRUE(if_none_match_matches("\"a\",W/\"b\" ,\t\"17:5:99:t\"", kTag));
  EXPECT_TRUE(if_none_match_matches(", ,\"17:5:99:t\",,", kTag));
  EXPECT_TRUE(if_none_match_matches("\"a,b\", \"17:5:99:t\"", kTag));
  EXPECT_FALSE(if_none_match_matches("\"a\", \"b\"", kTag));
  EXPECT_FALSE(if_none_match_matches("\"a, \"17:5:99:t\"", kTag));
}

TEST(IfNoneMatch, WhatIsNoTagDoesNotMatch) {
  for (const std::string_view header :
       {"", " ", ",", "17:5:99:t", "\"17:5:99:t", "17:5:99:t\"", "w/\"17:5:99:t\"",
        "W/ \"17:5:99:t\"", "W/", "\"", "\"a\" \"17:5:99:t\""}) {
    EXPECT_FALSE(if_none_match_matches(header, kTag)) << header;
  }
}

TEST(IfNoneMatch, SurvivesEveryMutation) {
  uint64_t matches = 0;
  tests::for_each_mutation("\"a\", W/\"17:5:99:t\"", [&](std::string_view input) {
    if (!if_none_match_matches(input, kTag)) return;
    ++matches;
    EXPECT_NE(input.find("\"17:5:99:t\""), std::string_view::npos) << input;
  });
  EXPECT_GT(matches, 0u);
}

}  // namespace
}  // namespace ds::wire
