#include "store/catalog.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "store/sqlite.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

using Kind = CatalogError::Kind;
using Mode = Catalog::Mode;

struct CatalogTest : testing::Test {
  fakes::TempDirectory directory;
  std::string path = directory.file("catalog.db");

  std::unique_ptr<Catalog> open(Mode mode = Mode::kReadWrite) {
    auto opened = Catalog::open(path, mode);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().message);
    return opened.ok() ? std::move(opened).value() : nullptr;
  }
  Kind refusal(Mode mode) {
    const auto opened = Catalog::open(path, mode);
    EXPECT_FALSE(opened.ok());
    return opened.ok() ? Kind::kIo : opened.error().kind;
  }
  // Runs SQL on the file behind the catalog's back.
  void sql(const char* text) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, text, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(handle);
  }
};

CatalogStream stream(uint64_t id, std::string path, Instant due = kNever, bool pinned = false) {
  return {Incarnation{id}, std::move(path), "snapshot of " + std::to_string(id), due, pinned};
}

CatalogExtent extent(uint64_t owner, uint64_t begin, uint64_t end, uint64_t segment) {
  CatalogExtent made;
  made.segment = segment;
  made.extent.stream = Incarnation{owner};
  made.extent.begin = Position{begin};
  made.extent.end = Position{end};
  made.extent.data_offset = begin + 1;
  made.extent.head_offset = begin + 2;
  made.extent.head_bytes = 33;
  made.extent.newest_ms = 44;
  made.extent.messages = 5;
  return made;
}

CatalogSegment new_segment(uint64_t id, bool single = false, uint32_t level = 0) {
  CatalogSegment made;
  made.id = id;
  made.level = level;
  made.single = single;
  made.bytes = 1000 + id;
  made.data_bytes = 500 + id;
  made.extents = 2;
  return made;
}

std::vector<std::string> paths(const std::vector<CatalogStream>& streams) {
  std::vector<std::string> found;
  for (const CatalogStream& stream : streams) found.push_back(stream.path);
  return found;
}

std::vector<uint64_t> ids(const std::vector<Catalog::Due>& due) {
  std::vector<uint64_t> found;
  for (const Catalog::Due& each : due) found.push_back(each.id.value);
  return found;
}

TEST_F(CatalogTest, ANewCatalogIsEmpty) {
  const auto catalog = open();
  const auto state = catalog->state();
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->sealed_through, 0u);
  EXPECT_EQ(state->next_segment, 1u);
  EXPECT_EQ(state->highest_life, Incarnation{0});
  EXPECT_EQ(*catalog->stream_count(), 0u);
  EXPECT_TRUE(catalog->segments()->empty());
  EXPECT_TRUE(catalog->open_pins()->empty());
  EXPECT_FALSE(catalog->find("/a")->has_value());
  EXPECT_TRUE(catalog->check()->empty());
}

TEST_F(CatalogTest, WhatWasCommittedIsThereInTheNextProcess) {
  CatalogChange change;
  change.streams = {stream(7, "/a", Instant{5000}, true), stream(8, "/b")};
  change.segments = {new_segment(1), new_segment(2, true, 3)};
  change.extents = {extent(7, 0, 100, 1), extent(7, 100, 250, 2), extent(8, 0, 9, 1)};
  change.open_pins = {{Incarnation{7}, Incarnation{9}}};
  change.state = {4, Incarnation{9}, Incarnation{3}, 3};
  ASSERT_TRUE(open()->commit(change).ok());

  const auto catalog = open();
  EXPECT_EQ(catalog->state()->sealed_through, 4u);
  EXPECT_EQ(catalog->state()->highest_life, Incarnation{9});
  EXPECT_EQ(catalog->state()->lost_life, Incarnation{3});
  EXPECT_EQ(catalog->state()->next_segment, 3u);
  EXPECT_EQ(*catalog->stream_count(), 2u);

  const auto found = catalog->find("/a");
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->id, Incarnation{7});
  EXPECT_EQ((*found)->snapshot, "snapshot of 7");
  EXPECT_EQ((*found)->due, Instant{5000});
  EXPECT_TRUE((*found)->pinned);
  EXPECT_EQ((*catalog->find(Incarnation{8}))->path, "/b");
  EXPECT_EQ((*catalog->find(Incarnation{8}))->due, kNever);

  const auto segments = catalog->segments();
  ASSERT_EQ(segments->size(), 2u);
  EXPECT_EQ((*segments)[0].live_bytes, 109u);
  EXPECT_EQ((*segments)[0].data_bytes, 501u);
  EXPECT_EQ((*segments)[1].live_bytes, 150u);
  EXPECT_EQ((*segments)[1].level, 3u);
  EXPECT_TRUE((*segments)[1].single);

  const auto extents = catalog->extents_of(Incarnation{7});
  ASSERT_EQ(extents->size(), 2u);
  const CatalogExtent& second = (*extents)[1];
  EXPECT_EQ(second.segment, 2u);
  EXPECT_EQ(second.extent.begin, Position{100});
  EXPECT_EQ(second.extent.end, Position{250});
  EXPECT_EQ(second.extent.data_offset, 101u);
  EXPECT_EQ(second.extent.head_offset, 102u);
  EXPECT_EQ(second.extent.head_bytes, 33u);
  EXPECT_EQ(second.extent.newest_ms, 44u);
  EXPECT_EQ(second.extent.messages, 5u);
  EXPECT_EQ(catalog->open_pins()->at(0), std::pair(Incarnation{7}, Incarnation{9}));
}

TEST_F(CatalogTest, TheExtentAtAPositionIsTheOneThatHoldsThatByte) {
  const auto catalog = open();
  CatalogChange change;
  change.extents = {extent(7, 10, 100, 1), extent(7, 200, 300, 1), extent(8, 0, 1000, 1)};
  ASSERT_TRUE(catalog->commit(change).ok());
  const auto begin_at = [&](uint64_t at) -> uint64_t {
    const auto found = catalog->extent_at(Incarnation{7}, Position{at});
    return found->has_value() ? (*found)->extent.begin.value : UINT64_MAX;
  };
  EXPECT_EQ(begin_at(9), UINT64_MAX);
  EXPECT_EQ(begin_at(10), 10u);
  EXPECT_EQ(begin_at(99), 10u);
  EXPECT_EQ(begin_at(100), UINT64_MAX);
  EXPECT_EQ(begin_at(200), 200u);
  EXPECT_EQ(begin_at(299), 200u);
  EXPECT_EQ(begin_at(300), UINT64_MAX);
}

TEST_F(CatalogTest, ANewSnapshotReplacesTheOldOneAndCountsNoStream) {
  const auto catalog = open();
  CatalogChange change;
  change.streams = {stream(7, "/a", Instant{10}, true)};
  ASSERT_TRUE(catalog->commit(change).ok());
  change.streams = {stream(7, "/a"), stream(8, "/b")};
  change.streams[0].known = true;
  change.streams[0].snapshot = "newer";
  ASSERT_TRUE(catalog->commit(change).ok());
  EXPECT_EQ(*catalog->stream_count(), 2u);
  const auto found = catalog->find(Incarnation{7});
  EXPECT_EQ((*found)->snapshot, "newer");
  EXPECT_EQ((*found)->due, kNever);
  EXPECT_FALSE((*found)->pinned);
}

TEST_F(CatalogTest, RemovalsComeBeforeAdditions) {
  const auto catalog = open();
  CatalogChange change;
  change.streams = {stream(7, "/a"), stream(8, "/b")};
  change.segments = {new_segment(1), new_segment(2)};
  change.extents = {extent(7, 0, 100, 1), extent(8, 0, 30, 1), extent(8, 30, 40, 2)};
  change.open_pins = {{Incarnation{8}, Incarnation{20}}};
  ASSERT_TRUE(catalog->commit(change).ok());

  // The path goes to another stream, an extent moves to another segment, all in one change.
  CatalogChange next;
  next.streams = {stream(9, "/a")};
  next.removed_streams = {Incarnation{7}};
  next.removed_extents = {extent(8, 0, 30, 1), extent(8, 30, 40, 2)};
  next.extents = {extent(8, 0, 40, 3)};
  next.removed_segments = {1, 2};
  next.segments = {new_segment(3)};
  next.settled_pins = {Incarnation{20}, Incarnation{21}};
  ASSERT_TRUE(catalog->commit(next).ok());
  EXPECT_EQ((*catalog->find("/a"))->id, Incarnation{9});
  EXPECT_FALSE(catalog->find(Incarnation{7})->has_value());
  EXPECT_TRUE(catalog->extents_of(Incarnation{7})->empty());
  EXPECT_EQ(catalog->extents_of(Incarnation{8})->size(), 1u);
  EXPECT_TRUE(catalog->open_pins()->empty());
  EXPECT_EQ(*catalog->stream_count(), 2u);
  const auto segments = catalog->segments();
  ASSERT_EQ(segments->size(), 1u);
  EXPECT_EQ((*segments)[0].id, 3u);
  EXPECT_EQ((*segments)[0].live_bytes, 40u);
}

TEST_F(CatalogTest, ASegmentsLiveBytesAreTheSumOfItsExtents) {
  const auto catalog = open();
  CatalogChange change;
  change.streams = {stream(7, "/a"), stream(8, "/b")};
  change.segments = {new_segment(1), new_segment(2)};
  change.extents = {extent(7, 0, 100, 1), extent(8, 0, 30, 1), extent(8, 30, 40, 2)};
  ASSERT_TRUE(catalog->commit(change).ok());
  CatalogChange trim;
  trim.removed_extents = {extent(8, 0, 30, 1)};
  ASSERT_TRUE(catalog->commit(trim).ok());
  EXPECT_EQ(catalog->segments()->at(0).live_bytes, 100u);
  // What is not there any more is not taken twice.
  ASSERT_TRUE(catalog->commit(trim).ok());
  CatalogChange removal;
  removal.removed_streams = {Incarnation{7}, Incarnation{70}};
  ASSERT_TRUE(catalog->commit(removal).ok());
  EXPECT_EQ(catalog->segments()->at(0).live_bytes, 0u);
  EXPECT_EQ(catalog->segments()->at(1).live_bytes, 10u);
  EXPECT_EQ(*catalog->stream_count(), 1u);
}

TEST_F(CatalogTest, DueStreamsComeInOrderAndPageWithoutGaps) {
  const auto catalog = open();
  CatalogChange change;
  change.streams = {
      stream(1, "/1", Instant{30}), stream(2, "/2", Instant{10}), stream(3, "/3"),
      stream(4, "/4", Instant{20}), stream(5, "/5", Instant{20}), stream(6, "/6", Instant{40})};
  ASSERT_TRUE(catalog->commit(change).ok());
  const Catalog::Due start{Instant{0}, Incarnation{0}};
  EXPECT_EQ(ids(*catalog->due(start, Instant{30}, 10)), (std::vector<uint64_t>{2, 4, 5, 1}));
  EXPECT_EQ(ids(*catalog->due(start, kNever, 2)), (std::vector<uint64_t>{2, 4}));
  EXPECT_EQ(ids(*catalog->due({Instant{20}, Incarnation{4}}, kNever, 2)),
            (std::vector<uint64_t>{5, 1}));
  EXPECT_EQ(ids(*catalog->due({Instant{30}, Incarnation{1}}, Instant{39}, 2)),
            (std::vector<uint64_t>{}));
}

TEST_F(CatalogTest, ListsAreInByteOrderAndEndWithThePrefix) {
  const auto catalog = open();
  const std::string last = "/a\xff\xff";
  CatalogChange change;
  change.streams = {stream(1, "/b/1"), stream(2, "/a/2"), stream(3, "/a/10"),
                    stream(4, "/a"),   stream(5, "/B"),   stream(6, "/a0"),
                    stream(7, last),   stream(8, "/ab"),  stream(9, "/a/\xc3\xa4")};
  ASSERT_TRUE(catalog->commit(change).ok());
  using Paths = std::vector<std::string>;
  EXPECT_EQ(paths(*catalog->list("/a/", "", 10)), (Paths{"/a/10", "/a/2", "/a/\xc3\xa4"}));
  EXPECT_EQ(paths(*catalog->list("/a/", "/a/10", 1)), (Paths{"/a/2"}));
  EXPECT_EQ(paths(*catalog->list("/a", "/a/\xc3\xa4", 10)), (Paths{"/a0", "/ab", last}));
  EXPECT_EQ(paths(*catalog->list("/a\xff", "", 10)), (Paths{last}));
  EXPECT_EQ(paths(*catalog->list("\xff", "", 10)), (Paths{}));
  EXPECT_EQ(paths(*catalog->list("/a", "/b", 10)), (Paths{}));
  EXPECT_EQ(catalog->list("", "", 100)->size(), 9u);
  EXPECT_EQ(paths(*catalog->list("", "/a/2", 2)), (Paths{"/a/\xc3\xa4", "/a0"}));
}

TEST_F(CatalogTest, AReaderSeesWholeTransactionsWhileTheWriterWorks) {
  const auto writer = open();
  const auto reader = open(Mode::kReadOnly);
  CatalogChange change;
  change.state.sealed_through = 1;
  change.streams = {stream(1, "/1")};
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(writer->apply(change).ok());
  change.streams = {stream(2, "/2")};
  ASSERT_TRUE(writer->apply(change).ok());
  EXPECT_TRUE(writer->find("/2")->has_value());
  EXPECT_FALSE(reader->find("/1")->has_value());
  EXPECT_EQ(reader->state()->sealed_through, 0u);
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_TRUE(reader->find("/1")->has_value());
  EXPECT_TRUE(reader->find("/2")->has_value());
  EXPECT_EQ(reader->state()->sealed_through, 1u);
  EXPECT_EQ(*reader->stream_count(), 2u);
}

TEST_F(CatalogTest, AnAbandonedTransactionLeavesNothing) {
  const auto catalog = open();
  CatalogChange change;
  change.streams = {stream(1, "/1")};
  change.state.sealed_through = 1;
  ASSERT_TRUE(catalog->begin().ok());
  ASSERT_TRUE(catalog->apply(change).ok());
  catalog->abandon();
  catalog->abandon();
  EXPECT_FALSE(catalog->find("/1")->has_value());
  EXPECT_EQ(*catalog->stream_count(), 0u);
  ASSERT_TRUE(catalog->commit(change).ok());
  EXPECT_EQ(catalog->state()->sealed_through, 1u);
}

TEST_F(CatalogTest, AChangeThatContradictsTheCatalogIsRefusedWhole) {
  const auto catalog = open();
  CatalogChange change;
  change.streams = {stream(1, "/1")};
  ASSERT_TRUE(catalog->commit(change).ok());
  // Another stream has that path.
  change.streams = {stream(2, "/2"), stream(3, "/1")};
  const auto refused = catalog->commit(change);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, Kind::kCorrupt);
  EXPECT_FALSE(catalog->find("/2")->has_value());
  // A stream is there that should be new, or is not that should be there.
  change.streams = {stream(2, "/2"), stream(1, "/3")};
  EXPECT_EQ(catalog->commit(change).error().kind, Kind::kCorrupt);
  change.streams = {stream(2, "/2"), stream(3, "/3")};
  change.streams[1].known = true;
  EXPECT_EQ(catalog->commit(change).error().kind, Kind::kCorrupt);
  EXPECT_FALSE(catalog->find("/2")->has_value());
  EXPECT_EQ(*catalog->stream_count(), 1u);
  // And the connection works on.
  change.streams = {stream(2, "/2")};
  EXPECT_TRUE(catalog->commit(change).ok());
}

TEST_F(CatalogTest, AReaderCannotWrite) {
  open();
  const auto reader = open(Mode::kReadOnly);
  EXPECT_FALSE(reader->begin().ok() && reader->apply(CatalogChange()).ok());
}

TEST_F(CatalogTest, AnotherVersionIsRefused) {
  open();
  sql("PRAGMA user_version = 2");
  EXPECT_EQ(refusal(Mode::kReadWrite), Kind::kOtherVersion);
  EXPECT_EQ(refusal(Mode::kReadOnly), Kind::kOtherVersion);
}

TEST_F(CatalogTest, SomethingElsesFileIsRefusedAndLeftAlone) {
  sql("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
  EXPECT_EQ(refusal(Mode::kReadWrite), Kind::kCorrupt);
  sql("INSERT INTO theirs VALUES(2)");
}

TEST_F(CatalogTest, AFileThatIsNoDatabaseIsCorrupt) {
  std::ofstream(path) << std::string(8192, 'x');
  EXPECT_EQ(refusal(Mode::kReadWrite), Kind::kCorrupt);
  EXPECT_EQ(refusal(Mode::kReadOnly), Kind::kCorrupt);
}

TEST_F(CatalogTest, AMissingCatalogIsNotMadeByAReader) {
  EXPECT_EQ(refusal(Mode::kReadOnly), Kind::kIo);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(CatalogTest, DamageInTheFileIsFound) {
  {
    const auto catalog = open();
    CatalogChange change;
    for (uint64_t i = 1; i <= 2000; ++i) {
      change.streams.push_back(stream(i, "/stream/" + std::to_string(i)));
    }
    ASSERT_TRUE(catalog->commit(change).ok());
  }
  EXPECT_TRUE(open()->check()->empty());
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 8; page < 40; page += 4) {
      file.seekp(page * 4096);
      file << std::string(200, '\x5a');
    }
  }
  const auto catalog = open();
  ASSERT_NE(catalog, nullptr);
  EXPECT_FALSE(catalog->check()->empty());
  bool refused = false;
  for (uint64_t i = 1; i <= 2000 && !refused; ++i) {
    const auto found = catalog->find(Incarnation{i});
    refused = !found.ok();
    EXPECT_TRUE(found.ok() || found.error().kind == Kind::kCorrupt);
  }
  EXPECT_TRUE(refused);
}

TEST_F(CatalogTest, AFullDiskIsCalledThat) {
  auto database = Database::open(path, Mode::kReadWrite);
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(database->execute("PRAGMA max_page_count = 4; CREATE TABLE t(x)").ok());
  const auto full = database->execute("INSERT INTO t VALUES(zeroblob(100000))");
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().kind, Kind::kNoSpace);
}

}  // namespace
}  // namespace ds::store
