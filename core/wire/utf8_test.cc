#include "core/wire/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

std::string encode(uint32_t c) {
  const auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 63))};
  if (c < 0x10000) return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 63)), byte(0x80 | (c >> 6 & 63)),
          byte(0x80 | (c & 63))};
}

std::string lossy(std::string_view bytes) {
  std::string out;
  append_utf8_lossy(out, bytes);
  return out;
}

std::string replacements(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += kReplacement;
  return out;
}

TEST(Utf8, EveryCharacterIsValidAndASurrogateIsNot) {
  for (uint32_t c = 0; c <= 0x10ffff; ++c) {
    const std::string text = encode(c);
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    ASSERT_EQ(utf8_valid(text), !surrogate) << c;
    ASSERT_EQ(utf8_character_bytes(text), surrogate ? 0 : text.size()) << c;
    if (!surrogate) {
      ASSERT_EQ(lossy(text), text);
    }
  }
  EXPECT_FALSE(utf8_valid(encode(0x110000)));
  EXPECT_EQ(utf8_character_bytes(""), 0u);
}

TEST(Utf8, EveryPrefixOfACharacterIsIncomplete) {
  for (uint32_t c = 0; c <= 0x10ffff; c += 7) {
    if (c >= 0xd800 && c <= 0xdfff) continue;
    const std::string text = encode(c);
    for (size_t length = 0; length < text.size(); ++length) {
      const std::string cut = "ab\xc3\xa9" + text.substr(0, length);
      ASSERT_EQ(utf8_incomplete_suffix(cut), length) << c;
      ASSERT_EQ(utf8_incomplete_suffix(text.substr(0, length)), length) << c;
    }
    ASSERT_EQ(utf8_incomplete_suffix(text), 0u) << c;
  }
}

TEST(Utf8, WhatCannotBecomeValidIsNotHeldBack) {
  for (const std::string_view text :
       {"\x80", "\xbf\xbf\xbf\xbf", "\xc0", "\xc1", "\xf5", "\xff", "\xe0\x80", "\xed\xa0",
        "\xf0\x80", "\xf4\x90", "\xe2\x28", "a", "", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "\xc3\xa9\x80"}) {
    EXPECT_EQ(utf8_incomplete_suffix(text), 0u) << testing::PrintToString(std::string(text));
  }
}

// What comes out of browsers' TextDecoder for the same bytes.
TEST(Utf8, EachMaximalInvalidPartIsReplacedOnce) {
  EXPECT_EQ(lossy("a\x80z"), "a" + replacements(1) + "z");
  EXPECT_EQ(lossy("\xf0\x9f\x98"), replacements(1));
  EXPECT_EQ(lossy("\xf0\x9f\x98z"), replacements(1) + "z");
  EXPECT_EQ(lossy("\xf0\x9f\xf0\x9f\x98\x80"), replacements(1) + "\xf0\x9f\x98\x80");
  EXPECT_EQ(lossy("\xe2\x82"), replacements(1));
  EXPECT_EQ(lossy("\xed\xa0\x80"), replacements(3));
  EXPECT_EQ(lossy("\xc0\xaf"), replacements(2));
  EXPECT_EQ(lossy("\xe0\x80\xaf"), replacements(3));
  EXPECT_EQ(lossy("\xf4\x90\x80\x80"), replacements(4));
  EXPECT_EQ(lossy("\xff\xfe"), replacements(2));
  EXPECT_EQ(lossy("\xf0\x80\x80\x41"), replacements(3) + "A");
}

TEST(Utf8, LossyTextIsValidAndValidTextIsUntouched) {
  tests::Random random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (uint64_t n = random.below(24); n > 0; --n) {
      if (random.below(3) == 0) {
        bytes += static_cast<char>(random.next());
      } else {
        bytes += encode(static_cast<uint32_t>(random.below(0x10ffff) >> random.below(20)));
      }
    }
    const std::string clean = lossy(bytes);
    ASSERT_TRUE(utf8_valid(clean));
    ASSERT_EQ(clean == bytes, utf8_valid(bytes));
    ASSERT_LE(utf8_incomplete_suffix(bytes), 3u);
  }
}

TEST(Utf8, AsciiRunsHideNothingAtAnyAlignment) {
  for (size_t before = 0; before < 20; ++before) {
    for (size_t after = 0; after < 20; ++after) {
      const std::string text = std::string(before, 'a') + "\xc3" + std::string(after, 'b');
      ASSERT_FALSE(utf8_valid(text));
      ASSERT_EQ(lossy(text), std::string(before, 'a') + replacements(1) + std::string(after, 'b'));
    }
  }
}

// The property that lets live readers be given text at message ends: held-back bytes plus what
// follows say the same as the whole.
TEST(Utf8, HoldingBackTheIncompleteSuffixLosesNothing) {
  tests::Random random(2);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (uint64_t n = random.below(8); n > 0; --n) {
      bytes += random.below(4) == 0 ? std::string(1, static_cast<char>(random.next()))
                                    : encode(static_cast<uint32_t>(random.below(0x10ffff)));
    }
    const size_t cut = random.below(bytes.size() + 1);
    const std::string first = bytes.substr(0, cut);
    const size_t held = utf8_incomplete_suffix(first);
    const std::string given = first.substr(0, cut - held);
    ASSERT_EQ(lossy(given) + lossy(bytes.substr(cut - held)), lossy(bytes));
  }
}

}  // namespace
}  // namespace ds::wire
