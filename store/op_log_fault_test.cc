// The log on a disk that fails: each call in turn, syncs that lie, no space.
#include <gtest/gtest.h>

#include <set>

#include "store/op_log.h"
#include "tests/fakes/log_world.h"

namespace ds::store {
namespace {

using fakes::FaultyDisk;
using fakes::LogWorld;
using fakes::up_to;
using ports::IoError;
using ports::IoStatus;

// What the writer of one run knows: every number is in exactly one of these.
struct Ledger {
  std::vector<uint64_t> durable;  // must be found, in this order
  std::set<uint64_t> refused;     // must never be found
};

// Commits number after number, each in one frame, and answers for it as the committer would.
void commit_all(LogWorld& world, uint64_t first, uint64_t last, uint64_t bytes, Ledger& ledger) {
  for (uint64_t i = first; i <= last; ++i) {
    const IoStatus appended = world.append(i, bytes);
    if (!appended.ok() && !world.log->broken()) {
      ledger.refused.insert(i);
      continue;
    }
    if (appended.ok() && world.log->sync().ok()) {
      ledger.durable.push_back(i);
      continue;
    }
    uint64_t kept = 0;
    int attempts = 0;
    while (!world.log->reopen_after_failure(&kept).ok()) ASSERT_LT(++attempts, 3);
    ASSERT_LE(kept, 1u);
    if (kept == 1) {
      ledger.durable.push_back(i);
    } else {
      ledger.refused.insert(i);
    }
  }
}

void expect_as_promised(const LogWorld& world, const Ledger& ledger, const std::string& what) {
  ASSERT_FALSE(world.problem) << what << ": " << world.problem->message;
  EXPECT_EQ(world.replayed, ledger.durable) << what;
}

// Runs a writer's life with call `n` failing, crashes, and looks at what is left. True if the run
// got through without reaching that call.
bool completes_failing_at(uint64_t n, IoError error, FaultyDisk::Crash crash) {
  LogWorld world(n + 1);
  world.disk.fail_call(n, error);
  if (!world.open()) {
    EXPECT_EQ(world.problem->kind, LogProblem::Kind::kIo);
    EXPECT_TRUE(world.open()) << world.problem->message;
  }
  Ledger ledger;
  commit_all(world, 1, 8, 9000, ledger);  // into the second generation
  (void)world.log->prepare_next_generation();
  commit_all(world, 9, 20, 9000, ledger);
  const std::string what = "call " + std::to_string(n);
  const bool reached = world.disk.calls() > n;
  world.disk.crash(crash);
  EXPECT_TRUE(world.open()) << what;
  expect_as_promised(world, ledger, what);
  // The log that was found works on, and what was found is safe.
  commit_all(world, 21, 30, 9000, ledger);
  world.disk.crash(FaultyDisk::Crash::kForget);
  EXPECT_TRUE(world.open()) << what;
  expect_as_promised(world, ledger, what);
  return !reached;
}

TEST(OpLogFaults, EveryCallMayFailOnce) {
  for (const IoError error : {IoError::kFailed, IoError::kNoSpace}) {
    for (const auto crash :
         {FaultyDisk::Crash::kForget, FaultyDisk::Crash::kTear, FaultyDisk::Crash::kKeep}) {
      uint64_t n = 0;
      while (!completes_failing_at(n, error, crash) && !HasFailure()) ++n;
      EXPECT_GT(n, 60u);
    }
  }
}

TEST(OpLogFaults, EveryCallOfTheRecoveryMayFailOnce) {
  for (uint64_t n = 0;; ++n) {
    LogWorld world;
    ASSERT_TRUE(world.open());
    Ledger ledger;
    commit_all(world, 1, 20, 9000, ledger);
    ASSERT_TRUE(world.append(21, 9000).ok());
    ASSERT_TRUE(world.append(22, 9000).ok());
    world.crash(FaultyDisk::Crash::kTear);
    const uint64_t begin = world.disk.calls();
    world.disk.fail_call(begin + n, IoError::kFailed);
    if (world.open()) {
      if (world.disk.calls() <= begin + n) break;
    } else {
      ASSERT_EQ(world.problem->kind, LogProblem::Kind::kIo) << n;
      world.disk.crash(n % 2 == 0 ? FaultyDisk::Crash::kTear : FaultyDisk::Crash::kKeep);
      ASSERT_TRUE(world.open()) << n << world.problem->message;
    }
    ASSERT_GE(world.replayed.size(), 20u);
    ASSERT_EQ(world.replayed, up_to(world.replayed.size()));
  }
}

TEST(OpLogFaults, ADiskThatStaysBrokenIsAskedAgainUntilItWorks) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.commit(1).ok());
  world.disk.fail_from(world.disk.calls(), IoError::kFailed);
  EXPECT_FALSE(world.append(2).ok());
  uint64_t kept = 99;
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(world.log->reopen_after_failure(&kept).ok());
    EXPECT_FALSE(world.append(3).ok());
    EXPECT_FALSE(world.log->sync().ok());
    EXPECT_FALSE(world.log->close().ok());
  }
  world.disk.heal();
  // Nothing goes on before the log has been reopened.
  EXPECT_FALSE(world.append(3).ok());
  ASSERT_TRUE(world.log->reopen_after_failure(&kept).ok());
  ASSERT_TRUE(world.commit(4).ok());
  EXPECT_EQ(world.log->stats().last_generation, 2u);
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed,
            kept == 1 ? (std::vector<uint64_t>{1, 2, 4}) : (std::vector<uint64_t>{1, 4}));
}

TEST(OpLogFaults, EachCallOfReopeningMayFail) {
  for (uint64_t n = 0;; ++n) {
    LogWorld world(n + 1);
    ASSERT_TRUE(world.open());
    ASSERT_TRUE(world.commit(1).ok());
    ASSERT_TRUE(world.append(2).ok());
    ASSERT_TRUE(world.append(3).ok());
    world.disk.fail_next_sync(FaultyDisk::SyncFault::kDropsDirty);
    ASSERT_FALSE(world.log->sync().ok());
    const uint64_t begin = world.disk.calls();
    world.disk.fail_call(begin + n, IoError::kFailed);
    uint64_t kept = 0;
    const bool at_once = world.log->reopen_after_failure(&kept).ok();
    const bool reached = world.disk.calls() > begin + n;
    if (!at_once) {
      // A power loss between the attempts.
      if (n % 3 == 0) {
        world.crash(FaultyDisk::Crash::kTear);
        ASSERT_TRUE(world.open()) << n;
        ASSERT_GE(world.replayed.size(), 1u);
        ASSERT_EQ(world.replayed, up_to(world.replayed.size()));
        continue;
      }
      ASSERT_TRUE(world.log->reopen_after_failure(&kept).ok()) << n;
    }
    world.disk.heal();
    std::vector<uint64_t> expected = up_to(1 + kept);
    ASSERT_TRUE(world.commit(9).ok());
    expected.push_back(9);
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open()) << n;
    ASSERT_EQ(world.replayed, expected) << n;
    if (!reached) break;
  }
}

TEST(OpLogFaults, ASyncThatFailedIsNeverBelievedLater) {
  // The next sync would succeed, and nothing would be on the disk.
  for (const auto fault : {FaultyDisk::SyncFault::kKeepsDirty, FaultyDisk::SyncFault::kDropsDirty,
                           FaultyDisk::SyncFault::kDropsCached}) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      LogWorld world(seed);
      ASSERT_TRUE(world.open());
      Ledger ledger;
      commit_all(world, 1, 3, 3000, ledger);
      world.disk.fail_next_sync(fault);
      commit_all(world, 4, 4, 3000, ledger);
      commit_all(world, 5, 6, 3000, ledger);
      world.crash(FaultyDisk::Crash::kForget);
      ASSERT_TRUE(world.open());
      expect_as_promised(world, ledger, "seed " + std::to_string(seed));
      // Where the system still has the bytes, the commit comes true after all.
      if (fault != FaultyDisk::SyncFault::kDropsCached) {
        EXPECT_EQ(world.replayed, up_to(6));
      }
    }
  }
}

TEST(OpLogFaults, FramesOfOneFailedSyncAreKeptOldestFirst) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    LogWorld world(seed);
    ASSERT_TRUE(world.open());
    ASSERT_TRUE(world.commit(1).ok());
    for (uint64_t i = 2; i <= 6; ++i) ASSERT_TRUE(world.append(i, 1000, true).ok());
    world.disk.fail_next_sync(FaultyDisk::SyncFault::kDropsCached);
    ASSERT_FALSE(world.log->sync().ok());
    uint64_t kept = 0;
    ASSERT_TRUE(world.log->reopen_after_failure(&kept).ok());
    ASSERT_LE(kept, 5u);
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.replayed, up_to(1 + kept));
  }
}

TEST(OpLogFaults, AbortedFramesNeverComeBackFromAnOldGeneration) {
  // Frame 2 fails without a trace in the page cache, and shows up on the medium later.
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.commit(1).ok());
  ASSERT_TRUE(world.append(2).ok());
  const std::string with_second = world.disk.contents("00000001.log");
  std::string without = with_second;
  const uint64_t begin = world.last_begin.byte_offset() - 48;
  std::fill(without.begin() + static_cast<int64_t>(begin), without.end(), '\0');
  world.disk.fail_next_sync(FaultyDisk::SyncFault::kDropsDirty);
  ASSERT_FALSE(world.log->sync().ok());
  world.disk.set_contents("00000001.log", without);
  uint64_t kept = 99;
  ASSERT_TRUE(world.log->reopen_after_failure(&kept).ok());
  ASSERT_EQ(kept, 0u);
  world.disk.set_contents("00000001.log", with_second);
  // Whether or not anything was committed since.
  for (const bool committed : {false, true}) {
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.replayed,
              committed ? (std::vector<uint64_t>{1, 3}) : (std::vector<uint64_t>{1}));
    if (!committed) {
      ASSERT_TRUE(world.commit(3).ok());
    }
  }
}

TEST(OpLogFaults, AFullDiskIsACleanRefusalAndTheLogGoesOnWhenThereIsSpace) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  world.disk.set_space(kGenerationBytesMin + 100);
  Ledger ledger;
  commit_all(world, 1, 20, 9000, ledger);
  EXPECT_EQ(ledger.durable, up_to(7));
  EXPECT_EQ(ledger.refused.size(), 13u);
  EXPECT_EQ(world.disk.names(), (std::vector<std::string>{"00000001.log"}));
  EXPECT_FALSE(world.log->prepare_next_generation().ok());
  // What still fits the generation is taken.
  commit_all(world, 21, 21, 10, ledger);
  EXPECT_EQ(ledger.durable.back(), 21u);
  // A restart changes nothing.
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  expect_as_promised(world, ledger, "full");
  EXPECT_FALSE(world.commit(22, 9000).ok());
  world.disk.set_space(std::nullopt);
  commit_all(world, 23, 40, 9000, ledger);
  EXPECT_EQ(ledger.durable.back(), 40u);
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  expect_as_promised(world, ledger, "space again");
}

TEST(OpLogFaults, WhileSpaceIsSavedGenerationsAreSmallAndStillTakeLargeFrames) {
  constexpr uint64_t kLarge = 4 << 20;
  constexpr uint64_t kLittle = kSavingGenerationBytes + (256 << 10);
  LogWorld world;
  world.options.generation_bytes = kLarge;
  ASSERT_TRUE(world.open());
  world.disk.set_space(kLarge + kLittle);
  const IoStatus prepared = world.log->prepare_next_generation();
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error(), IoError::kNoSpace);
  world.log->save_space(true);
  ASSERT_TRUE(world.log->prepare_next_generation().ok());
  ASSERT_TRUE(world.commit(1).ok());
  ASSERT_TRUE(world.log->rotate().ok());
  ASSERT_TRUE(world.commit(2).ok());
  // A quarter of a small one is soon used.
  EXPECT_FALSE(world.log->wants_next_generation());
  ASSERT_TRUE(world.commit(3, kSavingGenerationBytes / 2).ok());
  EXPECT_TRUE(world.log->wants_next_generation());
  EXPECT_FALSE(world.commit(4, kSavingGenerationBytes).ok());
  world.disk.set_space(std::nullopt);
  ASSERT_TRUE(world.commit(5, 2 * kSavingGenerationBytes).ok());
  // What was made small stays so; the next one is of the usual size.
  world.log->save_space(false);
  ASSERT_TRUE(world.log->prepare_next_generation().ok());
  EXPECT_EQ(world.disk.contents("00000004.log").size(), kLarge);
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, (std::vector<uint64_t>{1, 2, 3, 5}));
}

TEST(OpLogFaults, AFrameTooLargeForTheDiskLeavesRoomForSmallOnes) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.log->prepare_next_generation().ok());
  world.disk.set_space(2 * kGenerationBytesMin);
  const IoStatus large = world.append(1, 4 * kGenerationBytesMin);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error(), IoError::kNoSpace);
  ASSERT_TRUE(world.commit(2).ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, (std::vector<uint64_t>{2}));
}

TEST(OpLogFaults, AWriteWithoutSpaceLeavesNoTrace) {
  // As on file systems that need space to overwrite. What was written of the frame is erased.
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    LogWorld world(seed);
    ASSERT_TRUE(world.open());
    ASSERT_TRUE(world.commit(1, 2000).ok());
    world.disk.fail_call(world.disk.calls(), IoError::kNoSpace);
    const IoStatus appended = world.append(2, 2000);
    ASSERT_FALSE(appended.ok());
    ASSERT_EQ(appended.error(), IoError::kNoSpace);
    if (seed % 2 == 0) {
      ASSERT_TRUE(world.commit(3, 100).ok());
    }
    world.crash(FaultyDisk::Crash::kTear);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.replayed,
              seed % 2 == 0 ? (std::vector<uint64_t>{1, 3}) : (std::vector<uint64_t>{1}));
  }
}

TEST(OpLogFaults, AGenerationThatCouldNotBeBegunStillEndsTheOneBefore) {
  // Its header may be on the disk, and says that the frames before it are all there are.
  for (uint64_t n = 0; n < 12; ++n) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      LogWorld world(seed);
      ASSERT_TRUE(world.open());
      Ledger ledger;
      commit_all(world, 1, 6, 9000, ledger);
      if (seed % 2 == 0) {
        ASSERT_TRUE(world.log->prepare_next_generation().ok());
      }
      world.disk.fail_call(world.disk.calls() + n, IoError::kNoSpace);
      commit_all(world, 7, 7, 20000, ledger);  // does not fit any more
      commit_all(world, 8, 9, 100, ledger);    // would
      world.crash(seed % 3 == 0 ? FaultyDisk::Crash::kKeep : FaultyDisk::Crash::kTear);
      ASSERT_TRUE(world.open());
      expect_as_promised(world, ledger, std::to_string(n) + "/" + std::to_string(seed));
    }
  }
}

TEST(OpLogFaults, ANextGenerationThatCannotBeMadeRefusesWhatNeedsIt) {
  // As when there are no descriptors left. Nothing has been written: the log is not broken.
  LogWorld world;
  ASSERT_TRUE(world.open());
  Ledger ledger;
  commit_all(world, 1, 6, 9000, ledger);
  for (uint64_t i = 7; i <= 9; ++i) {
    world.disk.fail_call(world.disk.calls(), IoError::kFailed);  // opening the new file
    const IoStatus appended = world.append(i, 20000);            // does not fit any more
    ASSERT_FALSE(appended.ok());
    EXPECT_EQ(appended.error(), IoError::kFailed);
    ASSERT_FALSE(world.log->broken());
    ledger.refused.insert(i);
  }
  commit_all(world, 10, 10, 100, ledger);  // fits
  EXPECT_EQ(world.log->stats().last_generation, 1u);
  commit_all(world, 11, 12, 20000, ledger);
  EXPECT_EQ(world.log->stats().last_generation, 2u);
  EXPECT_EQ(ledger.refused.size(), 3u);
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  expect_as_promised(world, ledger, "descriptors again");
}

TEST(OpLogFaults, FramesSyncedOnTheWayCountAsKept) {
  // Changing to a new generation syncs the old one, without the caller's knowledge.
  LogWorld world;
  ASSERT_TRUE(world.open());
  for (uint64_t i = 1; i <= 8; ++i) ASSERT_TRUE(world.append(i, 9000, true).ok());
  ASSERT_EQ(world.log->stats().last_generation, 2u);
  world.disk.fail_next_sync(FaultyDisk::SyncFault::kKeepsDirty);
  ASSERT_FALSE(world.log->sync().ok());
  uint64_t kept = 0;
  ASSERT_TRUE(world.log->reopen_after_failure(&kept).ok());
  EXPECT_EQ(kept, 8u);
  ASSERT_TRUE(world.log->sync().ok());
  ASSERT_TRUE(world.append(9, 100, true).ok());
  world.disk.fail_next_sync(FaultyDisk::SyncFault::kKeepsDirty);
  ASSERT_FALSE(world.log->sync().ok());
  ASSERT_TRUE(world.log->reopen_after_failure(&kept).ok());
  EXPECT_EQ(kept, 1u);
}

}  // namespace
}  // namespace ds::store
