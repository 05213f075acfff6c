#include "server/http/answer_memory.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "server/http/output_queue.h"

namespace ds::server {
namespace {

class AnswerMemoryTest : public ::testing::Test {
 protected:
  MemoryBudget budget{1000};
  AnswerMemory memory{budget};
  OutputPool outputs;
};

TEST_F(AnswerMemoryTest, ABufferCountsOnceHoweverManyQueuesHoldIt) {
  const SharedBytes bytes = share(std::string(5000, 'x'));
  OutputQueue first(outputs, memory);
  OutputQueue second(outputs, memory);
  first.append(Slice(bytes, std::string_view(*bytes).substr(0, 3000)));
  first.append(Slice(bytes, std::string_view(*bytes).substr(0, 4000)));
  second.append(Slice(bytes));
  EXPECT_EQ(budget.used(), 0u) << "it may be sent at once";
  first.hold();
  second.hold();
  second.hold();
  EXPECT_EQ(budget.used(), 5000u);
  EXPECT_TRUE(memory.exhausted());
  first.clear();
  EXPECT_EQ(budget.used(), 5000u);
  second.clear();
  EXPECT_EQ(budget.used(), 0u);
}

TEST_F(AnswerMemoryTest, TextCountsTooAndAQueueThatEndsGivesEverythingBack) {
  {
    OutputQueue queue(outputs, memory);
    queue.append_text(std::string(700, 't'));
    queue.append(Slice(share(std::string(3000, 'x'))));
    queue.hold();
    EXPECT_EQ(budget.used(), 3700u);
    queue.append_text("more");
    queue.append(Slice::of_static("static"));
    queue.hold();
    EXPECT_EQ(budget.used(), 3710u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST_F(AnswerMemoryTest, WhatWasChargedWhenItWasReadIsNotChargedAgain) {
  budget.charge(3000);
  OutputQueue queue(outputs, memory);
  queue.append(Slice(share_charged(std::string(3000, 'x'), MemoryCharge(budget, 3000))));
  queue.hold();
  EXPECT_EQ(budget.used(), 3000u);
  queue.clear();
  EXPECT_EQ(budget.used(), 0u);
}

TEST_F(AnswerMemoryTest, WhatHasBeenSentIsGivenBackPieceByPiece) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  OutputQueue queue(outputs, memory);
  for (int i = 0; i < 200; ++i) queue.append(Slice(share(std::string(50000, 'x'))));
  queue.hold();
  EXPECT_EQ(budget.used(), 200u * 50000);
  std::string buffer(1 << 20, ' ');
  uint64_t before = budget.used();
  while (queue.send(ends[0]) == OutputQueue::Sent::kBlocked) {
    queue.hold();
    EXPECT_LE(budget.used(), before);
    EXPECT_LE(budget.used(), queue.bytes() + 50000);
    EXPECT_GE(budget.used(), queue.bytes());
    before = budget.used();
    while (::recv(ends[1], buffer.data(), buffer.size(), 0) > 0) {
    }
  }
  EXPECT_EQ(budget.used(), 0u);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace ds::server
