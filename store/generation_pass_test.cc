#include "store/generation_pass.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "core/stream/message_index.h"
#include "core/stream/op_record.h"
#include "store/generation_files.h"
#include "tests/fakes/memory_disk.h"
#include "tests/fakes/seal_world.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

constexpr uint64_t kSingleBytes = 1000;
constexpr PassLimits kGathersAll{UINT64_MAX, UINT64_MAX};

struct GenerationPassTest : testing::Test {
  fakes::TempDirectory temp;
  fakes::MemoryDisk disk;
  std::unique_ptr<ports::Directory> root = disk.root();
  std::unique_ptr<ports::Directory> log = std::move(root->subdirectory("log")).value();
  fakes::SealWorld world{*root, temp.file("catalog.db")};
  GenerationFile generation;
  uint64_t end = 0;

  // Closes all streams, so that others fill generation 1.
  GenerationSurvey survey() {
    world.open_sealer();
    std::vector<Incarnation> all;
    for (const auto& [id, state] : world.written.states) all.push_back(id);
    for (const Incarnation id : all) world.close(id);
    world.commit();
    world.fill_generation();
    generation = std::move(open_generation(*log, 1)).value();
    end = open_generation(*log, 2)->header.first_sequence;
    return std::move(survey_generation(generation, end, *world.catalog)).value();
  }
  static bool none(size_t, std::string_view, LogPosition) { return false; }
};

// Each with a comma behind it; that of a close is empty.
std::string payloads(std::string_view records) {
  std::string all;
  while (!records.empty()) {
    const uint32_t bytes = stream::peek_record_size(records).value();
    all += std::string(stream::record_payload(records.substr(0, bytes))) + ",";
    records.remove_prefix(bytes);
  }
  return all;
}

TEST_F(GenerationPassTest, RecordsOfOneStreamLieTogetherInTheirOrder) {
  const Incarnation a = world.create("/a", "a1");
  const Incarnation b = world.create("/b", "b1");
  world.append(a, "a2");
  world.append(b, "b2");
  world.append(a, "a3");
  const GenerationSurvey found = survey();
  ASSERT_EQ(found.streams[0].id, a);
  GenerationPass pass(std::span(found.streams).first(2), kGathersAll);
  ASSERT_FALSE(pass.read(generation, end, none));
  EXPECT_EQ(payloads(pass.records_of(0)), "a1,a2,a3,,");
  EXPECT_EQ(payloads(pass.records_of(1)), "b1,b2,,");
}

TEST_F(GenerationPassTest, ALargeStreamIsHandedOnAndNotGathered) {
  const Incarnation a = world.create("/a", "a1");
  world.create("/b", "b1");
  const std::string large(kSingleBytes, 'x');
  world.append(a, large);
  const GenerationSurvey found = survey();
  const std::span<const StreamSurvey> streams = std::span(found.streams).first(2);
  // Large by its messages, and by its records.
  for (const PassLimits limits : {PassLimits{kSingleBytes, UINT64_MAX},
                                  PassLimits{UINT64_MAX, streams[0].record_bytes - 1}}) {
    EXPECT_FALSE(limits.gathers(streams[0]));
    GenerationPass pass(streams, limits);
    EXPECT_EQ(pass.gathered_bytes(), streams[1].record_bytes);
    std::string handed_on;
    ASSERT_FALSE(
        pass.read(generation, end, [&](size_t index, std::string_view record, LogPosition) {
          EXPECT_EQ(index, 0u);
          handed_on += payloads(record);
          return true;
        }));
    EXPECT_EQ(handed_on, "a1," + large + ",,");
    EXPECT_EQ(payloads(pass.records_of(1)), "b1,,");
  }
}

TEST(PassLimits, CountsWhatAPassHoldsOfAStream) {
  const StreamSurvey stream{Incarnation{1}, 10000, 1000000, 500000};
  const uint64_t index = stream.records * sizeof(stream::MessageEntry);
  EXPECT_NEAR(static_cast<double>(kGathersAll.bytes_of(stream)), 1000000, 100);
  const PassLimits single{500000, UINT64_MAX};
  EXPECT_NEAR(static_cast<double>(single.bytes_of(stream)), static_cast<double>(index), 2000);
  const PassLimits many_records{UINT64_MAX, 999999};
  EXPECT_NEAR(static_cast<double>(many_records.bytes_of(stream)),
              static_cast<double>(index + 500000), 2000);
}

TEST_F(GenerationPassTest, AHandedOnRecordThatDoesNotFollowIsCorrupt) {
  world.create("/a", std::string(kSingleBytes, 'x'));
  const GenerationSurvey found = survey();
  GenerationPass pass(std::span(found.streams).first(1), {kSingleBytes, UINT64_MAX});
  const SealProblem problem = pass.read(generation, end, none);
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->kind, SealError::Kind::kCorrupt);
}

TEST_F(GenerationPassTest, WhatTheSurveyHasNotSeenIsCorrupt) {
  const Incarnation a = world.create("/a", "a1");
  world.create("/b", "b1");
  const Incarnation c = world.create("/c", "c1");
  world.append(a, "a2");
  const GenerationSurvey found = survey();
  const std::vector<StreamSurvey> seen(found.streams.begin(), found.streams.begin() + 3);
  ASSERT_EQ(seen[2].id, c);
  const auto kind_of = [this](const std::vector<StreamSurvey>& streams) {
    GenerationPass pass(streams, kGathersAll);
    const SealProblem problem = pass.read(generation, end, none);
    return problem ? std::optional(problem->kind) : std::nullopt;
  };
  EXPECT_EQ(kind_of(seen), std::nullopt);
  std::vector<StreamSurvey> other = seen;
  other[0].record_bytes += 1;  // a record less than there was
  EXPECT_EQ(kind_of(other), SealError::Kind::kCorrupt);
  other = seen;
  other[0].record_bytes -= 1;  // one more
  EXPECT_EQ(kind_of(other), SealError::Kind::kCorrupt);
  other = {seen[0], seen[2]};  // of another stream
  EXPECT_EQ(kind_of(other), SealError::Kind::kCorrupt);
}

}  // namespace
}  // namespace ds::store
