#include "core/base/varint.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ds {
namespace {

std::string spelled(uint64_t value) {
  std::string out;
  put_varint(out, value);
  return out;
}

bool is_refused(std::string_view bytes) {
  ByteReader in(bytes);
  take_varint(in);
  return in.failed();
}

TEST(Varint, NumbersComeBackInAsFewBytesAsTheyNeed) {
  for (uint32_t bits = 0; bits < 64; ++bits) {
    for (const uint64_t value : {(uint64_t{1} << bits) - 1, uint64_t{1} << bits}) {
      const std::string bytes = spelled(value);
      EXPECT_EQ(bytes.size(),
                value == 0 ? 1 : (static_cast<uint32_t>(std::bit_width(value)) + 6) / 7);
      const std::string followed = bytes + "x";
      ByteReader in(followed);
      EXPECT_EQ(take_varint(in), value);
      EXPECT_EQ(in.left(), 1u);
    }
  }
  EXPECT_EQ(spelled(300), "\xac\x02");
  EXPECT_EQ(spelled(UINT64_MAX), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST(Varint, WhatIsNoNumberOrNotItsShortestSpellingIsRefused) {
  EXPECT_TRUE(is_refused(""));
  EXPECT_TRUE(is_refused("\x80"));
  EXPECT_TRUE(is_refused(std::string_view("\x80\x00", 2)));
  EXPECT_TRUE(is_refused(std::string_view("\xff\x80\x00", 3)));
  EXPECT_TRUE(is_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
  EXPECT_TRUE(is_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01"));
  EXPECT_FALSE(is_refused(std::string_view("\x00", 1)));
}

TEST(Varint, ADifferenceIsSmallEitherWayAndEveryPairHasOne) {
  EXPECT_EQ(zigzag(5, 5), 0u);
  EXPECT_EQ(zigzag(5, 4), 1u);
  EXPECT_EQ(zigzag(5, 6), 2u);
  const uint64_t numbers[] = {0, 1, 2, 1000, UINT64_MAX / 2, UINT64_MAX / 2 + 1, UINT64_MAX};
  for (const uint64_t from : numbers) {
    for (const uint64_t to : numbers) EXPECT_EQ(add_zigzag(from, zigzag(from, to)), to);
  }
}

}  // namespace
}  // namespace ds
