#include "store/recovery.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "store/log_format.h"
#include "tests/fakes/log_world.h"

namespace ds::store {
namespace {

using fakes::FaultyDisk;
using fakes::LogWorld;
using fakes::make_record;
using fakes::up_to;
using Kind = LogProblem::Kind;

constexpr const char* kFirst = "00000001.log";
constexpr uint64_t kPayload = 100;
// One record of kPayload bytes.
constexpr uint64_t kFrame = frame_bytes(stream::kRecordHeaderBytes + kPayload);
// The zeros at its end, which do not count as torn.
constexpr uint64_t kPadding = kFrame - kFrameHeaderBytes - stream::kRecordHeaderBytes - kPayload;

uint64_t frame_begin(uint64_t number) { return kGenerationHeaderBytes + (number - 1) * kFrame; }

// A log with frames 1..count in its first generation, all synced, and the process killed.
void make_log(LogWorld& world, uint64_t count) {
  ASSERT_TRUE(world.open());
  for (uint64_t i = 1; i <= count; ++i) ASSERT_TRUE(world.commit(i, kPayload).ok());
  world.crash(FaultyDisk::Crash::kKeep);
}

// The log must not open, say why and where, and leave everything as it was.
void expect_refused(LogWorld& world, Kind kind, const std::string& where) {
  std::vector<std::string> before;
  for (const std::string& name : world.disk.names()) before.push_back(world.disk.contents(name));
  ASSERT_FALSE(world.open()) << where;
  EXPECT_EQ(world.problem->kind, kind) << world.problem->message;
  EXPECT_NE(world.problem->message.find(where), std::string::npos) << world.problem->message;
  std::vector<std::string> after;
  for (const std::string& name : world.disk.names()) after.push_back(world.disk.contents(name));
  EXPECT_EQ(before, after);
}

TEST(Recovery, ATornTailIsCutOffAtEveryLength) {
  LogWorld original;
  make_log(original, 3);
  const std::string whole = original.disk.contents(kFirst);
  for (uint64_t length = 0; length < kFrame; ++length) {
    std::string torn = whole;
    std::fill(torn.begin() + static_cast<int64_t>(frame_begin(3) + length), torn.end(), '\0');
    LogWorld world(2);  // a restart makes other salts
    world.disk.set_contents(kFirst, torn);
    ASSERT_TRUE(world.open()) << length;
    // The last bytes of a frame may be zeros anyway.
    if (torn == whole) continue;
    ASSERT_EQ(world.replayed, up_to(2)) << length;
    ASSERT_EQ(world.recovery.torn_bytes > 0, length > 0);
    ASSERT_TRUE(world.commit(4, kPayload).ok());
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open());
    ASSERT_EQ(world.replayed, (std::vector<uint64_t>{1, 2, 4}));
    ASSERT_EQ(world.recovery.torn_bytes, 0u);
  }
}

TEST(Recovery, AFlippedBitInTheLastFrameCutsItAnywhereElseItIsCorruption) {
  LogWorld original;
  make_log(original, 3);
  const std::string whole = original.disk.contents(kFirst);
  for (uint64_t byte = 0; byte < frame_begin(4); ++byte) {
    LogWorld world;
    world.disk.set_contents(kFirst, whole);
    world.disk.flip_bit(kFirst, byte, static_cast<int>(byte % 8));
    if (byte >= frame_begin(3)) {
      ASSERT_TRUE(world.open()) << byte;
      ASSERT_EQ(world.replayed, up_to(2)) << byte;
      ASSERT_GT(world.recovery.torn_bytes, 0u);
    } else if (byte < kGenerationMagic.size()) {
      expect_refused(world, Kind::kForeign, kFirst);
    } else if (byte < kGenerationHeaderBytes) {
      expect_refused(world, Kind::kCorrupt, "00000001.log at byte 0");
    } else {
      const uint64_t frame = byte < frame_begin(2) ? 1 : 2;
      expect_refused(world, Kind::kCorrupt,
                     "00000001.log at byte " + std::to_string(frame_begin(frame)));
    }
  }
}

TEST(Recovery, DamageFarBeforeTheEndIsCorruptionWhateverItsSize) {
  LogWorld original;
  make_log(original, 200);
  const std::string whole = original.disk.contents(kFirst);
  for (const uint64_t bytes : {1u, 8u, 512u, 4096u, 20000u}) {
    LogWorld world;
    std::string damaged = whole;
    const auto begin = damaged.begin() + static_cast<int64_t>(frame_begin(10));
    std::fill(begin, begin + static_cast<int64_t>(bytes), '\0');
    world.disk.set_contents(kFirst, damaged);
    expect_refused(world, Kind::kCorrupt, "at byte " + std::to_string(frame_begin(10)));
  }
}

TEST(Recovery, DamageInAGenerationBeforeTheLastIsCorruptionEvenAtItsEnd) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  std::vector<LogPosition> places;
  for (uint64_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(world.commit(i, 1000).ok());
    places.push_back(world.last_begin);
  }
  LogPosition last_of_first;
  for (const LogPosition place : places) {
    if (place.generation() == 1) last_of_first = place;
  }
  world.crash(FaultyDisk::Crash::kKeep);
  world.disk.flip_bit(kFirst, last_of_first.byte_offset() + 60, 3);
  expect_refused(
      world, Kind::kCorrupt,
      "00000001.log at byte " + std::to_string(last_of_first.byte_offset() - kFrameHeaderBytes));
}

TEST(Recovery, FramesBehindATornOneAreNeverTaken) {
  // Three frames were written and none synced; the crash took the middle one.
  LogWorld world;
  make_log(world, 1);
  ASSERT_TRUE(world.open());
  for (uint64_t i = 2; i <= 4; ++i) ASSERT_TRUE(world.append(i, kPayload, true).ok());
  const uint64_t third = world.last_begin.byte_offset() - kFrame;
  world.crash(FaultyDisk::Crash::kKeep);
  world.disk.flip_bit(kFirst, third, 0);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(2));
  EXPECT_EQ(world.recovery.torn_bytes, 2 * kFrame - kPadding);
  // A frame of the same size takes the lost one's place; the old fourth must not follow it.
  ASSERT_TRUE(world.commit(5, kPayload).ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, (std::vector<uint64_t>{1, 2, 5}));
}

TEST(Recovery, AFrameThatVanishedWithoutATraceHidesTheOnesBehindIt) {
  LogWorld world;
  make_log(world, 1);
  ASSERT_TRUE(world.open());
  for (uint64_t i = 2; i <= 3; ++i) ASSERT_TRUE(world.append(i, kPayload, true).ok());
  world.crash(FaultyDisk::Crash::kKeep);
  std::string bytes = world.disk.contents(kFirst);
  const uint64_t second = frame_begin(2) + frame_bytes(0);  // behind the mark of relaxed frames
  bytes.replace(second, kFrame, kFrame, '\0');
  world.disk.set_contents(kFirst, bytes);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(1));
  EXPECT_EQ(world.recovery.torn_bytes, 2 * kFrame - kPadding);
  ASSERT_TRUE(world.commit(4, kPayload).ok());
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, (std::vector<uint64_t>{1, 4}));
}

TEST(Recovery, PayloadThatLooksLikeFramesIsNeverTakenForFrames) {
  // A client sends what it believes to be the next frames of this log, at every alignment.
  LogWorld world;
  make_log(world, 1);
  std::string imitation;
  for (uint64_t sequence = 2; sequence < 40; ++sequence) {
    FrameHeader header;
    header.salt = 0x123456789abcdef0;
    header.generation = 1;
    header.sequence = sequence;
    header.synced_through = sequence - 1;
    char bytes[kFrameHeaderBytes];
    encode_frame_header(header, bytes);
    imitation.append(bytes, sizeof bytes).append(sequence % 3, 'x');
  }
  ASSERT_TRUE(world.open());
  const std::string record = fakes::make_record(2, imitation);
  const std::string_view batch = record;
  LogPosition begin;
  ASSERT_TRUE(world.log->append({&batch, 1}, false, {&begin, 1}).ok());
  ASSERT_TRUE(world.log->sync().ok());
  world.crash(FaultyDisk::Crash::kKeep);
  // The frame's header is torn away, its payload is there.
  world.disk.flip_bit(kFirst, frame_begin(2), 0);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(1));
}

TEST(Recovery, WhatAFormerFileLeftBehindIsNeverTaken) {
  // The same frames under another salt: blocks of a file that was removed.
  LogWorld former(5);
  make_log(former, 10);
  LogWorld world(6);
  make_log(world, 3);
  std::string bytes = world.disk.contents(kFirst);
  const std::string old = former.disk.contents(kFirst);
  bytes.replace(frame_begin(4), kFrame * 5, old, frame_begin(4), kFrame * 5);
  world.disk.set_contents(kFirst, bytes);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(3));
  EXPECT_EQ(world.recovery.torn_bytes, 5 * kFrame - kPadding);
}

TEST(Recovery, AMissingGenerationIsNamed) {
  LogWorld original;
  ASSERT_TRUE(original.open());
  for (uint64_t i = 1; i <= 200; ++i) ASSERT_TRUE(original.commit(i, 1000).ok());
  ASSERT_GE(original.log->stats().last_generation, 4u);
  original.crash(FaultyDisk::Crash::kKeep);
  for (const char* missing : {"00000001.log", "00000002.log", "00000003.log"}) {
    LogWorld world;
    for (const std::string& name : original.disk.names()) {
      if (name != missing) world.disk.set_contents(name, original.disk.contents(name));
    }
    expect_refused(world, Kind::kCorrupt, std::string(missing) + " is missing");
  }
}

TEST(Recovery, GenerationsBeforeTheFirstOneWantedMayBeMissing) {
  LogWorld original;
  ASSERT_TRUE(original.open());
  for (uint64_t i = 1; i <= 200; ++i) ASSERT_TRUE(original.commit(i, 1000).ok());
  original.crash(FaultyDisk::Crash::kKeep);
  LogWorld world;
  world.options.first_generation = 3;
  for (const std::string& name : original.disk.names()) {
    if (name != "00000001.log") world.disk.set_contents(name, original.disk.contents(name));
  }
  ASSERT_TRUE(world.open());
  ASSERT_FALSE(world.replayed.empty());
  EXPECT_EQ(world.replayed.back(), 200u);
  EXPECT_EQ(world.positions.front().generation(), 3u);
  world.end_process();
  LogWorld empty;
  empty.options.first_generation = 3;
  expect_refused(empty, Kind::kCorrupt, "00000003.log is missing");
}

TEST(Recovery, FilesOfOthersAreLeftAlone) {
  for (const char* name :
       {"notes.txt", "1.log", "000000001.log", "00000000.log", "00000001.log~"}) {
    LogWorld world;
    make_log(world, 1);
    world.disk.set_contents(name, "hello");
    expect_refused(world, Kind::kForeign, name);
  }
  // Under the name of a generation.
  for (const std::string& text : {std::string("hello"), std::string(100000, 'h')}) {
    LogWorld world;
    make_log(world, 1);
    world.disk.set_contents("00000002.log", text);
    expect_refused(world, Kind::kForeign, "00000002.log");
    LogWorld alone;
    alone.disk.set_contents(kFirst, text);
    expect_refused(alone, Kind::kForeign, kFirst);
  }
}

TEST(Recovery, AnotherVersionIsRefused) {
  LogWorld world;
  make_log(world, 1);
  std::string bytes = world.disk.contents(kFirst);
  bytes[8] = 9;
  const std::string_view header(bytes.data(), kGenerationHeaderBytes);
  const uint32_t crc = crc32c(header.substr(16), crc32c(header.substr(0, 12)));
  for (int i = 0; i < 4; ++i)
    bytes[12 + static_cast<size_t>(i)] = static_cast<char>(crc >> (8 * i));
  world.disk.set_contents(kFirst, bytes);
  expect_refused(world, Kind::kRefused, kFirst);
}

TEST(Recovery, AGenerationUnderAnotherNameIsCorruption) {
  LogWorld world;
  make_log(world, 1);
  world.disk.set_contents("00000002.log", world.disk.contents(kFirst));
  expect_refused(world, Kind::kCorrupt, "00000002.log at byte 0");
}

TEST(Recovery, AFileThatLostItsEndIsCorruption) {
  LogWorld world;
  make_log(world, 1);
  world.disk.set_contents(kFirst, world.disk.contents(kFirst).substr(0, 60000));
  expect_refused(world, Kind::kCorrupt, "00000001.log at byte 60000");
}

TEST(Recovery, AnErasedHeaderBeforeFramesIsCorruption) {
  LogWorld world;
  make_log(world, 1);
  std::string bytes = world.disk.contents(kFirst);
  bytes.replace(0, kGenerationHeaderBytes, kGenerationHeaderBytes, '\0');
  world.disk.set_contents(kFirst, bytes);
  expect_refused(world, Kind::kCorrupt, "00000001.log at byte 0");
}

TEST(Recovery, AHeaderThatACrashHasTornCostsNothing) {
  // The first frame of generation 2 was about to be written.
  LogWorld world;
  make_log(world, 3);
  world.disk.set_contents("00000002.log",
                          "ds-oplog\1" + std::string(kGenerationBytesMin - 9, '\0'));
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(3));
  for (uint64_t i = 4; i <= 100; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(100));
}

// The last generation's file is that of an earlier one, all of which it holds but its beginning.
std::string reused_file(const LogWorld& world) {
  LogWorld earlier(5);
  make_log(earlier, 10);
  std::string bytes = earlier.disk.contents(kFirst);
  bytes.replace(0, kGenerationHeaderBytes, kGenerationHeaderBytes, '\0');
  bytes.replace(kGenerationHeaderBytes, kSpareMark.size(), kSpareMark);
  EXPECT_EQ(bytes.size(), world.disk.contents(kFirst).size());
  return bytes;
}

TEST(Recovery, AReusedFileThatHasNotBegunIsNext) {
  for (const std::string torn : {"", "ds-oplog\1"}) {
    LogWorld world;
    make_log(world, 3);
    std::string bytes = reused_file(world);
    bytes.replace(0, torn.size(), torn);
    world.disk.set_contents("00000002.log", bytes);
    ASSERT_TRUE(world.open()) << world.problem->message;
    EXPECT_EQ(world.replayed, up_to(3));
    for (uint64_t i = 4; i <= 100; ++i) ASSERT_TRUE(world.commit(i, 1000).ok());
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open()) << world.problem->message;
    EXPECT_EQ(world.replayed, up_to(100));
  }
}

TEST(Recovery, AReusedFileWhoseHeaderIsDamagedOnceItHasBegunIsCorruption) {
  LogWorld world;
  make_log(world, 3);
  world.disk.set_contents("00000002.log", reused_file(world));
  ASSERT_TRUE(world.open());
  uint64_t number = 3;
  while (world.log->stats().last_generation == 1) ASSERT_TRUE(world.commit(++number, 1000).ok());
  world.end_process();
  world.disk.flip_bit("00000002.log", 30, 0);
  expect_refused(world, Kind::kCorrupt, "00000002.log at byte 0");
}

// Only what may be of the new generation is cut off: the rest is told apart by its salt.
TEST(Recovery, ATornTailInAReusedFileEndsWithItsLastFrame) {
  LogWorld world;
  make_log(world, 3);
  world.disk.set_contents("00000002.log", reused_file(world));
  ASSERT_TRUE(world.open());
  uint64_t number = 3;
  while (world.log->stats().last_generation == 1) ASSERT_TRUE(world.commit(++number, 1000).ok());
  ASSERT_TRUE(world.append(number + 1).ok());
  ASSERT_TRUE(world.append(number + 2).ok());
  world.end_process();
  // The first of the two vanishes, the second stays.
  std::string bytes = world.disk.contents("00000002.log");
  const size_t second = bytes.rfind(make_record(number + 2, LogWorld::payload(number + 2, 100)));
  const size_t first = bytes.rfind(make_record(number + 1, LogWorld::payload(number + 1, 100)));
  ASSERT_NE(first, std::string::npos);
  ASSERT_NE(second, std::string::npos);
  const size_t torn = first - kFrameHeaderBytes;
  bytes.replace(torn, 8, 8, '\0');
  world.disk.set_contents("00000002.log", bytes);
  ASSERT_TRUE(world.open()) << world.problem->message;
  EXPECT_EQ(world.replayed, up_to(number));
  EXPECT_EQ(world.recovery.torn_bytes, 2 * (second - first));
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.recovery.torn_bytes, 0u);
  EXPECT_EQ(world.disk.contents("00000002.log").substr(torn, second - first),
            std::string(second - first, '\0'));
}

TEST(Recovery, UnfinishedFilesAreRemoved) {
  LogWorld world;
  make_log(world, 3);
  world.disk.set_contents("unfinished.tmp", std::string(100, '\0'));
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(3));
  EXPECT_EQ(world.disk.names(), (std::vector<std::string>{kFirst}));
}

TEST(Recovery, ARecordThatDoesNotFollowIsNamed) {
  LogWorld world;
  make_log(world, 3);
  const auto directory = world.disk.root();
  OpLog::Recovery recovery;
  const auto opened = OpLog::open(
      *directory, world.options,
      [](std::string_view record, LogPosition) { return stream::record_stream(record) != 2; },
      &recovery);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind, Kind::kCorrupt);
  EXPECT_NE(opened.error().message.find("00000001.log at byte " +
                                        std::to_string(frame_begin(2) + kFrameHeaderBytes)),
            std::string::npos);
}

TEST(Recovery, ARecordWithAWrongChecksumInAGoodFrameIsCorruption) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  std::string record = fakes::make_record(1, "payload");
  record[50] = 'X';
  const std::string_view batch = record;
  LogPosition begin;
  ASSERT_TRUE(world.log->append({&batch, 1}, false, {&begin, 1}).ok());
  ASSERT_TRUE(world.log->sync().ok());
  expect_refused(world, Kind::kCorrupt, "a record is damaged");
}

TEST(Recovery, WhatWasFoundStaysEvenIfTheSyncOfTheProcessBeforeHadFailed) {
  // The frame is in the system's cache alone, which believes that it is on the disk; then the
  // process dies before it can look.
  for (const auto fault : {FaultyDisk::SyncFault::kKeepsDirty, FaultyDisk::SyncFault::kDropsDirty,
                           FaultyDisk::SyncFault::kDropsCached}) {
    LogWorld world;
    ASSERT_TRUE(world.open());
    ASSERT_TRUE(world.commit(1).ok());
    ASSERT_TRUE(world.append(2, 3000).ok());
    world.disk.fail_next_sync(fault);
    ASSERT_FALSE(world.log->sync().ok());
    world.crash(FaultyDisk::Crash::kKeep);
    ASSERT_TRUE(world.open());
    const std::vector<uint64_t> found = world.replayed;
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.replayed, found);
  }
}

}  // namespace
}  // namespace ds::store
