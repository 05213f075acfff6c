#include "store/op_log.h"

#include <gtest/gtest.h>

#include "store/log_format.h"
#include "tests/fakes/log_world.h"
#include "tests/fakes/memory_disk.h"

namespace ds::store {
namespace {

using fakes::FaultyDisk;
using fakes::LogWorld;
using fakes::make_record;
using fakes::up_to;
using ports::IoError;

TEST(OpLog, ANewLogHoldsNothing) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.recovery.frames, 0u);
  EXPECT_EQ(world.recovery.torn_bytes, 0u);
  EXPECT_FALSE(world.recovery.lost_writes);
  ASSERT_TRUE(world.open());
  EXPECT_TRUE(world.replayed.empty());
}

TEST(OpLog, CommittedRecordsComeBackInOrderAndPlace) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  std::vector<LogPosition> places;
  uint64_t number = 0;
  for (int frame = 0; frame < 20; ++frame) {
    std::vector<std::string> batches;
    for (int batch = 0; batch < frame % 4; ++batch) {
      std::string records;
      for (int record = 0; record < 1 + batch; ++record) {
        ++number;
        records += make_record(number, LogWorld::payload(number, number % 50));
      }
      batches.push_back(records);
    }
    std::vector<std::string_view> views(batches.begin(), batches.end());
    std::vector<LogPosition> begins(views.size());
    ASSERT_TRUE(world.log->append(views, false, begins).ok());
    places.insert(places.end(), begins.begin(), begins.end());
  }
  ASSERT_TRUE(world.log->sync().ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(number));
  EXPECT_EQ(world.recovery.frames, 20u);
  EXPECT_EQ(world.recovery.records, number);
  EXPECT_EQ(world.recovery.torn_bytes, 0u);
  for (const LogPosition place : places) {
    EXPECT_NE(std::find(world.positions.begin(), world.positions.end(), place),
              world.positions.end());
  }
}

TEST(OpLog, WorksOnADiskWithoutFaults) {
  fakes::MemoryDisk disk;
  std::vector<uint64_t> replayed;
  for (uint64_t round = 1; round <= 3; ++round) {
    const auto directory = disk.root();
    replayed.clear();
    OpLog::Recovery recovery;
    auto log = OpLog::open(
        *directory, {kGenerationBytesMin, 1, 7},
        [&](std::string_view record, LogPosition) {
          replayed.push_back(stream::record_stream(record));
          return true;
        },
        &recovery);
    ASSERT_TRUE(log.ok()) << log.error().message;
    EXPECT_EQ(replayed, up_to(round - 1));
    const std::string record = make_record(round, "payload");
    const std::string_view batch = record;
    LogPosition begin;
    ASSERT_TRUE((*log)->append({&batch, 1}, false, {&begin, 1}).ok());
    ASSERT_TRUE((*log)->sync().ok());
    ASSERT_TRUE((*log)->close().ok());
  }
}

TEST(OpLog, GoesOnInNewGenerationsWhenOneIsFull) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  for (uint64_t i = 1; i <= 300; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
  EXPECT_GE(world.log->stats().last_generation, 5u);
  EXPECT_EQ(world.log->stats().generations, world.log->stats().last_generation);
  const uint64_t used = world.log->stats().bytes;
  EXPECT_GT(used, 300u * 1000);
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(300));
  EXPECT_EQ(world.log->stats().bytes, used);
  ASSERT_TRUE(world.commit(301).ok());
}

TEST(OpLog, UsesTheGenerationThatWasPrepared) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  EXPECT_FALSE(world.log->wants_next_generation());
  for (uint64_t i = 1; i <= 30; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
  EXPECT_TRUE(world.log->wants_next_generation());
  ASSERT_TRUE(world.log->prepare_next_generation().ok());
  EXPECT_FALSE(world.log->wants_next_generation());
  EXPECT_EQ(world.log->stats().last_generation, 1u);
  EXPECT_EQ(world.disk.names(), (std::vector<std::string>{"00000001.log", "00000002.log"}));
  // It is there after a restart, and is found again.
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_FALSE(world.log->wants_next_generation());
  for (uint64_t i = 31; i <= 100; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
  EXPECT_EQ(world.log->stats().last_generation, 2u);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(100));
}

TEST(OpLog, AFrameLargerThanAGenerationGetsOneOfItsOwnSize) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.commit(1).ok());
  ASSERT_TRUE(world.log->prepare_next_generation().ok());  // too small, and replaced
  ASSERT_TRUE(world.commit(2, 3 * kGenerationBytesMin).ok());
  const LogPosition large = world.last_begin;
  ASSERT_TRUE(world.commit(3).ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(3));
  std::string out;
  bool corrupt = false;
  const OpLog::Piece piece{large, 0, 3 * kGenerationBytesMin};
  ASSERT_TRUE(world.log->read_payloads({&piece, 1}, out, &corrupt).ok());
  EXPECT_EQ(out, LogWorld::payload(2, 3 * kGenerationBytesMin));
}

TEST(OpLog, ReopensWithAnotherGenerationSize) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.log->prepare_next_generation().ok());
  for (uint64_t i = 1; i <= 30; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
  world.options.generation_bytes = 4 * kGenerationBytesMin;
  ASSERT_TRUE(world.open());
  for (uint64_t i = 31; i <= 300; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
  EXPECT_EQ(world.log->stats().last_generation, 3u);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(300));
}

TEST(OpLog, ASecondOpenerIsRefused) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  const auto second = world.disk.root();
  OpLog::Recovery recovery;
  const auto opened = OpLog::open(
      *second, world.options, [](std::string_view, LogPosition) { return true; }, &recovery);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind, LogProblem::Kind::kLocked);
  EXPECT_TRUE(world.commit(1).ok());
}

// --- Relaxed durability
// ---------------------------------------------------------------------------

TEST(OpLog, ACrashOfARelaxedLogMayHaveLostWrites) {
  for (const auto how :
       {FaultyDisk::Crash::kForget, FaultyDisk::Crash::kTear, FaultyDisk::Crash::kKeep}) {
    LogWorld world;
    ASSERT_TRUE(world.open());
    ASSERT_TRUE(world.commit(1).ok());
    // Even if the crash takes away every relaxed frame.
    ASSERT_TRUE(world.append(2, 100, true).ok());
    world.crash(how);
    ASSERT_TRUE(world.open());
    EXPECT_TRUE(world.recovery.lost_writes);
    EXPECT_FALSE(world.replayed.empty());
  }
}

// All that tells of relaxed frames may have been sealed and removed when the next one is lost.
TEST(OpLog, EveryGenerationOfARelaxedLogTellsThatWritesMayBeLost) {
  LogWorld rotated;
  ASSERT_TRUE(rotated.open());
  ASSERT_TRUE(rotated.append(1, 100, true).ok());
  ASSERT_TRUE(rotated.log->rotate().ok());
  ASSERT_TRUE(rotated.append(2, 100, true).ok());
  LogWorld full;
  ASSERT_TRUE(full.open());
  for (uint64_t i = 1; full.log->stats().last_generation == 1; ++i) {
    ASSERT_TRUE(full.append(i, 10000, true).ok());
  }
  for (LogWorld* world : {&rotated, &full}) {
    ASSERT_TRUE(world->log->remove_through(1).ok());
    world->options.first_generation = 2;
    world->crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world->open());
    EXPECT_TRUE(world->recovery.lost_writes);
    EXPECT_TRUE(world->replayed.empty());
  }
}

// Its file holds frames from end to end when it is given up, and still when it is next.
TEST(OpLog, AReusedFileTellsNothingOfWhatItHeldBefore) {
  for (const FaultyDisk::Crash how : {FaultyDisk::Crash::kForget, FaultyDisk::Crash::kTear}) {
    LogWorld world;
    ASSERT_TRUE(world.open());
    uint64_t number = 0;
    for (uint32_t generation = 1; generation <= 6; ++generation) {
      while (world.log->stats().last_generation <= generation) {
        ASSERT_TRUE(world.commit(++number, 5000).ok());
      }
      ASSERT_TRUE(world.log->remove_through(generation).ok());
      ASSERT_TRUE(world.log->prepare_next_generation().ok());
    }
    const std::string next = world.disk.contents("00000008.log");
    ASSERT_EQ(next.substr(0, kGenerationHeaderBytes), std::string(kGenerationHeaderBytes, '\0'));
    ASSERT_EQ(next.substr(kGenerationHeaderBytes, kSpareMark.size()), kSpareMark);
    ASSERT_GT(next.find_last_not_of('\0'), next.size() * 3 / 4);
    ASSERT_TRUE(world.append(number + 1, 5000).ok());
    world.options.first_generation = 7;
    world.crash(how);
    ASSERT_TRUE(world.open()) << world.problem->message;
    ASSERT_FALSE(world.replayed.empty());
    EXPECT_GE(world.replayed.back(), number);
    for (size_t i = 1; i < world.replayed.size(); ++i) {
      EXPECT_EQ(world.replayed[i], world.replayed[i - 1] + 1);
    }
    ASSERT_TRUE(world.commit(number + 2).ok());
  }
}

TEST(OpLog, ACleanCloseLosesNothing) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.append(1, 100, true).ok());
  ASSERT_TRUE(world.append(2, 100, true).ok());
  ASSERT_TRUE(world.log->close().ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_FALSE(world.recovery.lost_writes);
  EXPECT_EQ(world.replayed, up_to(2));
  // And is not repeated where nothing happened since.
  const uint64_t frames = world.recovery.frames;
  ASSERT_TRUE(world.log->close().ok());
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.recovery.frames, frames);
}

TEST(OpLog, ASyncedLogNeverLosesWrites) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  ASSERT_TRUE(world.append(1, 100, true).ok());
  ASSERT_TRUE(world.commit(2).ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_FALSE(world.recovery.lost_writes);
  EXPECT_EQ(world.replayed, up_to(2));
}

TEST(OpLog, ClosingNeedsNoNewGeneration) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  // The largest record that the first generation still takes.
  const uint64_t room = kGenerationBytesMin - kGenerationHeaderBytes - 2 * kFrameHeaderBytes -
                        stream::kRecordHeaderBytes;
  ASSERT_TRUE(world.commit(1, room).ok());
  EXPECT_EQ(world.log->stats().last_generation, 1u);
  world.disk.set_space(0);
  EXPECT_TRUE(world.log->close().ok());
  EXPECT_EQ(world.log->stats().last_generation, 1u);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(1));
}

}  // namespace
}  // namespace ds::store
