// Sealing and merging on a disk and a catalog that fail, and in processes that die.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "store/sealer.h"
#include "tests/fakes/faulty_disk.h"
#include "tests/fakes/forwarding_catalog.h"
#include "tests/fakes/seal_world.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

using fakes::FaultyDisk;
using fakes::SealWorld;
using ports::IoError;

// A world on a faulty disk, at the moment before the step that is to fail.
struct FaultWorld {
  explicit FaultWorld(uint64_t seed = 1) : disk(seed), root(disk.root()) {
    world.emplace(*root, temp.file("catalog.db"), seed);
    world->options.merge_fan_in = 2;
    world->open_sealer();
    // Large and small ones, some that lose what they have in the generation that is sealed next.
    world->churn(250);
    large = world->create("/large");
    world->fill_generation();
    EXPECT_EQ(world->seal_all(), "");
    for (int i = 0; i < 20; ++i) world->append(large, world->text(1000));
    world->churn(250);
    world->fill_generation();
  }

  std::vector<std::string> segment_files() const {
    std::vector<std::string> names;
    for (const std::string& name : disk.names()) {
      if (name.ends_with(".seg")) names.push_back(name.substr(name.rfind('/') + 1));
    }
    return names;
  }
  std::vector<std::string> catalog_files() {
    std::vector<std::string> names;
    for (const CatalogSegment& segment : world->segments()) {
      names.push_back(segment_name(segment.id));
    }
    return names;
  }
  // The machine comes up again: the sealer of a new process.
  void restart() {
    root = disk.root();
    world->reopen(*root);
    const auto sweep = world->sealer->sweep();
    ASSERT_TRUE(sweep.ok()) << sweep.error().message;
    EXPECT_EQ(sweep->missing, std::vector<std::string>());
    EXPECT_EQ(segment_files(), catalog_files());
  }

  fakes::TempDirectory temp;
  FaultyDisk disk;
  std::unique_ptr<ports::Directory> root;
  std::optional<SealWorld> world;
  Incarnation large;
};

// Whether the step was done; an error is reported in `failed`.
using Step = std::function<bool(SealWorld&, std::optional<SealError>*)>;

bool seal_step(SealWorld& world, std::optional<SealError>* failed) {
  const auto sealed = world.sealer->seal(world.sealed_through() + 1);
  if (!sealed.ok()) *failed = sealed.error();
  if (sealed.ok()) world.follow_seal();
  return sealed.ok();
}

bool tidy_step(SealWorld& world, std::optional<SealError>* failed) {
  const auto tidied = world.sealer->tidy();
  if (!tidied.ok()) *failed = tidied.error();
  EXPECT_TRUE(!tidied.ok() || *tidied);
  return tidied.ok();
}

void every_call_fails_in_turn(FaultWorld& faulty, const Step& step) {
  SealWorld& world = *faulty.world;
  const std::string before = world.dump();
  int failures = 0;
  for (uint64_t n = 0;; ++n) {
    ASSERT_LT(n, 5000u);
    faulty.disk.fail_call(faulty.disk.calls() + n, IoError::kFailed);
    std::optional<SealError> failed;
    const bool done = step(world, &failed);
    faulty.disk.heal();
    if (done) break;
    ++failures;
    EXPECT_EQ(failed->kind, SealError::Kind::kIo) << failed->message;
    ASSERT_EQ(world.dump(), before) << n;
    ASSERT_EQ(world.compare(), "") << n;
    ASSERT_EQ(faulty.segment_files(), faulty.catalog_files()) << n;
  }
  EXPECT_GT(failures, 10);
  EXPECT_NE(world.dump(), before);
  EXPECT_EQ(world.compare(), "");
}

void the_machine_dies_at_every_call(const std::function<void(FaultWorld&)>& prepare,
                                    const Step& step) {
  for (uint64_t n = 0;; ++n) {
    FaultWorld faulty(3);
    prepare(faulty);
    SealWorld& world = *faulty.world;
    const std::string before = world.dump();
    const uint64_t calls = faulty.disk.calls();
    faulty.disk.fail_from(calls + n, IoError::kFailed);
    std::optional<SealError> failed;
    const bool done = step(world, &failed);
    const bool was_reached = faulty.disk.calls() > calls + n;
    faulty.disk.crash(n % 2 == 0 ? FaultyDisk::Crash::kForget : FaultyDisk::Crash::kTear);
    faulty.restart();
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(world.dump() == before, !done) << n;
    ASSERT_EQ(world.compare(), "") << n;
    if (!done) {
      ASSERT_TRUE(step(world, &failed)) << failed->message;
      ASSERT_EQ(world.compare(), "") << n;
    }
    // With nothing failing, the crash that forgets whatever was not synced is the last one.
    if (!was_reached && n % 2 == 0) break;
    ASSERT_LT(n, 5000u);
  }
}

void seal_for_tidy(FaultWorld& faulty) { ASSERT_EQ(faulty.world->seal_all(), ""); }

TEST(SealerFaults, ASealThatFailsAnywhereChangesNothingAndCanBeRepeated) {
  FaultWorld faulty;
  every_call_fails_in_turn(faulty, seal_step);
}

// The system may tell nobody else of it.
TEST(SealerFaults, AnErrorOfWriteBehindIsNotForgotten) {
  FaultWorld faulty;
  const std::string before = faulty.world->dump();
  faulty.disk.fail_next_write_behind();
  std::optional<SealError> failed;
  ASSERT_FALSE(seal_step(*faulty.world, &failed));
  EXPECT_EQ(failed->kind, SealError::Kind::kIo) << failed->message;
  EXPECT_EQ(faulty.world->dump(), before);
  EXPECT_EQ(faulty.segment_files(), faulty.catalog_files());
  ASSERT_TRUE(seal_step(*faulty.world, &failed)) << failed->message;
  EXPECT_EQ(faulty.world->compare(), "");
}

TEST(SealerFaults, AMergeThatFailsAnywhereChangesNothingAndCanBeRepeated) {
  FaultWorld faulty;
  seal_for_tidy(faulty);
  every_call_fails_in_turn(faulty, tidy_step);
}

TEST(SealerFaults, AFullDiskIsSaidToBeOneAndLeavesNothingHalfWritten) {
  FaultWorld faulty;
  SealWorld& world = *faulty.world;
  const std::string before = world.dump();
  faulty.disk.set_space(0);
  std::optional<SealError> failed;
  ASSERT_FALSE(seal_step(world, &failed));
  EXPECT_EQ(failed->kind, SealError::Kind::kNoSpace);
  EXPECT_EQ(world.dump(), before);
  EXPECT_EQ(faulty.segment_files(), faulty.catalog_files());
  faulty.disk.set_space(std::nullopt);
  ASSERT_TRUE(seal_step(world, &failed));
  EXPECT_EQ(world.compare(), "");
}

TEST(SealerFaults, AMachineThatDiesAnywhereInASealHasSealedOrNot) {
  the_machine_dies_at_every_call([](FaultWorld&) {}, seal_step);
}

TEST(SealerFaults, AMachineThatDiesAnywhereInAMergeHasMergedOrNot) {
  the_machine_dies_at_every_call(seal_for_tidy, tidy_step);
}

// A catalog whose transactions fail in their last step, when it is told to.
class FailingCatalog final : public fakes::ForwardingCatalog {
 public:
  using ForwardingCatalog::ForwardingCatalog;
  std::optional<CatalogError::Kind> fails;

  Result<bool, CatalogError> finish() override {
    if (!fails) return ForwardingCatalog::finish();
    abandon();
    return CatalogError{*fails, "the catalog's disk has failed"};
  }
};

TEST(SealerFaults, FilesOfATransactionThatMayAppearAfterACrashStayUntilAnotherSucceeds) {
  FaultWorld faulty;
  SealWorld& world = *faulty.world;
  const auto log = std::move(faulty.root->subdirectory("log")).value();
  const auto segments = std::move(faulty.root->subdirectory("segments")).value();
  FailingCatalog catalog(*world.catalog);
  Sealer sealer(*log, *segments, catalog, *world.files, world.options);
  const std::string before = world.dump();
  const std::vector<std::string> known = faulty.catalog_files();

  // A transaction that had no room is not there.
  catalog.fails = CatalogError::Kind::kNoSpace;
  auto refused = sealer.seal(world.sealed_through() + 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, SealError::Kind::kNoSpace);
  EXPECT_EQ(faulty.segment_files(), known);

  // One whose sync failed may be.
  catalog.fails = CatalogError::Kind::kIo;
  refused = sealer.seal(world.sealed_through() + 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, SealError::Kind::kIo);
  EXPECT_EQ(world.dump(), before);
  const std::vector<std::string> left = faulty.segment_files();
  EXPECT_GT(left.size(), known.size());
  std::vector<std::string> contents;
  for (const std::string& name : left) contents.push_back(faulty.disk.contents("segments/" + name));
  refused = sealer.seal(world.sealed_through() + 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_GT(faulty.segment_files().size(), left.size());
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(faulty.disk.contents("segments/" + left[i]), contents[i]);
  }

  catalog.fails.reset();
  ASSERT_TRUE(sealer.seal(world.sealed_through() + 1).ok());
  world.follow_seal();
  EXPECT_EQ(world.compare(), "");
  EXPECT_EQ(faulty.segment_files(), faulty.catalog_files());
  for (const std::string& name : faulty.catalog_files()) {
    const bool was_known = std::count(known.begin(), known.end(), name) != 0;
    EXPECT_TRUE(was_known || std::count(left.begin(), left.end(), name) == 0) << name;
  }
}

TEST(SealerFaults, DamageInTheLogIsReportedAndNothingIsSealed) {
  FaultWorld faulty;
  SealWorld& world = *faulty.world;
  const std::string before = world.dump();
  const std::string name = "log/0000000" + std::to_string(world.sealed_through() + 1) + ".log";
  faulty.disk.flip_bit(name, 20000, 3);
  std::optional<SealError> failed;
  ASSERT_FALSE(seal_step(world, &failed));
  EXPECT_EQ(failed->kind, SealError::Kind::kCorrupt);
  EXPECT_NE(failed->message.find(name.substr(4)), std::string::npos) << failed->message;
  EXPECT_EQ(world.dump(), before);
  faulty.disk.flip_bit(name, 20000, 3);
  ASSERT_TRUE(seal_step(world, &failed));
}

TEST(SealerFaults, ADamagedSegmentIsReportedOnceAndNeverCopied) {
  FaultWorld faulty;
  SealWorld& world = *faulty.world;
  seal_for_tidy(faulty);
  const CatalogSegment damaged = world.segments().front();
  const std::string name = "segments/" + segment_name(damaged.id);
  faulty.disk.flip_bit(name, 5, 0);
  const std::string content = faulty.disk.contents(name);
  int reports = 0;
  for (int i = 0; i < 20; ++i) {
    const auto tidied = world.sealer->tidy();
    if (tidied.ok() && !*tidied) break;
    if (tidied.ok()) continue;
    ++reports;
    EXPECT_EQ(tidied.error().kind, SealError::Kind::kCorrupt);
    EXPECT_NE(tidied.error().message.find(segment_name(damaged.id) + " at byte 0"),
              std::string::npos)
        << tidied.error().message;
  }
  EXPECT_EQ(reports, 1);
  EXPECT_EQ(faulty.disk.contents(name), content);
  bool known = false;
  for (const CatalogSegment& segment : world.segments()) known = known || segment.id == damaged.id;
  EXPECT_TRUE(known);
}

TEST(SealerFaults, ASegmentThatLacksWhatTheCatalogTellsOfIsNotReplaced) {
  FaultWorld faulty;
  SealWorld& world = *faulty.world;
  seal_for_tidy(faulty);
  CatalogChange change;
  change.state = *world.catalog->state();
  CatalogExtent& lost = change.extents.emplace_back();
  lost.segment = world.segments().front().id;
  lost.extent.stream = Incarnation{12345};
  lost.extent.end = Position{100};
  ASSERT_TRUE(world.catalog->commit(change).ok());
  const std::string before = world.dump();
  const auto tidied = world.sealer->tidy();
  ASSERT_FALSE(tidied.ok());
  EXPECT_EQ(tidied.error().kind, SealError::Kind::kCorrupt);
  EXPECT_NE(tidied.error().message.find("extents that are not here"), std::string::npos)
      << tidied.error().message;
  EXPECT_EQ(world.dump(), before);
  EXPECT_EQ(faulty.segment_files(), faulty.catalog_files());
}

}  // namespace
}  // namespace ds::store
