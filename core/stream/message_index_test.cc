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

// --- What has been sealed ----------------------------------------------------------------------

// The same, as simply as possible: a list of which the oldest entries are gone.
struct LinearIndex {
  Position begin;
  size_t first = 0;
  std::vector<MessageEntry> entries;  // those that are there

  size_t size() const { return first + entries.size(); }
  Position end() const { return entries.empty() ? begin : entries.back().end; }
  void drop_through(uint32_t generation) {
    while (!entries.empty() && entries.front().record.generation() <= generation) {
      begin = entries.front().end;
      entries.erase(entries.begin());
      ++first;
    }
  }
  LinearIndex clipped(Position p) const {
    LinearIndex out{std::min(begin, p), first, {}};
    for (MessageEntry entry : entries) {
      if (out.end() >= p) break;
      entry.end = std::min(entry.end, p);
      out.entries.push_back(entry);
    }
    return out;
  }
};

void expect_equal(const MessageIndex& index, const LinearIndex& model, Random& random) {
  ASSERT_EQ(index.begin(), model.begin);
  ASSERT_EQ(index.end(), model.end());
  ASSERT_EQ(index.empty(), model.entries.empty());
  ASSERT_EQ(index.size() - index.first(), model.entries.size());
  for (size_t i = 0; i < model.entries.size(); ++i) {
    ASSERT_TRUE(same(index.at(index.first() + i), model.entries[i])) << i;
    ASSERT_EQ(index.start_of(index.first() + i), i == 0 ? model.begin : model.entries[i - 1].end);
  }
  for (int i = 0; i < 20; ++i) {
    const Position p{random.below(model.end().value + 3)};
    ASSERT_EQ(index.first_ending_after(p) - index.first(), linear_search(model.entries, p)) << i;
  }
}

// Stands for a stream, and for forks of it that have gone their own ways.
struct IndexPair {
  MessageIndex index;
  LinearIndex model;
};

TEST(MessageIndex, IsAListWhoseOldestEntriesGo) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<IndexPair> all(1);
    const Position begin{random.below(3) * 100};
    all[0].index.start_at(begin);
    all[0].model.begin = begin;
    uint32_t generation = 1;
    uint32_t sealed = 0;
    for (int step = 0; step < 60; ++step) {
      IndexPair& one = all[random.below(all.size())];
      switch (random.below(6)) {
        case 0:
          ++generation;
          break;
        case 1: {
          // Everybody forgets it, as it is sealed for all.
          if (sealed + 1 < generation) ++sealed;
          for (IndexPair& each : all) {
            each.index.drop_through(sealed);
            each.model.drop_through(sealed);
          }
          break;
        }
        case 2: {
          const Position p{random.below(one.model.end().value + 10)};
          IndexPair fork{one.index.clipped(p), one.model.clipped(p)};
          expect_equal(fork.index, fork.model, random);
          if (all.size() < 6) all.push_back(std::move(fork));
          break;
        }
        default: {
          const uint64_t most = random.below(3) == 0 ? 2 * kBlock : 9;
          for (uint64_t n = random.below(most); n > 0; --n) {
            const MessageEntry entry{one.model.end() + 1 + random.below(9),
                                     log_position(generation, static_cast<uint32_t>(n)), n};
            one.index.push(entry);
            one.model.entries.push_back(entry);
          }
        }
      }
      for (const IndexPair& each : all) expect_equal(each.index, each.model, random);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(MessageIndex, NumbersStayTheSameWhenOlderEntriesGo) {
  MessageIndex index;
  for (uint32_t i = 0; i < 4 * kBlock; ++i) {
    index.push({index.end() + 1, log_position(1 + i / 100, i), i});
  }
  for (uint32_t generation = 0; generation <= 12; ++generation) {
    index.drop_through(generation);
    const size_t first = std::min<size_t>(generation * 100, 4 * kBlock);
    ASSERT_EQ(index.first(), first);
    ASSERT_EQ(index.size(), 4 * kBlock);
    ASSERT_EQ(index.begin(), Position{first});
    if (!index.empty()) {
      ASSERT_EQ(index.at(first).time_ms, first);
    }
    ASSERT_EQ(index.first_ending_after(Position{0}), first);
  }
  EXPECT_TRUE(index.empty());
  index.push({index.end() + 1, log_position(13, 0), 7});
  EXPECT_EQ(index.first(), 4 * kBlock);
  EXPECT_EQ(index.at(4 * kBlock).time_ms, 7u);
  EXPECT_EQ(index.start_of(4 * kBlock), Position{4 * kBlock});
}

TEST(MessageIndex, ACopyOfWhatHasBeenSealedIsEmptyAndBeginsWhereItEnds) {
  MessageIndex index;
  index.start_at(Position{100});
  index.push({Position{110}, LogPosition{1}, 1});
  for (const uint64_t p : {0, 50, 99, 100}) {
    const MessageIndex copy = index.clipped(Position{p});
    EXPECT_TRUE(copy.empty());
    EXPECT_EQ(copy.begin(), Position{p});
    EXPECT_EQ(copy.end(), Position{p});
  }
  EXPECT_EQ(index.clipped(Position{101}).end(), Position{101});
}

}  // namespace
}  // namespace ds::stream
