#include "store/segment_check.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/segment/test_segment.h"

namespace ds::store {
namespace {

using segment::StoredExtent;

// A file whose bytes [bad, bad_end) can not be read.
class FileWithBadBytes final : public ports::File {
 public:
  FileWithBadBytes(std::string content, uint64_t bad, uint64_t bad_end)
      : content_(std::move(content)), bad_(bad), bad_end_(bad_end) {}
  ports::IoStatus write_at(uint64_t, std::span<const std::string_view>) override {
    return ports::IoError::kReadOnly;
  }
  ports::IoStatus sync() override { return {}; }
  Result<uint64_t, ports::IoError> read_at(uint64_t position, char* to,
                                           uint64_t size) const override {
    if (position < bad_end_ && position + size > bad_) return ports::IoError::kFailed;
    return uint64_t{content_.copy(to, size, position)};
  }
  Result<uint64_t, ports::IoError> read_uncached(uint64_t position, char* to,
                                                 uint64_t size) const override {
    return read_at(position, to, size);
  }
  Result<uint64_t, ports::IoError> size() const override { return uint64_t{content_.size()}; }
  ports::IoStatus truncate(uint64_t) override { return ports::IoError::kReadOnly; }
  Result<bool, ports::IoError> reserve(uint64_t) override { return false; }

 private:
  std::string content_;
  uint64_t bad_;
  uint64_t bad_end_;
};

// Streams of several blocks, one message of more than a view of the file holds among them.
std::vector<StoredExtent> large_segment() {
  tests::Random random(3);
  std::vector<StoredExtent> stored;
  for (uint64_t i = 0; i < 3; ++i) {
    StoredExtent extent{Incarnation{10 + i}, Position{i * 1000}, {}};
    for (uint64_t n = 0; n < 40; ++n) {
      extent.messages.push_back({segment::random_bytes(random, 1 + random.below(30000)), n});
    }
    extent.messages.push_back({segment::random_bytes(random, i == 1 ? 3 << 20 : 5), 99});
    stored.push_back(std::move(extent));
  }
  return stored;
}

std::vector<SegmentDamage> damages_of(const ports::File& file) {
  std::vector<SegmentDamage> damages;
  SegmentVisitor visitor;
  visitor.on_damage = [&](const SegmentDamage& damage) { damages.push_back(damage); };
  const auto totals = check_segment(file, visitor);
  EXPECT_TRUE(totals.ok() && totals->damages == damages.size());
  return damages;
}

TEST(SegmentCheck, SeesEveryExtentBlockAndMessageOfAnIntactFile) {
  const std::vector<StoredExtent> stored = large_segment();
  const FileWithBadBytes file(segment::write_segment(stored).bytes, UINT64_MAX, UINT64_MAX);
  std::vector<StoredExtent> seen;
  uint64_t blocks = 0;
  SegmentVisitor visitor;
  visitor.on_extent = [&](const segment::Head& head) {
    seen.push_back({head.extent.stream, head.extent.begin, {}});
    blocks += head.blocks.size();
  };
  visitor.on_messages = [&](const segment::Block&, const std::vector<segment::Message>& messages) {
    for (const auto& message : messages) seen.back().messages.push_back({"", message.time_ms});
  };
  visitor.on_damage = [](const SegmentDamage& damage) { ADD_FAILURE() << damage.what; };
  const auto totals = check_segment(file, visitor);
  ASSERT_TRUE(totals.ok());
  EXPECT_EQ(totals->extents, stored.size());
  EXPECT_EQ(totals->blocks, blocks);
  EXPECT_EQ(totals->messages, 3u * 41);
  EXPECT_EQ(totals->damages, 0u);
  std::vector<StoredExtent> expected = stored;
  for (StoredExtent& extent : expected) {
    for (auto& message : extent.messages) message.bytes.clear();
  }
  EXPECT_TRUE(seen == expected);
}

TEST(SegmentCheck, NamesTheBlockOfEachDamagedByteAndNoOther) {
  const std::string whole = segment::write_segment(large_segment()).bytes;
  tests::Random random(5);
  for (int n = 0; n < 20; ++n) {
    std::string bytes = whole;
    const size_t at = static_cast<size_t>(random.below(whole.size() - segment::kTrailerBytes));
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    const auto damages = damages_of(FileWithBadBytes(bytes, UINT64_MAX, UINT64_MAX));
    ASSERT_EQ(damages.size(), 1u) << at;
    EXPECT_LE(damages[0].offset, at);
    EXPECT_LT(at, damages[0].offset + damages[0].bytes);
  }
}

TEST(SegmentCheck, WhatCanNotBeReadIsDamageAndTheRestIsChecked) {
  const auto written = segment::write_segment(segment::small_segment());
  const auto data = damages_of(FileWithBadBytes(written.bytes, 0, 1));
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(data[0].what, "data of stream 1751328000000000 at [0, 5), which can not be read");
  const auto heads = damages_of(FileWithBadBytes(written.bytes, written.extents[0].head_offset,
                                                 written.extents[0].head_offset + 1));
  ASSERT_FALSE(heads.empty());
  EXPECT_EQ(heads[0].what, "heads, which can not be read");
  EXPECT_EQ(heads[0].offset, written.extents[0].head_offset);
}

TEST(SegmentCheck, AFileThatCanNotBeReadIsNotCalledForeign) {
  const std::string whole = segment::write_segment(segment::small_segment()).bytes;
  const FileWithBadBytes file(whole, whole.size() - 1, whole.size());
  const auto totals = check_segment(file, {});
  ASSERT_FALSE(totals.ok());
  EXPECT_EQ(totals.error().kind, SegmentUnreadable::Kind::kIo);
}

}  // namespace
}  // namespace ds::store
