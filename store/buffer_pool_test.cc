#include "store/buffer_pool.h"

#include <gtest/gtest.h>

namespace ds::store {
namespace {

TEST(BufferPool, GivesOutAgainWhatNobodyRefersToAnyMore) {
  const auto pool = std::make_shared<BufferPool>();
  EXPECT_EQ(pool->take(), "");
  SharedBytes shared = pool->share(std::string(1 << 20, 'a'));
  const char* const place = shared->data();
  SharedBytes second = shared;
  shared.reset();
  EXPECT_EQ(pool->kept_bytes(), 0u);
  EXPECT_EQ(*second, std::string(1 << 20, 'a'));
  second.reset();
  EXPECT_GE(pool->kept_bytes(), 1u << 20);
  const std::string again = pool->take();
  EXPECT_EQ(again.data(), place);
  EXPECT_EQ(again.size(), 1u << 20);
  EXPECT_EQ(pool->kept_bytes(), 0u);
}

TEST(BufferPool, KeepsNoMoreThanItMay) {
  const auto pool = std::make_shared<BufferPool>();
  pool->share(std::string(BufferPool::kBufferBytesMax + 1, 'a')).reset();
  EXPECT_EQ(pool->kept_bytes(), 0u);
  std::vector<SharedBytes> all;
  for (int i = 0; i < 40; ++i) all.push_back(pool->share(std::string(1 << 20, 'a')));
  all.clear();
  EXPECT_GT(pool->kept_bytes(), BufferPool::kKeptBytesMax / 2);
  EXPECT_LE(pool->kept_bytes(), BufferPool::kKeptBytesMax);
}

TEST(BufferPool, WhatItSharedOutlivesIt) {
  auto pool = std::make_shared<BufferPool>();
  const SharedBytes shared = pool->share("still here");
  pool.reset();
  EXPECT_EQ(*shared, "still here");
}

}  // namespace
}  // namespace ds::store
