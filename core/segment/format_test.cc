#include "core/segment/format.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/segment/test_segment.h"

namespace ds::segment {
namespace {

using tests::Random;

std::string_view trailer_of(std::string_view file) {
  return file.substr(file.size() - kTrailerBytes);
}

std::string_view heads_of(std::string_view file, const Trailer& trailer) {
  return file.substr(static_cast<size_t>(trailer.heads_offset),
                     static_cast<size_t>(trailer.heads_bytes));
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// A size that is mostly small and sometimes larger than a block.
uint64_t random_size(Random& random) {
  switch (random.below(16)) {
    case 0:
      return 1 + random.below(300 << 10);
    case 1:
      return kBlockBytes - 1 + random.below(3);
    case 2:
    case 3:
      return 1 + random.below(4096);
    default:
      return 1 + random.below(64);
  }
}

StoredExtent random_extent(Random& random, uint64_t messages) {
  StoredExtent extent{Incarnation{random.next() >> random.below(64)},
                      Position{random.below(4) == 0 ? 0 : random.next() >> (1 + random.below(63))},
                      {}};
  uint64_t time = 1751328000000;
  for (uint64_t i = 0; i < messages; ++i) {
    time += random.below(2000);
    time -= random.below(4) == 0 ? random.below(100000) : 0;
    extent.messages.push_back({random_bytes(random, random_size(random)), time});
  }
  return extent;
}

TEST(SegmentFormat, WhatWasWrittenIsReadBack) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    std::vector<StoredExtent> stored;
    for (uint64_t n = 1 + random.below(6); n > 0; --n) {
      stored.push_back(random_extent(random, 1 + random.below(random.below(3) == 0 ? 60 : 4)));
    }
    const WrittenSegment written = write_segment(stored);
    const auto read = read_segment(written.bytes);
    ASSERT_TRUE(read.has_value()) << "seed " << seed;
    EXPECT_TRUE(*read == stored) << "seed " << seed;
    EXPECT_EQ(write_segment(stored).bytes, written.bytes);
  }
}

TEST(SegmentFormat, AHeadAloneTellsWhatTheWriterToldOfItsExtent) {
  Random random(7);
  const std::vector<StoredExtent> stored = {random_extent(random, 50), random_extent(random, 1),
                                            random_extent(random, 3)};
  const WrittenSegment written = write_segment(stored);
  ASSERT_EQ(written.extents.size(), stored.size());
  uint64_t data_offset = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    const Extent& extent = written.extents[i];
    uint64_t bytes = 0;
    for (const StoredMessage& message : stored[i].messages) bytes += message.bytes.size();
    EXPECT_EQ(extent.stream, stored[i].stream);
    EXPECT_EQ(extent.begin, stored[i].begin);
    EXPECT_EQ(extent.end, stored[i].begin + bytes);
    EXPECT_EQ(extent.data_offset, data_offset);
    EXPECT_EQ(extent.newest_ms, stored[i].messages.back().time_ms);
    EXPECT_EQ(extent.messages, stored[i].messages.size());
    data_offset += bytes;

    const auto head =
        decode_head(std::string_view(written.bytes)
                        .substr(static_cast<size_t>(extent.head_offset), extent.head_bytes));
    ASSERT_TRUE(head.has_value());
    EXPECT_EQ(head->extent.stream, extent.stream);
    EXPECT_EQ(head->extent.begin, extent.begin);
    EXPECT_EQ(head->extent.end, extent.end);
    EXPECT_EQ(head->extent.data_offset, extent.data_offset);
    EXPECT_EQ(head->extent.newest_ms, extent.newest_ms);
    EXPECT_EQ(head->extent.messages, extent.messages);
    EXPECT_EQ(head->extent.head_bytes, extent.head_bytes);
    const auto read = read_extent(written.bytes, *head);
    ASSERT_TRUE(read.has_value());
    EXPECT_TRUE(*read == stored[i]);
  }
}

TEST(SegmentFormat, TheBytesOfASmallSegmentNeverChange) {
  // Data; lists; two heads, each with one block; trailer.
  EXPECT_EQ(hex(write_segment(small_segment()).bytes),
            "612c62632c68656c6c6f"
            "02f6a1c4b4f8650305"
            "0590a3c4b4f865"
            "ab942197"
            "8080cd9aad9a8e0300000af890a29afc3201"
            "050209af6512bb9d9f6f75"
            "44661ada"
            "8780cd9aad9a8e0380200513c891a29afc3201"
            "0501074cbb719a374c621c"
            "64732d7365676d7401000000710990d7"
            "0a000000000000001a00000000000000"
            "43000000000000000200000000000000"
            "9d000000000000000c305e3b00000000");
}

TEST(SegmentFormat, ABlockEndsWithTheMessageThatFillsIt) {
  StoredExtent extent{Incarnation{1}, Position{0}, {}};
  for (uint64_t i = 0; i < kBlockMessages + 1; ++i) extent.messages.push_back({"x", 5});
  extent.messages.push_back({std::string(kBlockBytes - 2, 'y'), 5});
  extent.messages.push_back({"zz", 5});
  extent.messages.push_back({"after", 5});
  const WrittenSegment written = write_segment({extent});
  const auto trailer = decode_trailer(trailer_of(written.bytes));
  ASSERT_TRUE(trailer.has_value());
  const auto heads = decode_heads(heads_of(written.bytes, *trailer), *trailer);
  ASSERT_TRUE(heads.has_value());
  const std::vector<Block>& blocks = heads->front().blocks;
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].messages, kBlockMessages);
  EXPECT_EQ(blocks[1].messages, 3u);
  EXPECT_EQ(blocks[1].end - blocks[1].begin, kBlockBytes + 1);
  EXPECT_EQ(blocks[2].messages, 1u);
}

TEST(SegmentFormat, AMessageAsLargeAsABlockIsABlockOfItsOwn) {
  const StoredExtent extent{Incarnation{1},
                            Position{0},
                            {{"before", 1},
                             {std::string(kBlockBytes, 'b'), 1},
                             {"after", 1},
                             {std::string(300000, 'c'), 1}}};
  const WrittenSegment written = write_segment({extent});
  const Extent& told = written.extents.front();
  const auto head =
      decode_head(std::string_view(written.bytes)
                      .substr(static_cast<size_t>(told.head_offset), told.head_bytes));
  ASSERT_TRUE(head.has_value());
  ASSERT_EQ(head->blocks.size(), 4u);
  for (const Block& block : head->blocks) EXPECT_EQ(block.messages, 1u);
}

TEST(SegmentFormat, ATinyStreamCostsFewBytesBesideItsData) {
  std::vector<StoredExtent> stored;
  constexpr uint64_t kStreams = 100000;
  for (uint64_t i = 0; i < kStreams; ++i) {
    stored.push_back({Incarnation{1751328000000000 + i * 50},
                      Position{0},
                      {{std::string(100, 'x'), 1751328000000 + i / 20}}});
  }
  const WrittenSegment written = write_segment(stored);
  EXPECT_LE(written.bytes.size(), kStreams * (100 + 48));
}

TEST(SegmentFormat, TheWriterCountsWhatItsCallerHasTakenAway) {
  const WrittenSegment whole = write_segment(small_segment());
  std::string taken;
  std::string out;
  Writer writer(out);
  for (const StoredExtent& extent : small_segment()) {
    writer.begin_extent(extent.stream, extent.begin);
    for (const StoredMessage& message : extent.messages) {
      writer.add_message(message.bytes, message.time_ms);
      taken += out;
      out.clear();
      EXPECT_EQ(writer.bytes(), taken.size());
    }
    writer.end_extent();
  }
  writer.finish();
  EXPECT_EQ(taken + out, whole.bytes);
  EXPECT_EQ(writer.bytes(), whole.bytes.size());
}

TEST(SegmentFormat, EveryByteThatChangesIsNoticed) {
  const std::string whole = write_segment(small_segment()).bytes;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (uint32_t flip = 1; flip < 256; ++flip) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(flip));
      EXPECT_FALSE(read_segment(damaged).has_value()) << "byte " << at << " flip " << flip;
    }
  }
}

TEST(SegmentFormat, AHeadThatChangesIsNoticedWithoutTheRest) {
  const WrittenSegment written = write_segment(small_segment());
  const Extent& extent = written.extents.front();
  const std::string whole =
      written.bytes.substr(static_cast<size_t>(extent.head_offset), extent.head_bytes);
  ASSERT_TRUE(decode_head(whole).has_value());
  tests::for_each_mutation(whole, [&whole](std::string_view bytes) {
    EXPECT_EQ(decode_head(bytes).has_value(), bytes == whole);
  });
}

TEST(SegmentFormat, AFileOfAnotherLengthIsNoticed) {
  const std::string whole = write_segment(small_segment()).bytes;
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_segment(std::string_view(whole).substr(0, size)).has_value());
  }
  EXPECT_FALSE(read_segment(whole + "x").has_value());
  EXPECT_FALSE(read_segment(std::string_view(whole).substr(1)).has_value());
}

TEST(SegmentFormat, AnotherVersionIsToldFromDamage) {
  const std::string whole = write_segment(small_segment()).bytes;
  std::string trailer(trailer_of(whole));
  Trailer decoded;
  EXPECT_EQ(read_trailer(trailer, &decoded), TrailerState::kValid);
  EXPECT_EQ(decoded.file_bytes, whole.size());

  put_at<uint32_t>(trailer, 8, kVersion + 1);
  EXPECT_EQ(read_trailer(trailer, &decoded), TrailerState::kDamaged);
  put_at<uint32_t>(trailer, 12, crc32c(trailer.substr(16), crc32c(trailer.substr(0, 12))));
  EXPECT_EQ(read_trailer(trailer, &decoded), TrailerState::kOtherVersion);
  EXPECT_FALSE(decode_trailer(trailer).has_value());

  trailer[0] = 'D';
  EXPECT_EQ(read_trailer(trailer, &decoded), TrailerState::kForeign);
  EXPECT_EQ(read_trailer("", &decoded), TrailerState::kForeign);
  EXPECT_EQ(read_trailer(std::string(kTrailerBytes, '\0'), &decoded), TrailerState::kForeign);
}

// A trailer with good checksums and one field changed to something that can not be.
TEST(SegmentFormat, ATrailerThatDoesNotAddUpIsDamaged) {
  const std::string whole = write_segment(small_segment()).bytes;
  for (const size_t field : {16u, 24u, 32u, 40u, 48u}) {
    for (const uint64_t value : {uint64_t{0}, uint64_t{1} << 40, UINT64_MAX}) {
      std::string trailer(trailer_of(whole));
      put_at<uint64_t>(trailer, field, value);
      put_at<uint32_t>(trailer, 12, crc32c(trailer.substr(16), crc32c(trailer.substr(0, 12))));
      const auto decoded = decode_trailer(trailer);
      // A count of extents is compared with the heads.
      if (decoded) {
        EXPECT_EQ(field, 40u);
        EXPECT_FALSE(decode_heads(heads_of(whole, *decoded), *decoded).has_value());
      }
    }
  }
}

// Bytes that carry the right checksums, as an attacker's or a bug's would: no decoder may crash,
// run over, or take memory for what is not there.
TEST(SegmentFormat, NonsenseWithGoodChecksumsIsRefusedOrHarmless) {
  const WrittenSegment written = write_segment(small_segment());
  const Extent& extent = written.extents.front();
  const std::string head =
      written.bytes.substr(static_cast<size_t>(extent.head_offset), extent.head_bytes);
  tests::for_each_mutation(head.substr(4), [](std::string_view body) {
    std::string bytes;
    put(bytes, crc32c(body));
    bytes.append(body);
    const auto decoded = decode_head(bytes);
    if (!decoded) return;
    EXPECT_EQ(decoded->blocks.front().begin, decoded->extent.begin);
    EXPECT_EQ(decoded->blocks.back().end, decoded->extent.end);
    EXPECT_LT(decoded->extent.begin, decoded->extent.end);
  });
  const auto decoded = decode_head(head);
  ASSERT_TRUE(decoded.has_value());
  const Block& block = decoded->blocks.front();
  const std::string list =
      written.bytes.substr(static_cast<size_t>(block.list_offset), block.list_bytes);
  for (const uint32_t messages : {0u, 1u, 2u, 3u, UINT32_MAX}) {
    tests::for_each_mutation(list, [&](std::string_view bytes) {
      Block other = block;
      other.messages = messages;
      other.list_bytes = static_cast<uint32_t>(bytes.size());
      other.list_crc = crc32c(bytes);
      const auto read = decode_messages(other, bytes);
      if (!read) return;
      EXPECT_EQ(read->size(), messages);
      EXPECT_EQ(read->back().end, block.end);
    });
  }
}

}  // namespace
}  // namespace ds::segment
