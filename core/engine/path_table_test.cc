#include "core/engine/path_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>

namespace ds::engine {
namespace {

constexpr HashKey kKey{1, 2};

std::unique_ptr<StreamEntry> stream(const std::string& path) {
  auto made = std::make_unique<StreamEntry>();
  made->state.path = path;
  return made;
}

TEST(PathTable, FindsNothingWhereThereIsNothing) {
  const PathTable table(kKey);
  EXPECT_EQ(table.find("p/a"), nullptr);
  EXPECT_EQ(table.find(""), nullptr);
  EXPECT_EQ(table.capacity(), 0u);
}

TEST(PathTable, AStreamTakesThePlaceOfTheOneBeforeAtItsPath) {
  PathTable table(kKey);
  const auto older = stream("p/a");
  const auto newer = stream("p/a");
  EXPECT_EQ(table.put(*older), nullptr);
  EXPECT_EQ(table.put(*newer), older.get());
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.find("p/a"), newer.get());
  EXPECT_EQ(table.find("p/b"), nullptr);
  EXPECT_EQ(table.put(*older), newer.get());
  table.remove(*older);
  EXPECT_EQ(table.find("p/a"), nullptr);
  EXPECT_EQ(table.size(), 0u);
}

// Few paths and many steps: slots are used again, and removals leave holes in full stretches.
TEST(PathTable, IsTheSameAsAMapWhateverHappens) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    const size_t paths = seed % 2 == 0 ? 12 : 3000;
    PathTable table(HashKey{seed, 7});
    std::map<std::string, std::unique_ptr<StreamEntry>> expected;
    for (int step = 0; step < 20000; ++step) {
      const std::string path = "p/" + std::to_string(random() % paths);
      const auto found = expected.find(path);
      ASSERT_EQ(table.find(path), found == expected.end() ? nullptr : found->second.get());
      if (random() % 2 == 0) {
        auto made = stream(path);
        ASSERT_EQ(table.put(*made), found == expected.end() ? nullptr : found->second.get());
        expected[path] = std::move(made);
      } else if (found != expected.end()) {
        table.remove(*found->second);
        expected.erase(found);
      }
      if (step % 1000 == 999) table.shrink();
      ASSERT_EQ(table.size(), expected.size());
    }
    for (const auto& [path, entry] : expected) ASSERT_EQ(table.find(path), entry.get());
    ASSERT_LE(table.size() * 4, table.capacity() * 3);
  }
}

TEST(PathTable, GivesMemoryBackWhenFewAreLeft) {
  PathTable table(kKey);
  std::vector<std::unique_ptr<StreamEntry>> streams;
  for (int i = 0; i < 1000; ++i) table.put(*streams.emplace_back(stream("p/" + std::to_string(i))));
  const size_t full = table.capacity();
  table.shrink();
  EXPECT_EQ(table.capacity(), full);
  while (streams.size() > 10) {
    table.remove(*streams.back());
    streams.pop_back();
  }
  table.shrink();
  EXPECT_LE(table.capacity(), 64u);
  for (const auto& left : streams) EXPECT_EQ(table.find(left->state.path), left.get());
}

}  // namespace
}  // namespace ds::engine
