#include "core/engine/record_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "core/stream/op_record.h"

namespace ds::engine {
namespace {

// What a batch of so few bytes takes, whatever they are.
uint64_t small_batch() { return RecordCache::memory_of(share("abc")); }

TEST(RecordCache, FindsARecordUpToTheEndOfItsBatch) {
  RecordCache cache;
  EXPECT_TRUE(cache.find(log_position(1, 0)).bytes.empty());
  cache.push(log_position(1, 100), share("abcdef"), 1000);
  cache.push(log_position(1, 200), share("ghi"), 1000);
  cache.push(log_position(2, 0), share("jkl"), 1000);
  EXPECT_EQ(cache.find(log_position(1, 100)).bytes, "abcdef");
  EXPECT_EQ(cache.find(log_position(1, 102)).bytes, "cdef");
  EXPECT_EQ(cache.find(log_position(1, 202)).bytes, "i");
  EXPECT_EQ(cache.find(log_position(2, 0)).bytes, "jkl");
  for (const LogPosition p : {log_position(0, 0), log_position(1, 99), log_position(1, 106),
                              log_position(1, 203), log_position(2, 3), log_position(3, 0)}) {
    EXPECT_TRUE(cache.find(p).bytes.empty()) << p.value;
  }
  EXPECT_EQ(cache.bytes(), 3 * small_batch());
}

TEST(RecordCache, KeepsTheNewestWithinItsBudget) {
  RecordCache cache;
  const uint64_t budget = 2 * small_batch() + 1;
  for (uint32_t i = 0; i < 100; ++i) {
    const std::string records(4, static_cast<char>('a' + i % 26));
    cache.push(log_position(1, i * 10), share(records), budget);
    EXPECT_LE(cache.bytes(), budget);
  }
  EXPECT_TRUE(cache.find(log_position(1, 970)).bytes.empty());
  EXPECT_FALSE(cache.find(log_position(1, 980)).bytes.empty());
  EXPECT_FALSE(cache.find(log_position(1, 990)).bytes.empty());
  // The newest one is held however large it is, and alone.
  cache.push(log_position(2, 0), share(std::string(1000, 'x')), budget);
  EXPECT_GE(cache.bytes(), 1000u);
  EXPECT_TRUE(cache.find(log_position(1, 990)).bytes.empty());
  EXPECT_EQ(cache.find(log_position(2, 0)).bytes.size(), 1000u);
}

TEST(RecordCache, ABatchCountsWithAllTheMemoryThatItKeeps) {
  std::string small = "abc";
  small.reserve(10000);
  RecordCache cache;
  cache.push(log_position(1, 0), share(std::move(small)), 25000);
  EXPECT_GE(cache.bytes(), 10000u);
  for (uint32_t i = 1; i < 100; ++i) {
    std::string next = "abc";
    next.reserve(10000);
    cache.push(log_position(1, i * 10), share(std::move(next)), 25000);
  }
  EXPECT_TRUE(cache.find(log_position(1, 970)).bytes.empty());
  EXPECT_EQ(cache.find(log_position(1, 980)).bytes, "abc");
  cache.drop_through(1);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(RecordCache, AWalkFindsWhatSingleLooksFind) {
  RecordCache cache;
  uint64_t at = 0;
  for (int i = 0; i < 200; ++i) {
    const size_t size = 1 + static_cast<size_t>(i * 7 % 5);
    cache.push(log_position(1, static_cast<uint32_t>(at)),
               share(std::string(size, static_cast<char>('a' + i % 26))), 1 << 20);
    at += size + (i % 3 == 0 ? 2 : 0);  // of which there is nothing
  }
  for (const uint32_t step : {1U, 2U, 17U, 100U}) {
    RecordCache::Walk walk(cache);
    for (uint32_t p = 0; p < at + 50; p += step) {
      EXPECT_EQ(walk.find(log_position(1, p)), cache.find(log_position(1, p)).bytes) << p;
    }
    // Back again, and where nothing is.
    EXPECT_EQ(walk.find(log_position(1, 0)), "a");
    EXPECT_EQ(walk.find(log_position(0, 0)), "");
  }
  RecordCache empty;
  EXPECT_EQ(RecordCache::Walk(empty).find(log_position(1, 0)), "");
}

TEST(RecordCache, WhatWasFoundOutlivesItsPlaceInTheCache) {
  RecordCache cache;
  cache.push(log_position(1, 0), share("first"), 1);
  const Slice found = cache.find(log_position(1, 1));
  cache.push(log_position(1, 10), share("second"), 1);
  EXPECT_TRUE(cache.find(log_position(1, 1)).bytes.empty());
  EXPECT_EQ(found.bytes, "irst");
}

TEST(RecordCache, ForgetsGenerationsThatHaveBeenSealed) {
  RecordCache cache;
  uint32_t at = 0;
  for (const uint32_t generation : {1, 1, 2, 4}) {
    cache.push(log_position(generation, at), share("abc"), 1000);
    at += 3;
  }
  cache.drop_through(0);
  EXPECT_EQ(cache.bytes(), 4 * small_batch());
  cache.drop_through(1);
  EXPECT_EQ(cache.bytes(), 2 * small_batch());
  EXPECT_TRUE(cache.find(log_position(1, 3)).bytes.empty());
  EXPECT_EQ(cache.find(log_position(2, 6)).bytes, "abc");
  cache.drop_through(3);
  EXPECT_EQ(cache.bytes(), small_batch());
  cache.drop_through(9);
  EXPECT_EQ(cache.bytes(), 0u);
  EXPECT_TRUE(cache.find(log_position(4, 9)).bytes.empty());
  cache.push(log_position(10, 0), share("abc"), 1000);
  EXPECT_EQ(cache.find(log_position(10, 1)).bytes, "bc");
}

TEST(RecordCache, AdoptedBytesAreFoundBesideTheLogs) {
  RecordCache cache;
  cache.push(log_position(1, 0), share("from the log"), 1);
  stream::MessageIndex index;
  for (const uint64_t end : {3U, 5U, 9U}) {
    index.push({Position{end}, log_position(1, 0), end});
  }
  for (const std::string& bytes : {std::string("aaabbcccc"), std::string("dddeeffff")}) {
    const stream::MessageIndex moved = cache.adopt(index, bytes);
    ASSERT_EQ(moved.size(), 3u);
    std::string found;
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(moved.at(i).end, index.at(i).end);
      EXPECT_EQ(moved.at(i).time_ms, index.at(i).time_ms);
      const uint64_t size = moved.at(i).end - moved.start_of(i);
      found += cache.find(moved.at(i).record)
                   .bytes.substr(stream::kRecordPayloadOffset, static_cast<size_t>(size));
    }
    EXPECT_EQ(found, bytes);
  }
  EXPECT_EQ(cache.adopt(stream::MessageIndex(), "").size(), 0u);
  cache.push(log_position(1, 100), share("more"), 1);
  EXPECT_EQ(cache.find(log_position(1, 100)).bytes, "more");
}

}  // namespace
}  // namespace ds::engine
