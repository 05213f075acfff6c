#include "store/sealer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/fakes/memory_disk.h"
#include "tests/fakes/seal_world.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

using fakes::SealWorld;

struct SealerTest : testing::Test {
  fakes::TempDirectory temp;
  fakes::MemoryDisk disk;
  std::unique_ptr<ports::Directory> root = disk.root();
  std::unique_ptr<ports::Directory> segments = std::move(root->subdirectory("segments")).value();
  SealWorld world{*root, temp.file("catalog.db")};

  std::vector<std::string> segment_files() { return *segments->list(); }
  std::vector<std::string> catalog_files() {
    std::vector<std::string> names;
    for (const CatalogSegment& segment : world.segments()) {
      names.push_back(segment_name(segment.id));
    }
    return names;
  }
};

TEST_F(SealerTest, EveryGenerationOfARandomWorkloadSealsToWhatReplayingItGives) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    fakes::TempDirectory directory;
    fakes::MemoryDisk fresh;
    const auto fresh_root = fresh.root();
    SealWorld random_world(*fresh_root, directory.file("catalog.db"), seed);
    random_world.options.merge_fan_in = 3;
    random_world.open_sealer();
    for (int round = 0; round < 12; ++round) {
      random_world.churn(400);
      while (random_world.sealed_through() + 1 < random_world.last_generation()) {
        ASSERT_EQ(random_world.seal_next(), "") << "seed " << seed;
        ASSERT_EQ(random_world.compare(), "") << "seed " << seed;
      }
      for (int merges = 0; seed % 2 == 0; ++merges) {
        const auto more = random_world.sealer->tidy();
        ASSERT_TRUE(more.ok()) << more.error().message;
        if (!*more) break;
        ASSERT_LT(merges, 50);
        ASSERT_EQ(random_world.compare(), "") << "seed " << seed;
      }
      // A process that starts anew finds the same.
      if (round % 4 == 3) random_world.open_sealer();
    }
    EXPECT_GT(random_world.sealed_through(), 5u);
  }
}

// The catalog is given a generation's rows in several changes.
TEST_F(SealerTest, APathChangesHandsBetweenTwoChangesOfTheCatalog) {
  world.options.change_bytes = 1;
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  const Incarnation b = world.create("/b", world.text(100));
  world.commit();
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  world.remove(a);
  world.append(b, world.text(100));
  const Incarnation again = world.create("/a", world.text(50));
  world.commit();
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_EQ(world.compare(), "");
  EXPECT_EQ((*world.catalog->find("/a"))->id, again);
  EXPECT_TRUE(world.extents(a).empty());
  EXPECT_EQ(*world.catalog->stream_count(), 2u);
}

TEST_F(SealerTest, AStreamThatIsBornAndGoneInAGenerationLeavesNothing) {
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  world.append(a, world.text(100));
  world.remove(a);
  world.commit();
  const Incarnation b = world.create("/a", world.text(50));
  world.commit();
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_EQ(world.compare(), "");
  EXPECT_EQ((*world.catalog->find("/a"))->id, b);
  EXPECT_TRUE(world.extents(a).empty());
  EXPECT_EQ(*world.catalog->stream_count(), 1u);
}

TEST_F(SealerTest, APathCanBeDeletedAndMadeAnewInOneGeneration) {
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  world.remove(a);
  world.create("/b");
  const Incarnation second = world.create("/a", world.text(70));
  world.remove(second);
  const Incarnation third = world.create("/a", world.text(30));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_EQ((*world.catalog->find("/a"))->id, third);
  EXPECT_EQ(world.compare(), "");
}

TEST_F(SealerTest, LargeStreamsGetSegmentsOfTheirOwnAndSmallOnesShareOne) {
  world.open_sealer();
  const Incarnation large = world.create("/large");
  for (int i = 0; i < 20; ++i) world.append(large, world.text(1000));
  for (int i = 0; i < 30; ++i) world.create("/small/" + std::to_string(i), world.text(100));
  world.commit();
  world.fill_generation();
  ASSERT_EQ(world.seal_next(), "");
  EXPECT_EQ(world.compare(), "");
  int shared = 0;
  for (const CatalogSegment& segment : world.segments()) {
    if (!segment.single) {
      ++shared;
      EXPECT_GE(segment.extents, 30u);
    } else {
      EXPECT_EQ(segment.extents, 1u);
    }
    EXPECT_EQ(segment.live_bytes, segment.data_bytes);
  }
  EXPECT_EQ(shared, 1);
  const auto extent = world.catalog->extent_at(large, Position{0});
  ASSERT_TRUE(extent->has_value());
  for (const CatalogSegment& segment : world.segments()) {
    EXPECT_EQ(segment.single, segment.id == (*extent)->segment) << segment.id;
  }
}

TEST_F(SealerTest, ASoftDeletedStreamKeepsWhatItsForksShareAndNoMore) {
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  world.append(a, world.text(100));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const Incarnation fork = world.fork(a, "/fork", Position{60});
  world.remove(a);
  world.append(fork, world.text(40));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_EQ(world.compare(), "");
  const auto kept = world.extents(a);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].extent.begin, Position{0});
  EXPECT_EQ((*world.catalog->find(a))->due, kNever);

  // With the fork goes the rest.
  world.remove(fork);
  world.create("/other");
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_TRUE(world.extents(a).empty());
  EXPECT_FALSE(world.catalog->find(a)->has_value());
  EXPECT_EQ(world.compare(), "");
}

TEST_F(SealerTest, SegmentsThatNobodyNeedsGoWithTheirFiles) {
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const std::vector<std::string> before = segment_files();
  ASSERT_FALSE(before.empty());
  EXPECT_EQ(world.compare(), "");  // opens them
  world.remove(a);
  world.commit();
  world.create("/b");
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_EQ(world.compare(), "");
  const std::vector<std::string> after = segment_files();
  EXPECT_EQ(after, catalog_files());
  for (const std::string& name : before) {
    EXPECT_EQ(std::count(after.begin(), after.end(), name), 0);
    // Nor does anybody hold them open.
    EXPECT_FALSE(world.files->get(*parse_segment_name(name)).ok());
  }
}

TEST_F(SealerTest, AnOpenPinIsKnownUntilItsForkIsThere) {
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  const Incarnation lost = world.pin(a, Position{10});
  const Incarnation late = world.pin(a, Position{20});
  const Incarnation dropped = world.pin(a, Position{30});
  world.fork(a, "/at-once", Position{40});
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_EQ(world.open_pins().size(), 3u);
  world.create_fork(a, late, "/late", Position{20});
  world.unpin(a, dropped);
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const auto open = world.open_pins();
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0], std::pair(a, lost));
  EXPECT_GE(world.catalog->state()->highest_life, late);
}

TEST_F(SealerTest, APinOfAForkThatIsGoneIsOpenUntilItIsReleased) {
  world.open_sealer();
  const Incarnation source = world.create("p/source", "shared");
  const Incarnation fork = world.fork(source, "p/fork", Position{6});
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_TRUE(world.open_pins().empty());
  // A crash may come between the end of the fork and the release of its pin.
  world.remove_unheard(fork);
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const auto open = world.open_pins();
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0], std::pair(source, fork));
  world.unpin(source, fork);
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_TRUE(world.open_pins().empty());
  // Both in one generation.
  const Incarnation second = world.fork(source, "p/second", Position{6});
  world.fill_generation();
  world.remove(second);
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_TRUE(world.open_pins().empty());
}

TEST_F(SealerTest, APinThatIsAskedForAgainOnceItsForkIsThereStaysSettled) {
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  const Incarnation fork = world.fork(a, "/fork", Position{40});
  world.pin_again(a, fork);
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_TRUE(world.open_pins().empty());
  world.pin_again(a, fork);
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  EXPECT_TRUE(world.open_pins().empty());
  EXPECT_EQ(world.compare(), "");
}

TEST_F(SealerTest, ExtentsAreJoinedOnlyIfNothingIsMissingBetweenThem) {
  world.options.merge_fan_in = 2;
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  const Incarnation filler = world.create("/filler");
  const auto fill = [&] {
    const uint32_t generation = world.last_generation();
    while (world.last_generation() == generation) {
      world.append(filler, world.text(1000));
      world.commit();
    }
  };
  fill();
  ASSERT_EQ(world.seal_all(), "");
  // What it has in the second generation is large, and lies in a segment alone.
  for (int i = 0; i < 20; ++i) world.append(a, world.text(1000));
  world.commit();
  fill();
  ASSERT_EQ(world.seal_all(), "");
  world.append(a, world.text(100));
  world.commit();
  fill();
  ASSERT_EQ(world.seal_all(), "");
  ASSERT_EQ(world.extents(a).size(), 3u);
  while (true) {
    const auto more = world.sealer->tidy();
    ASSERT_TRUE(more.ok()) << more.error().message;
    if (!*more) break;
    ASSERT_EQ(world.compare(), "");
  }
  EXPECT_EQ(world.extents(a).size(), 3u);
  EXPECT_GE(world.sealer->stats().merges, 1u);
}

TEST_F(SealerTest, AStreamIsDueWhenItsTimeToLiveAndTheGraceOfItsReadersHavePassed) {
  world.open_sealer();
  const Incarnation brief = world.create_with_ttl("/brief", 4);
  const Incarnation middle = world.create_with_ttl("/middle", 800);
  const Incarnation lasting = world.create_with_ttl("/lasting", 10000000);
  const Incarnation eternal = world.create("/eternal");
  world.commit();
  const Instant born = world.written.states.at(brief).accessed;
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const auto due = [this](Incarnation id) { return (*world.catalog->find(id))->due; };
  const auto accessed = [this](Incarnation id) { return world.sealed.states.at(id).accessed; };
  EXPECT_GE(accessed(brief), born);
  EXPECT_EQ(due(brief), accessed(brief) + seconds(4 + 1));
  EXPECT_EQ(due(middle), accessed(middle) + seconds(800 + 100));
  EXPECT_EQ(due(lasting), accessed(lasting) + seconds(10000000 + 3600));
  EXPECT_EQ(due(eternal), kNever);
}

TEST_F(SealerTest, GenerationsAreSealedInOrderOnce) {
  world.open_sealer();
  world.create("/a");
  world.fill_generation();
  world.fill_generation();
  EXPECT_FALSE(world.sealer->seal(2).ok());
  ASSERT_EQ(world.seal_next(), "");
  EXPECT_FALSE(world.sealer->seal(1).ok());
  ASSERT_EQ(world.seal_next(), "");
  // The last one is still being written to.
  EXPECT_FALSE(world.sealer->seal(3).ok());
  EXPECT_EQ(world.compare(), "");
}

TEST_F(SealerTest, SmallSegmentsAreMergedLevelByLevel) {
  world.options.merge_fan_in = 2;
  world.open_sealer();
  const Incarnation a = world.create("/a", world.text(100));
  for (int i = 0; i < 8; ++i) {
    world.append(a, world.text(1500));
    for (int j = 0; j < 30; ++j) {
      world.create("/" + std::to_string(i) + "/" + std::to_string(j), world.text(50));
    }
    world.fill_generation();
    ASSERT_EQ(world.seal_all(), "");
  }
  const size_t before = world.extents(a).size();
  EXPECT_EQ(before, 8u);
  while (true) {
    const auto more = world.sealer->tidy();
    ASSERT_TRUE(more.ok()) << more.error().message;
    if (!*more) break;
    ASSERT_EQ(world.compare(), "");
    ASSERT_EQ(segment_files(), catalog_files());
  }
  uint32_t highest = 0;
  for (const CatalogSegment& segment : world.segments()) {
    highest = std::max(highest, segment.level);
  }
  EXPECT_EQ(highest, 3u);
  EXPECT_LT(world.extents(a).size(), before);
  const Sealer::Stats stats = world.sealer->stats();
  EXPECT_EQ(stats.generations, world.sealed_through());
  EXPECT_EQ(stats.segments, world.segments().size());
  EXPECT_GE(stats.merges, 7u);
}

TEST_F(SealerTest, UpkeepWithoutRoomWaitsAndWhileSpaceIsScarceItOnlyGivesSomeBack) {
  world.options.merge_fan_in = 2;
  world.open_sealer();
  std::vector<Incarnation> streams;
  for (int generation = 0; generation < 2; ++generation) {
    for (int i = 0; i < 40; ++i) {
      const std::string name = std::to_string(generation) + "/" + std::to_string(i);
      streams.push_back(world.create("/" + name, world.text(300)));
    }
    world.fill_generation();
    ASSERT_EQ(world.seal_all(), "");
  }
  const auto tidied = [this](const Sealer::Room& room) {
    const auto more = world.sealer->tidy(room);
    return more.ok() && *more;
  };
  EXPECT_FALSE(tidied({1000, false})) << "there are two to merge, and they are larger than that";
  EXPECT_FALSE(tidied({UINT64_MAX, true})) << "merging gives nothing back";
  // A quarter of the first one is not needed any more.
  for (size_t i = 0; i < 40; i += 4) world.remove(streams[i]);
  world.create("/filler");
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const uint64_t before = world.sealer->stats().segment_bytes;
  EXPECT_FALSE(tidied({1000, true}));
  EXPECT_TRUE(tidied({UINT64_MAX, true}));
  EXPECT_LT(world.sealer->stats().segment_bytes, before);
  // As often as there are segments of which something is not needed, and no more.
  int rewritten = 1;
  while (tidied({UINT64_MAX, true}) && rewritten < 10) ++rewritten;
  EXPECT_LE(rewritten, 3);
  EXPECT_EQ(world.compare(), "");
  EXPECT_TRUE(tidied({UINT64_MAX, false})) << "with room enough they are merged";
  EXPECT_EQ(world.compare(), "");
}

TEST_F(SealerTest, ASegmentWithLittleNeededInItIsRewrittenOnce) {
  world.open_sealer();
  std::vector<Incarnation> streams;
  for (int i = 0; i < 40; ++i) {
    streams.push_back(world.create("/" + std::to_string(i), world.text(300)));
  }
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  ASSERT_TRUE(world.sealer->tidy().ok());
  const uint64_t before = world.sealer->stats().segment_bytes;
  for (int i = 0; i < 40; ++i) {
    if (i % 5 != 0) world.remove(streams[static_cast<size_t>(i)]);
  }
  world.create("/filler");
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  int rewrites = 0;
  while (true) {
    const auto more = world.sealer->tidy();
    ASSERT_TRUE(more.ok()) << more.error().message;
    if (!*more) break;
    ++rewrites;
    ASSERT_LT(rewrites, 10);
    ASSERT_EQ(world.compare(), "");
  }
  EXPECT_GE(rewrites, 1);
  EXPECT_GT(before, 0u);
  for (const CatalogSegment& segment : world.segments()) {
    EXPECT_GE(segment.live_bytes * 2, segment.data_bytes);
  }
}

TEST_F(SealerTest, TheStartRemovesFilesThatTheCatalogDoesNotKnowAndNamesThoseThatAreMissing) {
  world.open_sealer();
  world.create("/a", world.text(100));
  world.fill_generation();
  ASSERT_EQ(world.seal_all(), "");
  const std::vector<std::string> good = segment_files();
  ASSERT_TRUE(segments->open(segment_name(77), ports::Directory::Open::kCreateNew).ok());
  ASSERT_TRUE(segments->open("notes.txt", ports::Directory::Open::kCreateNew).ok());
  auto sweep = world.sealer->sweep();
  ASSERT_TRUE(sweep.ok());
  EXPECT_EQ(sweep->removed, std::vector<std::string>{segment_name(77)});
  EXPECT_TRUE(sweep->missing.empty());
  ASSERT_TRUE(segments->remove(good[0]).ok());
  sweep = world.sealer->sweep();
  ASSERT_TRUE(sweep.ok());
  EXPECT_TRUE(sweep->removed.empty());
  EXPECT_EQ(sweep->missing, std::vector<std::string>{good[0]});
}

}  // namespace
}  // namespace ds::store
