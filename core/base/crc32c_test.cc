#include "core/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/mutations.h"

namespace ds {
namespace {

std::string random_bytes(tests::Random& random, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(random.next());
  return bytes;
}

// The definition, bit by bit.
uint32_t crc32c_by_bits(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

TEST(Crc32c, GivesThePublishedValues) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283);
  EXPECT_EQ(crc32c(""), 0u);
  // RFC 3720 §B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aa);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43);
  std::string counting;
  for (char i = 0; i < 32; ++i) counting += i;
  EXPECT_EQ(crc32c(counting), 0x46dd794eu);
}

TEST(Crc32c, SoftwareAndHardwareAgreeAtEveryLengthAndAlignment) {
  tests::Random random(1);
  const std::string bytes = random_bytes(random, 300);
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t length = 0; length <= 280; ++length) {
      const std::string_view part = std::string_view(bytes).substr(begin, length);
      ASSERT_EQ(crc32c(part), crc32c_by_bits(part)) << begin << "+" << length;
      ASSERT_EQ(internal::crc32c_software(part, 0), crc32c_by_bits(part)) << begin << "+" << length;
    }
  }
}

TEST(Crc32c, SoftwareAndHardwareAgreeOnLongInputs) {
  tests::Random random(3);
  const std::string bytes = random_bytes(random, 70000);
  for (size_t length = 3000; length <= bytes.size(); length += length < 3200 ? 1 : 997) {
    const std::string_view part = std::string_view(bytes).substr(0, length);
    ASSERT_EQ(crc32c(part, 7), internal::crc32c_software(part, 7)) << length;
  }
}

TEST(Crc32c, GoesOnFromASeedWhereverTheInputIsCut) {
  tests::Random random(2);
  const std::string bytes = random_bytes(random, 100);
  const uint32_t whole = crc32c(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::string_view all = bytes;
    ASSERT_EQ(crc32c(all.substr(cut), crc32c(all.substr(0, cut))), whole);
    ASSERT_EQ(internal::crc32c_software(all.substr(cut),
                                        internal::crc32c_software(all.substr(0, cut), 0)),
              whole);
  }
}

TEST(Crc32c, NoticesEveryFlippedBit) {
  tests::Random random(3);
  std::string bytes = random_bytes(random, 64);
  const uint32_t before = crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const char mask = static_cast<char>(1 << (bit % 8));
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
    EXPECT_NE(crc32c(bytes), before);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  }
}

}  // namespace
}  // namespace ds
