#include "core/stream/lives.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/mutations.h"

namespace ds::stream {
namespace {

using tests::Random;

LifeSpan span(uint64_t start, uint64_t life, bool after_loss = false) {
  return {Position{start}, Incarnation{life}, after_loss};
}
Offset offset(uint64_t life, uint64_t position) { return {Incarnation{life}, Position{position}}; }
using Lives = std::vector<LifeSpan>;

std::optional<uint64_t> resolved(const Lives& lives, Offset at, uint64_t tail) {
  const auto position = resolve_offset(lives, at, Position{tail});
  if (!position) return std::nullopt;
  return position->value;
}

TEST(Lives, AStreamOfOneLife) {
  const Lives lives{span(0, 7)};
  EXPECT_EQ(offset_at(lives, Position{0}), offset(7, 0));
  EXPECT_EQ(offset_at(lives, Position{50}), offset(7, 50));
  EXPECT_EQ(resolved(lives, offset(7, 0), 100), 0);
  EXPECT_EQ(resolved(lives, offset(7, 100), 100), 100);
  EXPECT_EQ(resolved(lives, offset(7, 101), 100), 100) << "beyond the tail means the tail";
  EXPECT_EQ(resolved(lives, offset(7, UINT64_MAX), 100), 100);
  EXPECT_EQ(resolved(lives, offset(6, 5), 100), std::nullopt);
  EXPECT_EQ(resolved(lives, offset(8, 5), 100), std::nullopt);
  EXPECT_EQ(resolved(lives, offset(0, 0), 100), std::nullopt);
}

TEST(Lives, AForkShowsInheritedPositionsAsItsSourceDoes) {
  const Lives lives{span(0, 7), span(40, 9)};
  EXPECT_EQ(offset_at(lives, Position{0}), offset(7, 0));
  EXPECT_EQ(offset_at(lives, Position{40}), offset(7, 40)) << "the fork point is the source's";
  EXPECT_EQ(offset_at(lives, Position{41}), offset(9, 41));
  EXPECT_EQ(resolved(lives, offset(7, 40), 60), 40);
  EXPECT_EQ(resolved(lives, offset(7, 55), 60), 40) << "beyond the fork point means it";
  EXPECT_EQ(resolved(lives, offset(9, 55), 60), 55);
  EXPECT_EQ(resolved(lives, offset(9, 61), 60), 60);
  EXPECT_EQ(resolved(lives, offset(8, 5), 60), std::nullopt);
}

TEST(Lives, AForkAtTheBeginning) {
  const Lives lives{span(0, 7), span(0, 9)};
  EXPECT_EQ(offset_at(lives, Position{0}), offset(7, 0));
  EXPECT_EQ(offset_at(lives, Position{1}), offset(9, 1));
  EXPECT_EQ(resolved(lives, offset(7, 30), 5), 0);
  EXPECT_EQ(resolved(lives, offset(9, 3), 5), 3);
}

TEST(Lives, AForkOfAForkInTheInheritedPart) {
  const Lives child{span(0, 7), span(40, 9)};
  EXPECT_EQ(lives_until(child, Position{30}).size(), 1u);
  EXPECT_EQ(lives_until(child, Position{40}).size(), 1u) << "nothing of its own is inherited";
  EXPECT_EQ(lives_until(child, Position{41}).size(), 2u);
  EXPECT_EQ(lives_until(child, Position{0}).size(), 1u) << "the first is always there";
  Lives grandchild = lives_until(child, Position{50});
  grandchild.push_back(span(50, 11));
  EXPECT_EQ(offset_at(grandchild, Position{40}), offset(7, 40));
  EXPECT_EQ(offset_at(grandchild, Position{50}), offset(9, 50));
  EXPECT_EQ(offset_at(grandchild, Position{51}), offset(11, 51));
  EXPECT_EQ(resolved(grandchild, offset(9, 70), 80), 50);
  EXPECT_EQ(resolved(grandchild, offset(7, 70), 80), 40);
}

TEST(Lives, LostWritesAreGoneForThoseWhoSawThem) {
  const Lives lives{span(0, 7), span(60, 9, true)};
  EXPECT_EQ(offset_at(lives, Position{60}), offset(7, 60));
  EXPECT_EQ(offset_at(lives, Position{61}), offset(9, 61));
  EXPECT_EQ(resolved(lives, offset(7, 60), 60), 60);
  EXPECT_EQ(resolved(lives, offset(7, 61), 60), std::nullopt);
  EXPECT_EQ(resolved(lives, offset(7, 61), 100), std::nullopt);
  EXPECT_EQ(resolved(lives, offset(9, 61), 100), 61);
  // A fork before the loss has lost nothing.
  Lives fork = lives_until(lives, Position{50});
  fork.push_back(span(50, 11));
  EXPECT_EQ(resolved(fork, offset(7, 61), 70), 50);
  // One after it has.
  fork = lives_until(lives, Position{80});
  fork.push_back(span(80, 11));
  EXPECT_EQ(resolved(fork, offset(7, 61), 90), std::nullopt);
  EXPECT_EQ(resolved(fork, offset(9, 85), 90), 80);
}

TEST(Lives, LossUponLoss) {
  const Lives lives{span(0, 7), span(60, 9, true), span(60, 10, true), span(60, 12, true)};
  EXPECT_EQ(offset_at(lives, Position{60}), offset(7, 60));
  EXPECT_EQ(offset_at(lives, Position{61}), offset(12, 61));
  for (const uint64_t life : {7, 9, 10}) {
    EXPECT_EQ(resolved(lives, offset(life, 60), 100), 60);
    EXPECT_EQ(resolved(lives, offset(life, 61), 100), std::nullopt);
  }
  EXPECT_EQ(resolved(lives, offset(12, 61), 100), 61);
}

TEST(Lives, WhatIsShownResolvesToItselfAndSorts) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    Lives lives;
    uint64_t start = 0;
    uint64_t life = 1 + random.below(5);
    for (uint64_t n = 1 + random.below(5); n > 0; --n) {
      lives.push_back(span(start, life, !lives.empty() && random.below(2) == 0));
      start += random.below(6);
      life += 1 + random.below(3);
    }
    const uint64_t tail = start + random.below(6);
    Offset before;
    for (uint64_t p = 0; p <= tail; ++p) {
      const Offset shown = offset_at(lives, Position{p});
      EXPECT_EQ(resolved(lives, shown, tail), p);
      EXPECT_TRUE(p == 0 || before < shown);
      before = shown;
      // A fork there shows the same up to the fork point, then its own.
      Lives fork = lives_until(lives, Position{p});
      fork.push_back(span(p, life));
      for (uint64_t q = 0; q <= p; ++q) {
        EXPECT_EQ(offset_at(fork, Position{q}), offset_at(lives, Position{q}));
      }
      EXPECT_EQ(offset_at(fork, Position{p + 1}), offset(life, p + 1));
    }
  }
}

}  // namespace
}  // namespace ds::stream
