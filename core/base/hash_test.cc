#include "core/base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds {
namespace {

// The published SipHash-1-3 vectors: key bytes 00..0f, message n = bytes 00..n-1, here as numbers.
// They cover every length of the last block.
TEST(SipHash13, GivesThePublishedValues) {
  const std::vector<uint64_t> expected = {
      0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb,
      0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140,
      0x369095118d299a8e, 0x25a48eb36c063de4, 0x79de85ee92ff097f, 0x70c118c1f94dc352,
      0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34, 0xd320d86d2a519956,
      0xcc4fdd1a7d908b66,
  };
  const HashKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string message;
  for (size_t n = 0; n < expected.size(); ++n) {
    EXPECT_EQ(siphash13(message, key), expected[n]) << n << " bytes";
    message += static_cast<char>(n);
  }
}

TEST(SipHash13, AgreesWithAnotherImplementationUnderTheZeroKey) {
  EXPECT_EQ(siphash13("a", {}), 0x407448d2b89b1813u);
  EXPECT_EQ(siphash13("hello", {}), 0xe2e77b41cb4e1f9eu);
  EXPECT_EQ(siphash13("12345678", {}), 0x3489982430560a87u);
  EXPECT_EQ(siphash13("0123456789abcde", {}), 0x26f4d862282d8fcbu);
}

TEST(SipHash13, DependsOnBothHalvesOfTheKey) {
  const uint64_t before = siphash13("stream", {1, 2});
  EXPECT_NE(siphash13("stream", {3, 2}), before);
  EXPECT_NE(siphash13("stream", {1, 3}), before);
}

// Part of the log's format: a change makes every existing log unreadable.
TEST(PathHash, NeverChanges) {
  EXPECT_EQ(path_hash("_default/orders"), 0x14752b4c29a03999u);
  EXPECT_EQ(path_hash(""), 0xad9c7abcc7fc68f4u);
}

}  // namespace
}  // namespace ds
