#include "server/http/send_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "server/memory_budget.h"

namespace ds::server {
namespace {

constexpr uint64_t kBody = SendCache::kBodyBytesMin;

SharedBytes body_of(char c, uint64_t size = kBody) { return share(std::string(size, c)); }

std::string contents(const FileTwin& twin, uint64_t size) {
  std::string bytes(size, '\0');
  EXPECT_EQ(::pread(twin.descriptor, bytes.data(), size, static_cast<off_t>(twin.offset)),
            static_cast<ssize_t>(size));
  return bytes;
}

TEST(SendCache, ABodyIsCopiedWhenItIsSentTheSecondTimeAndOnce) {
  SendCache cache(10 * kBody);
  const SharedBytes body = body_of('a', kBody + 1);
  EXPECT_EQ(cache.copy_of(body), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
  const FileTwinPtr copy = cache.copy_of(body);
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(contents(*copy, body->size()), *body);
  EXPECT_EQ(cache.copy_of(body), copy);
  EXPECT_EQ(cache.bytes(), kBody + 4096) << "whole pages";
}

TEST(SendCache, BodiesThatAreSmallHugeOrReadForOneAnswerAreNotCopied) {
  SendCache cache(1 << 30);
  MemoryBudget budget(1 << 30);
  budget.charge(kBody);
  const SharedBytes bodies[] = {
      nullptr, body_of('s', kBody - 1), body_of('h', SendCache::kBodyBytesMax + 1),
      share_charged(std::string(kBody, 'c'), MemoryCharge(budget, kBody))};
  for (const SharedBytes& body : bodies) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cache.copy_of(body), nullptr);
  }
  SendCache none(0);
  const SharedBytes body = body_of('a');
  for (int i = 0; i < 3; ++i) EXPECT_EQ(none.copy_of(body), nullptr);
}

TEST(SendCache, ItsMemoryIsBoundedAndGivenBackWithTheBodies) {
  SendCache cache(2 * kBody);
  SharedBytes first = body_of('1');
  const SharedBytes second = body_of('2');
  const SharedBytes third = body_of('3');
  for (const SharedBytes& body : {first, second, third}) EXPECT_EQ(cache.copy_of(body), nullptr);
  FileTwinPtr copy = cache.copy_of(first);
  ASSERT_NE(copy, nullptr);
  ASSERT_NE(cache.copy_of(second), nullptr);
  EXPECT_EQ(cache.copy_of(third), nullptr) << "there is no room";
  first.reset();
  EXPECT_EQ(cache.copy_of(third), nullptr) << "a client has it still";
  EXPECT_EQ(contents(*copy, kBody), std::string(kBody, '1'));
  const uint64_t old_place = copy->offset;
  copy.reset();
  copy = cache.copy_of(third);
  ASSERT_NE(copy, nullptr);
  EXPECT_GT(copy->offset, old_place + kBody) << "a place is used once";
  EXPECT_EQ(cache.bytes(), 2 * kBody);
  struct stat file {};
  ASSERT_EQ(::fstat(copy->descriptor, &file), 0);
  EXPECT_EQ(static_cast<uint64_t>(file.st_blocks) * 512, cache.bytes());
}

TEST(SendCache, AnotherBodyAtTheSameAddressIsAnotherBody) {
  SendCache cache(10 * kBody);
  // The same string, owned anew: as if freed memory were used again.
  const std::string bytes(kBody, 'x');
  for (int i = 0; i < 3; ++i) {
    const SharedBytes body(&bytes, [](const std::string*) {});
    EXPECT_EQ(cache.copy_of(body), nullptr);
    ASSERT_NE(cache.copy_of(body), nullptr);
  }
  cache.sweep();
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(SendCache, OnlySoManyBodiesAreKnown) {
  SendCache cache(10 * kBody);
  const std::string bytes(kBody, 'x');
  std::vector<SharedBytes> bodies;
  std::vector<std::string> texts(SendCache::kBodiesMax + 1, bytes);
  for (const std::string& text : texts) {
    bodies.emplace_back(&text, [](const std::string*) {});
    EXPECT_EQ(cache.copy_of(bodies.back()), nullptr);
  }
  EXPECT_EQ(cache.copy_of(bodies.back()), nullptr) << "it is not known";
  EXPECT_NE(cache.copy_of(bodies.front()), nullptr);
  bodies.front().reset();
  EXPECT_EQ(cache.copy_of(bodies.back()), nullptr);
  EXPECT_NE(cache.copy_of(bodies.back()), nullptr);
}

}  // namespace
}  // namespace ds::server
