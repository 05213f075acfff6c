// Forks over two objects, with deaths between every two steps.
#include "worker/wasm/links.h"

#include <gtest/gtest.h>

#include "worker/wasm/test_world.h"

namespace ds::worker {
namespace {

constexpr const char* kText = "content-type:text/plain\n";
constexpr const char* kSource = "_default/source";
constexpr const char* kFork = "_default/fork";
constexpr const char* kFrom = "stream-forked-from:/v1/stream/source\n";

std::string read_all(TestWorld& world, const std::string& path) {
  std::string all;
  std::string offset = "-1";
  for (int i = 0; i < 1000; ++i) {
    const TestAnswer answer = world.send(path, "GET", "offset=" + offset);
    if (answer.status != 200) return all + "!" + std::to_string(answer.status);
    all += answer.body;
    if (!answer.header("Stream-Up-To-Date").empty()) return all;
    offset = answer.header("Stream-Next-Offset");
  }
  return all + "!endless";
}

void fill(TestWorld& world, const std::string& path, int messages) {
  for (int i = 0; i < messages; ++i) {
    ASSERT_EQ(world.send(path, "POST", "", kText, path.substr(9, 1) + std::to_string(i)).status,
              204);
  }
}

TEST(Links, AForkReadsItsSourcesBytesWithoutHoldingThem) {
  TestWorld world(test_options());
  world.send(kSource, "PUT", "", kText);
  fill(world, kSource, 30);
  const std::string inherited = read_all(world, kSource);
  ASSERT_EQ(world.send(kFork, "PUT", "", kFrom).status, 201);
  fill(world, kFork, 10);
  fill(world, kSource, 5);
  for (const bool evicted : {false, true}) {
    if (evicted) world.evict(kFork), world.evict(kSource);
    EXPECT_EQ(read_all(world, kFork), inherited + "f0f1f2f3f4f5f6f7f8f9");
  }
  size_t stored = 0;
  for (const auto& [at, row] : world.storage(kFork).rows) {
    stored += row.find("s1") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(stored, 0u);
}

TEST(Links, AForkOfAForkReadsThroughBoth) {
  Options options = test_options();
  options.seal_bytes = 60;
  TestWorld world(options);
  world.send(kSource, "PUT", "", kText);
  fill(world, kSource, 30);
  world.send(kFork, "PUT", "", kFrom);
  fill(world, kFork, 10);
  ASSERT_EQ(world.send("_default/third", "PUT", "", "stream-forked-from:/v1/stream/fork\n").status,
            201);
  fill(world, "_default/third", 10);
  world.settle();
  const std::string expected = read_all(world, kFork) + "t0t1t2t3t4t5t6t7t8t9";
  world.evict("_default/third");
  EXPECT_EQ(read_all(world, "_default/third"), expected);
}

TEST(Links, ADeletedSourceIsHeldUntilItsLastForkIsGone) {
  TestWorld world(test_options());
  world.send(kSource, "PUT", "", kText);
  fill(world, kSource, 10);
  const std::string all = read_all(world, kSource);
  world.send(kFork, "PUT", "", kFrom);
  ASSERT_EQ(world.send(kSource, "DELETE").status, 204);
  world.evict(kSource);
  world.evict(kFork);
  EXPECT_EQ(world.send(kSource, "GET").status, 410);
  EXPECT_EQ(read_all(world, kFork), all);
  ASSERT_EQ(world.send(kFork, "DELETE").status, 204);
  world.settle();
  EXPECT_EQ(world.send(kSource, "GET").status, 404);
  EXPECT_TRUE(world.storage(kSource).rows.empty());
}

// Everything that a fork goes through: created, written to, deleted.
struct Life {
  uint16_t created = 0;
  uint16_t removed = 0;
};

Life live_through(TestWorld& world) {
  Life life;
  life.created = world.send(kFork, "PUT", "", kFrom, "own").status;
  world.settle();
  if (life.created == 201) {
    life.removed = world.send(kFork, "DELETE").status;
    world.settle();
  }
  return life;
}

// The object dies before the nth message is delivered, for every n and either object.
TEST(Links, WhateverDiesBetweenTwoStepsNoPinIsLeftAndNothingSharedIsLost) {
  for (const char* victim : {kSource, kFork}) {
    for (int n = 0;; ++n) {
      TestWorld world(test_options());
      world.send(kSource, "PUT", "", kText);
      fill(world, kSource, 10);
      int left = n;
      world.before_step = [&] {
        if (left-- == 0) world.kill(victim);
      };
      const Life life = live_through(world);
      world.before_step = nullptr;
      const std::string where = std::string(victim) + " dies before message " + std::to_string(n);
      EXPECT_TRUE(life.created == 503 || life.created == 201) << where;
      EXPECT_EQ(life.removed, life.created == 201 ? 204 : 0) << where;
      // What is owed is paid by and by.
      world.pass(seconds(300));
      EXPECT_EQ(world.facts(kSource, 'c'), 0u) << where;
      EXPECT_EQ(world.facts(kFork, 'u'), 0u) << where;
      ASSERT_EQ(world.send(kSource, "DELETE").status, 204) << where;
      EXPECT_EQ(world.send(kSource, "GET").status, 404) << where << ": a pin is left";
      if (world.deaths == 0) break;
      ASSERT_LT(n, 100);
    }
  }
}

TEST(Links, AForkThatCameToBeKeepsItsPinWhateverDies) {
  for (const char* victim : {kSource, kFork}) {
    for (int n = 0;; ++n) {
      TestWorld world(test_options());
      world.send(kSource, "PUT", "", kText);
      fill(world, kSource, 10);
      const std::string all = read_all(world, kSource);
      int left = n;
      world.before_step = [&] {
        if (left-- == 0) world.kill(victim);
      };
      uint16_t created = world.send(kFork, "PUT", "", kFrom).status;
      world.pass(seconds(300));
      world.before_step = nullptr;
      if (created != 201) created = world.send(kFork, "PUT", "", kFrom).status;
      EXPECT_TRUE(created == 201 || created == 200) << victim << n;
      world.pass(seconds(300));
      ASSERT_EQ(world.send(kSource, "DELETE").status, 204);
      world.pass(seconds(300));
      EXPECT_EQ(world.send(kSource, "GET").status, 410) << victim << n;
      EXPECT_EQ(read_all(world, kFork), all) << victim << n;
      if (world.deaths == 0) break;
      ASSERT_LT(n, 100);
    }
  }
}

TEST(Links, TwoForksThatWereGivenOneLifeAreBothPinned) {
  TestWorld world(test_options());
  world.send(kSource, "PUT", "", kText);
  fill(world, kSource, 3);
  const std::string all = read_all(world, kSource);
  std::vector<std::string> forks;
  // Lives are cut to 64 remainders: at one instant some of these are the same.
  for (int i = 0; i < 100; ++i) forks.push_back("_default/f" + std::to_string(i));
  for (const std::string& fork : forks) {
    ASSERT_EQ(world.send(fork, "PUT", "", kFrom).status, 201);
  }
  for (size_t i = 1; i < forks.size(); ++i) world.send(forks[i], "DELETE");
  world.settle();
  world.send(kSource, "DELETE");
  EXPECT_EQ(read_all(world, forks[0]), all);
  world.send(forks[0], "DELETE");
  world.settle();
  EXPECT_EQ(world.send(kSource, "GET").status, 404);
}

}  // namespace
}  // namespace ds::worker
