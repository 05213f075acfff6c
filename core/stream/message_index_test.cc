#include "core/stream/message_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/mutations.h"

namespace ds::stream {
namespace {

using tests::Random;

constexpr size_t kBlock = MessageIndex::kBlockEntries;

bool same(const MessageEntry& a, const MessageEntry& b) {
  return a.end == b.end && a.record == b.record && a.time_ms == b.time_ms;
}

// Messages of random sizes.
std::vector<MessageEntry> random_entries(Random& random, size_t count) {
  std::vector<MessageEntry> out;
  uint64_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    end += 1 + random.below(random.below(4) == 0 ? 100 : 3);
    out.push_back({Position{end}, LogPosition{i * 100 + 1}, 1000 + i});
  }
  return out;
}

MessageIndex index_of(const std::vector<MessageEntry>& entries) {
  MessageIndex out;
  for (const MessageEntry& entry : entries) out.push(entry);
  return out;
}

void expect_equal(const MessageIndex& index, const std::vector<MessageEntry>& entries) {
  ASSERT_EQ(index.size(), entries.size());
  EXPECT_EQ(index.empty(), entries.empty());
  EXPECT_EQ(index.end(), entries.empty() ? Position{0} : entries.back().end);
  for (size_t i = 0; i < entries.size(); ++i) {
    ASSERT_TRUE(same(index.at(i), entries[i])) << i;
    ASSERT_EQ(index.start_of(i), i == 0 ? Position{0} : entries[i - 1].end) << i;
  }
}

size_t linear_search(const std::vector<MessageEntry>& entries, Position p) {
  size_t i = 0;
  while (i < entries.size() && entries[i].end <= p) ++i;
  return i;
}

std::vector<MessageEntry> linear_clip(const std::vector<MessageEntry>& entries, Position p) {
  std::vector<MessageEntry> out;
  Position start;
  for (MessageEntry entry : entries) {
    if (start >= p) break;
    start = entry.end;
    entry.end = std::min(entry.end, p);
    out.push_back(entry);
  }
  return out;
}

TEST(MessageIndex, KeepsWhatIsPushedOverBlocks) {
  Random random(1);
  for (const size_t count :
       {size_t{0}, size_t{1}, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock, 5 * kBlock + 17}) {
    const auto entries = random_entries(random, count);
    expect_equal(index_of(entries), entries);
  }
}

TEST(MessageIndex, FindsWhatALinearSearchFinds) {
  Random random(2);
  for (size_t count = 0; count < 3 * kBlock; count = count * 2 + 1) {
    const auto entries = random_entries(random, count);
    const MessageIndex index = index_of(entries);
    const uint64_t end = index.end().value;
    for (uint64_t p = 0; p <= end + 2; ++p) {
      ASSERT_EQ(index.first_ending_after(Position{p}), linear_search(entries, Position{p}))
          << p << " of " << count;
    }
  }
}

TEST(MessageIndex, AClippedCopyEndsWhereItWasClipped) {
  Random random(3);
  for (const size_t count : {size_t{1}, size_t{7}, kBlock, kBlock + 1, 2 * kBlock + 5}) {
    const auto entries = random_entries(random, count);
    const MessageIndex index = index_of(entries);
    std::vector<uint64_t> at{0, 1, index.end().value, index.end().value + 10};
    for (int i = 0; i < 40; ++i) at.push_back(random.below(index.end().value + 1));
    // On both sides of the border of a block.
    if (count > kBlock) {
      const uint64_t border = entries[kBlock - 1].end.value;
      at.insert(at.end(), {border - 1, border, border + 1});
    }
    for (const uint64_t p : at) {
      SCOPED_TRACE(p);
      expect_equal(index.clipped(Position{p}), linear_clip(entries, Position{p}));
    }
    expect_equal(index, entries);
  }
}

TEST(MessageIndex, ACopyGoesOnByItself) {
  Random random(4);
  auto entries = random_entries(random, 2 * kBlock + 3);
  MessageIndex source = index_of(entries);
  for (int i = 0; i < 50; ++i) {
    const Position p{random.below(source.end().value + 1)};
    auto expected = linear_clip(entries, p);
    MessageIndex fork = source.clipped(p);
    // And a fork of the fork.
    const Position q{random.below(p.value + 1)};
    MessageIndex second = fork.clipped(q);
    auto second_expected = linear_clip(expected, q);
    for (uint64_t n = random.below(2 * kBlock); n > 0; --n) {
      const MessageEntry entry{fork.end() + 1 + random.below(5), LogPosition{9}, 9};
      fork.push(entry);
      expected.push_back(entry);
    }
    const MessageEntry own{second.end() + 4, LogPosition{8}, 8};
    second.push(own);
    second_expected.push_back(own);
    const MessageEntry more{source.end() + 2, LogPosition{7}, 7};
    source.push(more);
    entries.push_back(more);
    expect_equal(fork, expected);
    expect_equal(second, second_expected);
    expect_equal(source, entries);
  }
}

TEST(MessageIndex, AForkSharesTheBlocksOfItsSource) {
  Random random(5);
  const auto entries = random_entries(random, 3 * kBlock);
  const MessageIndex index = index_of(entries);
  const MessageIndex fork = index.clipped(entries[2 * kBlock + 5].end);
  EXPECT_EQ(&fork.at(0), &index.at(0));
  EXPECT_EQ(&fork.at(2 * kBlock - 1), &index.at(2 * kBlock - 1));
  EXPECT_NE(&fork.at(2 * kBlock), &index.at(2 * kBlock));
}

}  // namespace
}  // namespace ds::stream
