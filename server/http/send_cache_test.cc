#include "server/http/send_cache.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/memory_budget.h"

namespace ds::server {
namespace {

constexpr uint64_t kBody = kTwinBytesMin;
constexpr uint64_t kMany = 1000;

SharedBytes body_of(char c, uint64_t size = kBody) { return share(std::string(size, c)); }

// Owned elsewhere, as if what was freed were used again.
SharedBytes borrowed(const std::string& text) {
  return {&text, [](const std::string*) {}};
}

std::string contents(const FileTwin& twin, uint64_t size) {
  std::string bytes(size, '\0');
  EXPECT_EQ(::pread(twin.descriptor, bytes.data(), size, static_cast<off_t>(twin.offset)),
            static_cast<ssize_t>(size));
  return bytes;
}

uint64_t taken(int descriptor) {
  struct stat file {};
  EXPECT_EQ(::fstat(descriptor, &file), 0);
  return static_cast<uint64_t>(file.st_blocks) * 512;
}

struct SendCacheTest : testing::Test {
  Instant now{1'000'000'000};

  // The body is sent twice.
  FileTwinPtr copied(SendCache& cache, const SharedBytes& body) const {
    cache.copy_of(body, now);
    return cache.copy_of(body, now);
  }
};

TEST_F(SendCacheTest, ABodyIsCopiedWhenItIsSentTheSecondTimeAndOnce) {
  SendCache cache(10 * kBody, kMany);
  const SharedBytes body = body_of('a', kBody + 1);
  EXPECT_EQ(cache.copy_of(body, now), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
  const FileTwinPtr copy = cache.copy_of(body, now);
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(contents(*copy, body->size()), *body);
  EXPECT_EQ(cache.copy_of(body, now), copy);
  EXPECT_EQ(cache.bytes(), taken(copy->descriptor)) << "whole pages";
  EXPECT_GT(cache.bytes(), body->size());
}

TEST_F(SendCacheTest, BodiesThatAreSmallHugeOrReadForOneAnswerAreNotCopied) {
  SendCache cache(1 << 30, kMany);
  MemoryBudget budget(1 << 30);
  budget.charge(kBody);
  const SharedBytes bodies[] = {
      nullptr, body_of('s', kBody - 1), body_of('h', SendCache::kBodyBytesMax + 1),
      share_charged(std::string(kBody, 'c'), MemoryCharge(budget, kBody))};
  for (const SharedBytes& body : bodies) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cache.copy_of(body, now), nullptr);
  }
  const SharedBytes body = body_of('a');
  SendCache no_memory(0, kMany);
  EXPECT_EQ(copied(no_memory, body), nullptr);
  SendCache little_memory(kBody - 1, kMany);
  EXPECT_EQ(copied(little_memory, body), nullptr);
  SendCache no_files(1 << 30, 0);
  EXPECT_EQ(copied(no_files, body), nullptr);
}

TEST_F(SendCacheTest, MemoryAndFilesAreBounded) {
  for (const auto& [bytes, files] : {std::pair{2 * kBody, kMany}, std::pair{kMany * kBody, 2ul}}) {
    SendCache cache(bytes, files);
    SharedBytes first = body_of('1');
    const SharedBytes second = body_of('2');
    const SharedBytes third = body_of('3');
    EXPECT_NE(copied(cache, first), nullptr);
    EXPECT_NE(copied(cache, second), nullptr);
    EXPECT_EQ(copied(cache, third), nullptr) << "there is no room";
    EXPECT_EQ(cache.bytes(), 2 * kBody);
    first.reset();
    now = now + SendCache::kSweep;
    cache.on_time(now);
    EXPECT_EQ(cache.bytes(), kBody);
    const FileTwinPtr copy = cache.copy_of(third, now);
    ASSERT_NE(copy, nullptr);
    EXPECT_EQ(contents(*copy, kBody), *third);
  }
}

TEST_F(SendCacheTest, ACopyThatNobodyAsksForGivesWay) {
  SendCache cache(2 * kBody, kMany);
  const SharedBytes idle = body_of('i');
  const SharedBytes busy = body_of('b');
  const SharedBytes other = body_of('o');
  const FileTwinPtr idle_copy = copied(cache, idle);
  ASSERT_NE(copied(cache, busy), nullptr);
  now = now + SendCache::kIdle;
  EXPECT_FALSE(idle_copy->file.expired()) << "nobody needs its room";
  EXPECT_NE(cache.copy_of(busy, now), nullptr);
  EXPECT_NE(copied(cache, other), nullptr);
  EXPECT_TRUE(idle_copy->file.expired());
  EXPECT_EQ(cache.copy_of(idle, now), nullptr) << "both others are busy";
  EXPECT_EQ(cache.bytes(), 2 * kBody);
}

TEST_F(SendCacheTest, NoneGiveWayForABodyThatStillFindsNoRoom) {
  SendCache cache(3 * kBody, kMany);
  const SharedBytes idle = body_of('i');
  const SharedBytes busy = body_of('b');
  const SharedBytes large = body_of('l', 3 * kBody);
  const SharedBytes small = body_of('s');
  const FileTwinPtr idle_copy = copied(cache, idle);
  now = now + SendCache::kIdle;
  ASSERT_NE(copied(cache, busy), nullptr);
  EXPECT_EQ(copied(cache, large), nullptr);
  EXPECT_FALSE(idle_copy->file.expired());
  EXPECT_NE(copied(cache, small), nullptr) << "which is not barred with it";
  EXPECT_EQ(cache.bytes(), 3 * kBody);
}

TEST_F(SendCacheTest, ACopyThatIsNotSentEnds) {
  SendCache cache(3 * kBody, kMany);
  const SharedBytes body = body_of('a');
  ASSERT_NE(copied(cache, body), nullptr);
  now = now + SendCache::kKept + Duration{-1};
  cache.on_time(now);
  EXPECT_EQ(cache.bytes(), kBody);
  now = now + SendCache::kSweep;
  cache.on_time(now);
  EXPECT_EQ(cache.bytes(), 0u);
}

// What is on its way to a client refers to the file's pages.
TEST_F(SendCacheTest, ACopyThatEndsIsNeitherWrittenNorCut) {
  SendCache cache(kBody, kMany);
  SharedBytes body = body_of('a');
  const FileTwinPtr copy = copied(cache, body);
  ASSERT_NE(copy, nullptr);
  const FileTwin in_flight{{}, ::dup(copy->descriptor), copy->offset};
  body.reset();
  now = now + SendCache::kSweep;
  cache.on_time(now);
  EXPECT_TRUE(copy->file.expired());
  const SharedBytes other = body_of('o');
  ASSERT_NE(copied(cache, other), nullptr);
  EXPECT_EQ(contents(in_flight, kBody), std::string(kBody, 'a'));
  EXPECT_EQ(taken(in_flight.descriptor), kBody);
  ::close(in_flight.descriptor);
}

TEST_F(SendCacheTest, AnotherBodyAtTheSameAddressIsAnotherBody) {
  SendCache cache(10 * kBody, kMany);
  const std::string bytes(kBody, 'x');
  for (int i = 0; i < 3; ++i) {
    const SharedBytes body = borrowed(bytes);
    EXPECT_EQ(cache.copy_of(body, now), nullptr);
    ASSERT_NE(cache.copy_of(body, now), nullptr);
    EXPECT_EQ(cache.bytes(), kBody);
  }
  cache.on_time(now);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST_F(SendCacheTest, OnlySoManyBodiesAreKnownAndThoseSentOnceAreForgotten) {
  SendCache cache(10 * kBody, kMany);
  const std::vector<std::string> texts(SendCache::kBodiesMax + 1, std::string(kBody, 'x'));
  std::vector<SharedBytes> bodies;
  for (const std::string& text : texts) {
    bodies.push_back(borrowed(text));
    EXPECT_EQ(cache.copy_of(bodies.back(), now), nullptr);
  }
  EXPECT_EQ(cache.copy_of(bodies.back(), now), nullptr) << "it is not known";
  EXPECT_NE(cache.copy_of(bodies.front(), now), nullptr);
  now = now + SendCache::kIdle;
  cache.on_time(now);
  EXPECT_NE(copied(cache, bodies.back()), nullptr);
  EXPECT_EQ(cache.bytes(), 2 * kBody);
  EXPECT_NE(cache.copy_of(bodies.front(), now), nullptr) << "what has a copy is kept";
}

TEST_F(SendCacheTest, AfterAFailureNothingIsCopiedForAWhile) {
  SendCache cache(10 * kBody, kMany);
  const SharedBytes body = body_of('a');
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  // As in the server.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = kBody / 2;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(copied(cache, body), nullptr);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(cache.copy_of(body, now), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
  now = now + SendCache::kRetry;
  EXPECT_NE(cache.copy_of(body, now), nullptr);
}

}  // namespace
}  // namespace ds::server
