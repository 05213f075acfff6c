#include "store/sealed_reader.h"

#include <gtest/gtest.h>

#include "core/segment/format.h"
#include "tests/fakes/faulty_disk.h"
#include "tests/fakes/forwarding_catalog.h"
#include "tests/fakes/one_segment.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

using segment::SealedChunk;
using segment::SealedPiece;
using segment::SealedRead;

constexpr Incarnation kStream{7};
constexpr Incarnation kFork{9};

struct SealedReaderTest : testing::Test {
  fakes::TempDirectory temp;
  fakes::FaultyDisk disk;
  std::unique_ptr<ports::Directory> directory = disk.root();
  std::unique_ptr<Catalog> catalog =
      std::move(Catalog::open(temp.file("catalog.db"), Catalog::Mode::kReadWrite)).value();
  SegmentFiles files{*directory};
  std::string problem;
  SealedSource source;  // of the last read

  static std::string message(uint64_t number, uint64_t bytes) {
    return fakes::lettered_message(number, bytes);
  }
  uint64_t add_segment(Incarnation owner, uint64_t first, uint64_t count, uint64_t bytes,
                       std::vector<CatalogExtent> replaces = {}) {
    return fakes::add_segment(*catalog, *directory, owner, first, count, bytes,
                              std::move(replaces));
  }

  Result<SealedChunk, SealedReadError> read(std::vector<SealedPiece> pieces,
                                            uint64_t max_chunk_bytes, uint64_t boundary = 0) {
    SealedRead what;
    what.pieces = std::move(pieces);
    what.max_chunk_bytes = max_chunk_bytes;
    what.boundary = Position{boundary};
    problem.clear();
    return read_sealed(*catalog, files, what, &problem, &source);
  }
  static SealedPiece piece(uint64_t from, uint64_t to, Incarnation owner = kStream) {
    return {owner, Position{from}, Position{to}};
  }
};

TEST(SegmentNames, RoundTrip) {
  EXPECT_EQ(segment_name(0xa1), "00000000000000a1.seg");
  EXPECT_EQ(parse_segment_name("00000000000000a1.seg"), 0xa1u);
  EXPECT_EQ(parse_segment_name(segment_name(UINT64_MAX)), UINT64_MAX);
  for (const char* name : {"00000000000000A1.seg", "0000000000000000.seg", "a1.seg",
                           "00000000000000a1.log", "000000000000000a1.seg", ""}) {
    EXPECT_FALSE(parse_segment_name(name).has_value()) << name;
  }
}

TEST_F(SealedReaderTest, AChunkEndsWithTheFirstMessageThatReachesTheBoundary) {
  add_segment(kStream, 0, 100, 10);
  auto got = read({piece(0, 1000)}, 95);
  ASSERT_TRUE(got.ok()) << problem;
  EXPECT_EQ(got->begin, Position{0});
  EXPECT_EQ(got->end, Position{100});
  EXPECT_EQ(got->newest_ms, 9u);
  ASSERT_EQ(got->ends.size(), 10u);
  EXPECT_EQ(got->ends[0], Position{10});
  EXPECT_EQ(got->bytes->substr(88, 4), "iijj");

  // From inside a message: whole messages, and the same boundary as everybody's.
  got = read({piece(25, 1000)}, 95);
  EXPECT_EQ(got->begin, Position{20});
  EXPECT_EQ(got->end, Position{100});
  // A boundary of the caller's own; one that has been reached takes one message.
  got = read({piece(30, 1000)}, 95, 55);
  EXPECT_EQ(got->end, Position{60});
  got = read({piece(30, 1000)}, 95, 5);
  EXPECT_EQ(got->begin, Position{30});
  EXPECT_EQ(got->end, Position{40});
  // And the end of what there is.
  got = read({piece(990, 1000)}, 1 << 20);
  EXPECT_EQ(got->begin, Position{990});
  EXPECT_EQ(got->end, Position{1000});
}

TEST_F(SealedReaderTest, ExtentsAndBlocksJoinWithoutASeam) {
  // Several blocks by bytes in the first, by messages in the second.
  add_segment(kStream, 0, 300, 1000);
  add_segment(kStream, 300, 5000, 1000);
  for (const uint64_t from : {0u, 1u, 64999u, 65000u, 299999u, 300000u, 1323999u, 5299999u}) {
    for (const uint64_t chunk : {1u, 1000u, 65536u, 1000000u}) {
      const auto got = read({piece(from, 5300000)}, chunk);
      ASSERT_TRUE(got.ok()) << problem;
      const uint64_t begin = from / 1000;
      uint64_t end = (begin * 1000 / chunk + 1) * chunk;
      end = std::min<uint64_t>((end + 999) / 1000, 5300);
      ASSERT_EQ(got->begin, Position{begin * 1000});
      ASSERT_EQ(got->end, Position{end * 1000});
      ASSERT_EQ(got->ends.size(), end - begin);
      ASSERT_EQ(got->newest_ms, end - 1);
      std::string expected;
      for (uint64_t i = begin; i < end; ++i) expected += message(i, 1000);
      ASSERT_EQ(*got->bytes, expected);
    }
  }
}

TEST_F(SealedReaderTest, TellsWhereAllBytesLieIfThatIsOneFile) {
  add_segment(kStream, 0, 300, 1000);
  add_segment(kStream, 300, 300, 1000);
  int in_one_file = 0;
  for (const uint64_t from : {0u, 1u, 64999u, 65000u, 250000u, 299000u, 300000u, 599999u}) {
    const auto got = read({piece(from, 600000)}, 70000);
    ASSERT_TRUE(got.ok()) << problem;
    const bool both = got->begin < Position{300000} && got->end > Position{300000};
    ASSERT_EQ(source.file == nullptr, both) << from;
    if (both) continue;
    ++in_one_file;
    std::string there(got->bytes->size(), '\0');
    const auto size = source.file->read_at(source.offset, there.data(), there.size());
    ASSERT_TRUE(size.ok() && *size == there.size());
    ASSERT_EQ(there, *got->bytes) << from;
  }
  EXPECT_EQ(in_one_file, 7);
}

TEST_F(SealedReaderTest, AForkCutsTheMessageThatItBeganIn) {
  add_segment(kStream, 0, 10, 10);
  // The fork's own messages begin at 35, in the middle of its source's fourth.
  {
    NewSegments made(*directory, catalog->state()->next_segment);
    auto output = std::move(made.create(0, false)).value();
    output->begin_extent(kFork, Position{35});
    output->add_message("XXXXX", 70);
    output->add_message("YYYYY", 80);
    output->end_extent();
    ASSERT_FALSE(output->finish().has_value());
    made.keep();
    ASSERT_TRUE(catalog->begin().ok());
    ASSERT_FALSE(apply_segment(*catalog, *catalog->state(), *output).has_value());
    ASSERT_TRUE(catalog->finish().ok());
  }
  auto got = read({piece(20, 35), piece(35, 45, kFork)}, 1000);
  ASSERT_TRUE(got.ok()) << problem;
  EXPECT_EQ(*got->bytes, "ccccccccccdddddXXXXXYYYYY");
  EXPECT_EQ(got->ends, (std::vector<Position>{{30}, {35}, {40}, {45}}));
  EXPECT_EQ(got->newest_ms, 80u);
  // The cut is a message end like any other.
  got = read({piece(20, 35), piece(35, 45, kFork)}, 1000, 34);
  EXPECT_EQ(got->end, Position{35});
  EXPECT_EQ(got->newest_ms, 3u);
}

TEST_F(SealedReaderTest, DamageIsReportedForItsRangeOnly) {
  const uint64_t id = add_segment(kStream, 0, 300, 1000);
  add_segment(kFork, 0, 10, 10);
  const auto extent = catalog->extent_at(kStream, Position{0});
  const uint64_t head_offset = (*extent)->extent.head_offset;
  // Blocks are 66 messages here. In the data of the second one:
  disk.flip_bit(segment_name(id), 70000, 2);
  EXPECT_TRUE(read({piece(0, 300000)}, 60000).ok());
  EXPECT_TRUE(read({piece(132000, 300000)}, 300000).ok());
  const auto got = read({piece(66000, 300000)}, 1000);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error(), SealedReadError::kCorrupt);
  EXPECT_EQ(problem, segment_name(id) + " at byte 66000: messages are damaged");
  EXPECT_FALSE(read({piece(0, 300000)}, 300000).ok());
  EXPECT_TRUE(read({piece(0, 100, kFork)}, 1000).ok());
  disk.flip_bit(segment_name(id), 70000, 2);
  EXPECT_TRUE(read({piece(0, 300000)}, 300000).ok());

  // In the first message list, and in the head.
  disk.flip_bit(segment_name(id), 300000, 1);
  EXPECT_FALSE(read({piece(0, 300000)}, 1000).ok());
  EXPECT_TRUE(read({piece(66000, 300000)}, 1000).ok());
  disk.flip_bit(segment_name(id), 300000, 1);
  disk.flip_bit(segment_name(id), head_offset + 9, 1);
  EXPECT_FALSE(read({piece(66000, 300000)}, 1000).ok());
  EXPECT_EQ(problem, segment_name(id) + " at byte " + std::to_string(head_offset) +
                         ": the head of an extent is damaged");
  EXPECT_TRUE(read({piece(0, 100, kFork)}, 1000).ok());
}

TEST_F(SealedReaderTest, ACutOffFileAMissingOneAndAMissingExtentAreCorruption) {
  const uint64_t id = add_segment(kStream, 0, 10, 1000);
  const std::string content = disk.contents(segment_name(id));
  disk.set_contents(segment_name(id), content.substr(0, 5000));
  EXPECT_EQ(read({piece(0, 10000)}, 1000).error(), SealedReadError::kCorrupt);
  EXPECT_NE(problem.find("the end of the file is missing"), std::string::npos) << problem;

  files.forget(id);
  ASSERT_TRUE(directory->remove(segment_name(id)).ok());
  EXPECT_EQ(read({piece(0, 10000)}, 1000).error(), SealedReadError::kCorrupt);
  EXPECT_EQ(problem, segment_name(id) + " is missing");
  EXPECT_EQ(read({piece(10000, 20000)}, 1000).error(), SealedReadError::kCorrupt);
  EXPECT_NE(problem.find("no segment that holds stream 7 at 10000"), std::string::npos) << problem;
}

TEST_F(SealedReaderTest, ADiskThatFailsIsNotCorruption) {
  add_segment(kStream, 0, 10, 1000);
  for (uint64_t n = 0; n < 4; ++n) {
    SegmentFiles fresh(*directory);
    disk.fail_call(disk.calls() + n, ports::IoError::kFailed);
    SealedRead what;
    what.pieces = {piece(0, 10000)};
    what.max_chunk_bytes = 1 << 20;
    const auto got = read_sealed(*catalog, fresh, what, nullptr);
    disk.heal();
    ASSERT_FALSE(got.ok()) << n;
    EXPECT_EQ(got.error(), SealedReadError::kFailed);
    EXPECT_TRUE(read_sealed(*catalog, fresh, what, nullptr).ok());
  }
}

// A catalog that is one step behind: the segment that it names first has been merged away.
class LateCatalog final : public fakes::ForwardingCatalog {
 public:
  LateCatalog(Catalog& real, const CatalogExtent& stale, int times)
      : ForwardingCatalog(real), stale_(stale), times_(times) {}
  Result<std::optional<CatalogExtent>, CatalogError> extent_at(Incarnation owner,
                                                               Position at) override {
    if (times_-- > 0) return std::optional<CatalogExtent>(stale_);
    return ForwardingCatalog::extent_at(owner, at);
  }

 private:
  const CatalogExtent stale_;
  int times_;
};

TEST_F(SealedReaderTest, ASegmentThatWasMergedAwayMeanwhileIsLookedUpAgain) {
  const uint64_t old_id = add_segment(kStream, 0, 10, 1000);
  const CatalogExtent stale = **catalog->extent_at(kStream, Position{0});
  add_segment(kStream, 0, 10, 1000, {stale});
  ASSERT_TRUE(directory->remove(segment_name(old_id)).ok());
  LateCatalog late(*catalog, stale, 2);
  SealedRead what;
  what.pieces = {piece(0, 10000)};
  what.max_chunk_bytes = 1 << 20;
  const auto got = read_sealed(late, files, what, &problem);
  ASSERT_TRUE(got.ok()) << problem;
  EXPECT_EQ(got->end, Position{10000});
  LateCatalog stuck(*catalog, stale, 1000);
  EXPECT_EQ(read_sealed(stuck, files, what, &problem).error(), SealedReadError::kCorrupt);
}

TEST_F(SealedReaderTest, AReaderThatHasTheFileOpenGoesOnWhenItIsRemoved) {
  const uint64_t id = add_segment(kStream, 0, 10, 1000);
  ASSERT_TRUE(read({piece(0, 10000)}, 1000).ok());
  ASSERT_TRUE(directory->remove(segment_name(id)).ok());
  EXPECT_TRUE(read({piece(0, 10000)}, 1000).ok());
}

TEST_F(SealedReaderTest, OnlySoManyFilesAndHeadsStayOpen) {
  for (uint64_t i = 0; i < SegmentFiles::kOpenFilesMax + 10; ++i) {
    add_segment(kStream, i * 10, 10, 100);
  }
  const uint64_t end = (SegmentFiles::kOpenFilesMax + 10) * 1000;
  const auto got = read({piece(0, end)}, uint64_t{1} << 30);
  ASSERT_TRUE(got.ok()) << problem;
  EXPECT_EQ(got->end, Position{end});
  const uint64_t calls = disk.calls();
  ASSERT_TRUE(read({piece(end - 1, end)}, 1).ok());
  EXPECT_EQ(disk.calls() - calls, 3u);  // head, list, data: the file was open
}

TEST_F(SealedReaderTest, TheHeadOfALargeExtentIsReadOnce) {
  const uint64_t id = add_segment(kStream, 0, 1000, 1000);
  ASSERT_TRUE(read({piece(0, 1000000)}, 1000).ok());
  const uint64_t calls = disk.calls();
  ASSERT_TRUE(read({piece(500000, 1000000)}, 1000).ok());
  EXPECT_EQ(disk.calls() - calls, 2u);  // list, data
  files.forget(id);
  EXPECT_EQ(files.head(id, (*catalog->extent_at(kStream, Position{0}))->extent.head_offset),
            nullptr);
}

}  // namespace
}  // namespace ds::store
