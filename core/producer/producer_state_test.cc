#include "core/producer/producer_state.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "tests/support/mutations.h"

namespace ds::producer {
namespace {

using tests::Random;

TEST(ProducerState, JudgesByTheTableOfTheProtocol) {
  ProducerState state;
  state.accept(5, 0, Position{10});
  state.accept(5, 1, Position{20});
  const struct {
    uint64_t epoch;
    uint64_t seq;
    Verdict verdict;
  } table[] = {
      {4, 0, Verdict::kFenced},    {4, 1, Verdict::kFenced},    {4, 2, Verdict::kFenced},
      {0, 99, Verdict::kFenced},   {5, 0, Verdict::kDuplicate}, {5, 1, Verdict::kDuplicate},
      {5, 2, Verdict::kAccept},    {5, 3, Verdict::kGap},       {5, 1000, Verdict::kGap},
      {6, 0, Verdict::kAccept},    {6, 1, Verdict::kBadStart},  {6, 2, Verdict::kBadStart},
      {1000, 0, Verdict::kAccept},
  };
  for (const auto& row : table) {
    EXPECT_EQ(state.judge(row.epoch, row.seq), row.verdict) << row.epoch << "/" << row.seq;
  }
  EXPECT_EQ(state.epoch(), 5u);
  EXPECT_EQ(state.last_seq(), 1u);
  EXPECT_EQ(state.expected_seq(), 2u);
}

TEST(ProducerState, AnUnknownProducerBeginsWithSequenceZeroInAnyEpoch) {
  EXPECT_EQ(judge_unknown(0), Verdict::kAccept);
  EXPECT_EQ(judge_unknown(1), Verdict::kGap);
  ProducerState state;
  state.accept(uint64_t{1} << 52, 0, Position{3});
  EXPECT_EQ(state.epoch(), uint64_t{1} << 52);
  EXPECT_EQ(state.receipt(0), Position{3});
}

TEST(ProducerState, TheLargestNumbersAreNoSpecialCase) {
  constexpr uint64_t kMax = (uint64_t{1} << 53) - 1;
  ProducerState state(kMax, kMax - 1, {Position{1}});
  EXPECT_EQ(state.judge(kMax, kMax), Verdict::kAccept);
  state.accept(kMax, kMax, Position{2});
  EXPECT_EQ(state.judge(kMax, kMax), Verdict::kDuplicate);
  EXPECT_EQ(state.receipt(kMax), Position{2});
  EXPECT_EQ(state.receipt(kMax - 1), Position{1});
  EXPECT_EQ(state.receipt(kMax - 2), std::nullopt);
}

TEST(ProducerState, ReceiptsOfAnEarlierEpochAreForgotten) {
  ProducerState state;
  for (uint64_t seq = 0; seq < 5; ++seq) state.accept(1, seq, Position{seq + 1});
  state.accept(2, 0, Position{100});
  EXPECT_EQ(state.receipt(0), Position{100});
  EXPECT_EQ(state.receipt(1), std::nullopt);
  EXPECT_EQ(state.receipts(), std::vector<Position>{Position{100}});
}

// Against a model that remembers everything, and through its own copy made of its parts.
TEST(ProducerState, AgreesWithAModelThatRemembersEverything) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    ProducerState state;
    uint64_t epoch = random.below(3);
    uint64_t last = 0;
    std::map<uint64_t, Position> ends;  // of this epoch
    uint64_t tail = 0;
    state.accept(epoch, 0, Position{tail});
    ends[0] = Position{tail};
    for (int step = 0; step < 200; ++step) {
      const uint64_t e = epoch + random.below(4) / 2 - (epoch > 0 ? random.below(4) / 3 : 0);
      const uint64_t s =
          random.below(8) == 0 ? 0 : last + random.below(4) - random.below(3) % (last + 1);
      Verdict expected;
      if (e < epoch) {
        expected = Verdict::kFenced;
      } else if (e > epoch) {
        expected = s == 0 ? Verdict::kAccept : Verdict::kBadStart;
      } else if (s <= last) {
        expected = Verdict::kDuplicate;
      } else {
        expected = s == last + 1 ? Verdict::kAccept : Verdict::kGap;
      }
      const Verdict verdict = state.judge(e, s);
      ASSERT_EQ(verdict, expected);
      if (verdict == Verdict::kAccept) {
        tail += random.below(10);
        state.accept(e, s, Position{tail});
        if (e != epoch) ends.clear();
        epoch = e;
        last = s;
        ends[s] = Position{tail};
      }
      ASSERT_EQ(state.epoch(), epoch);
      ASSERT_EQ(state.last_seq(), last);
      const ProducerState copy(state.epoch(), state.last_seq(), state.receipts());
      for (const ProducerState* one : {&std::as_const(state), &copy}) {
        for (uint64_t seq = 0; seq <= last + 2; ++seq) {
          const bool known = seq <= last && last - seq < kReceiptsMax;
          ASSERT_EQ(one->receipt(seq), known ? std::optional(ends.at(seq)) : std::nullopt);
        }
        ASSERT_EQ(one->receipts().back(), ends.at(last));
        ASSERT_LE(one->receipts().size(), kReceiptsMax);
      }
      if (random.below(20) == 0) state = copy;
    }
  }
}

}  // namespace
}  // namespace ds::producer
