#include "store/payload_reader.h"

#include <gtest/gtest.h>

#include "tests/fakes/log_world.h"

namespace ds::store {
namespace {

using fakes::LogWorld;
using fakes::make_record;
using ports::IoError;

struct ReadResult {
  bool ok = false;
  std::optional<IoError> error;
  bool corrupt = false;
  std::string bytes;
};

ReadResult read(const OpLog& log, std::vector<OpLog::Piece> pieces) {
  ReadResult result;
  result.bytes = ">";
  const ports::IoStatus status = log.read_payloads(pieces, result.bytes, &result.corrupt);
  result.ok = status.ok();
  if (!status.ok()) result.error = status.error();
  return result;
}

class PayloadReader : public testing::Test {
 protected:
  // Records 1..count of 1000 bytes, over several generations.
  void SetUp() override {
    ASSERT_TRUE(world_.open());
    places_.resize(1);
    for (uint64_t i = 1; i <= 200; ++i) {
      ASSERT_TRUE(world_.commit(i, 1000).ok());
      places_.push_back(world_.last_begin);
    }
  }

  LogPosition append(const std::string& record) {
    LogPosition begin;
    const std::string_view batch = record;
    EXPECT_TRUE(world_.log->append({&batch, 1}, false, {&begin, 1}).ok());
    return begin;
  }

  LogWorld world_;
  std::vector<LogPosition> places_;
};

TEST_F(PayloadReader, ReadsWhatIsWantedOfEachRecord) {
  const ReadResult got =
      read(*world_.log, {{places_[3], 0, 1000}, {places_[4], 10, 20}, {places_[9], 999, 1}});
  ASSERT_TRUE(got.ok);
  EXPECT_EQ(got.bytes, ">" + LogWorld::payload(3, 1000) + LogWorld::payload(4, 30).substr(10) +
                           LogWorld::payload(9, 1000).substr(999));
}

TEST_F(PayloadReader, ReadsAcrossGenerationsAndInAnyOrder) {
  std::vector<OpLog::Piece> pieces;
  std::string expected = ">";
  for (uint64_t i = 1; i <= 200; ++i) {
    pieces.push_back({places_[i], 0, 1000});
    expected += LogWorld::payload(i, 1000);
  }
  for (const uint64_t i : {200u, 1u, 100u, 100u, 99u}) {
    pieces.push_back({places_[i], 5, 7});
    expected += LogWorld::payload(i, 1000).substr(5, 7);
  }
  EXPECT_EQ(read(*world_.log, pieces).bytes, expected);
}

TEST_F(PayloadReader, PiecesCloseToEachOtherAreOneRead) {
  std::vector<OpLog::Piece> pieces;
  for (uint64_t i = 2; i <= 50; ++i) pieces.push_back({places_[i], 0, 1000});
  ASSERT_EQ(places_[2].generation(), places_[50].generation());
  const uint64_t before = world_.disk.calls();
  EXPECT_TRUE(read(*world_.log, pieces).ok);
  EXPECT_EQ(world_.disk.calls(), before + 1);
}

TEST_F(PayloadReader, ReadsRecordsThatAreLongerThanOneRead) {
  const uint64_t size = 5 << 20;
  const std::string payload = LogWorld::payload(7, size);
  const LogPosition place = append(make_record(7, payload, "some extras"));
  EXPECT_EQ(read(*world_.log, {{place, 0, size}}).bytes, ">" + payload);
  EXPECT_EQ(read(*world_.log, {{place, (1 << 20) - 60, 100}}).bytes,
            ">" + payload.substr((1 << 20) - 60, 100));
  EXPECT_EQ(read(*world_.log, {{place, size - 1, 1}, {places_[1], 0, 3}}).bytes,
            ">" + payload.substr(size - 1) + "rec");
  EXPECT_TRUE(read(*world_.log, {{place, size - 1, 2}}).corrupt);
}

TEST_F(PayloadReader, TakesNoMoreMemoryThanIsRead) {
  const uint64_t size = 5 << 20;
  const LogPosition place = append(make_record(7, LogWorld::payload(7, size), "some extras"));
  const ReadResult got = read(*world_.log, {{place, 0, size}, {places_[1], 0, 1000}});
  ASSERT_TRUE(got.ok);
  EXPECT_EQ(got.bytes.capacity(), got.bytes.size());
}

TEST_F(PayloadReader, ReadsRecordsWithLongExtras) {
  const LogPosition place = append(make_record(7, "payload", std::string(5000, 'e')));
  EXPECT_EQ(read(*world_.log, {{place, 0, 7}}).bytes, ">payload");
}

TEST_F(PayloadReader, ReadsNothingOfARecordWithADamagedByteAnywhere) {
  const std::string name = "00000001.log";
  const uint64_t begin = places_[5].byte_offset();
  for (uint64_t byte = begin; byte < begin + stream::kRecordHeaderBytes + 1000; byte += 13) {
    world_.disk.flip_bit(name, byte, static_cast<int>(byte % 8));
    const ReadResult got = read(*world_.log, {{places_[4], 0, 1000}, {places_[5], 0, 10}});
    EXPECT_FALSE(got.ok);
    EXPECT_TRUE(got.corrupt);
    EXPECT_EQ(got.bytes, ">");
    world_.disk.flip_bit(name, byte, static_cast<int>(byte % 8));
  }
  EXPECT_TRUE(read(*world_.log, {{places_[5], 0, 10}}).ok);
}

TEST_F(PayloadReader, APlaceWhereNothingIsCountsAsDamage) {
  EXPECT_TRUE(read(*world_.log, {{log_position(99, 64), 0, 10}}).corrupt);
  EXPECT_TRUE(read(*world_.log, {{log_position(1, 0xfffffff0), 0, 10}}).corrupt);
  EXPECT_TRUE(read(*world_.log, {{log_position(1, kGenerationBytesMin - 8), 0, 10}}).corrupt);
}

TEST_F(PayloadReader, WhatWasRemovedOnPurposeIsGoneButNotDamaged) {
  const uint32_t removed = places_[100].generation();
  ASSERT_GT(removed, 1u);
  ASSERT_LT(removed, places_[200].generation());
  ASSERT_TRUE(read(*world_.log, {{places_[1], 0, 10}}).ok);  // keeps the file open
  ASSERT_TRUE(world_.log->remove_through(removed).ok());
  for (const uint64_t i : {1u, 100u}) {
    const ReadResult got = read(*world_.log, {{places_[200], 0, 10}, {places_[i], 0, 10}});
    EXPECT_EQ(got.error, IoError::kNotFound) << i;
    EXPECT_FALSE(got.corrupt) << i;
    EXPECT_EQ(got.bytes, ">");
  }
  EXPECT_TRUE(read(*world_.log, {{places_[200], 0, 10}}).ok);
}

TEST_F(PayloadReader, WhatOthersRemovedCountsAsDamage) {
  const auto directory = world_.disk.root();
  ASSERT_TRUE(directory->remove("00000001.log").ok());
  GenerationFiles files(*directory);  // that has not opened it before
  const OpLog::Piece piece{places_[5], 0, 10};
  std::string out;
  bool corrupt = false;
  const ports::IoStatus status = read_payloads(files, {&piece, 1}, out, &corrupt);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error(), IoError::kNotFound);
  EXPECT_TRUE(corrupt);
}

TEST_F(PayloadReader, AnInputErrorIsNotDamage) {
  world_.disk.fail_from(world_.disk.calls(), IoError::kFailed);
  const ReadResult got = read(*world_.log, {{places_[5], 0, 10}});
  EXPECT_FALSE(got.ok);
  EXPECT_FALSE(got.corrupt);
  world_.disk.heal();
  EXPECT_TRUE(read(*world_.log, {{places_[5], 0, 10}}).ok);
}

TEST_F(PayloadReader, OldGenerationsAreOpenedAgainWhenRead) {
  ASSERT_TRUE(world_.open());
  EXPECT_EQ(read(*world_.log, {{places_[1], 0, 10}, {places_[200], 0, 10}}).bytes,
            ">" + LogWorld::payload(1, 10) + LogWorld::payload(200, 10));
}

}  // namespace
}  // namespace ds::store
