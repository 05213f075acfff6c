#include "server/http/output_queue.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "server/memory_budget.h"

namespace ds::server {
namespace {

using Sent = OutputQueue::Sent;

class OutputQueueTest : public ::testing::Test {
 protected:
  OutputQueueTest() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    file = ::memfd_create("test", MFD_CLOEXEC);
    EXPECT_GE(file, 0);
  }
  ~OutputQueueTest() override {
    for (const int descriptor : {ends[0], ends[1], file}) ::close(descriptor);
  }

  // The file has other bytes than the memory, so that a test sees which were sent.
  FileTwinPtr twin(const std::string& in_file, uint64_t offset = 0,
                   std::chrono::steady_clock::time_point good_until =
                       std::chrono::steady_clock::time_point::max()) {
    EXPECT_EQ(::pwrite(file, in_file.data(), in_file.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(in_file.size()));
    return std::make_shared<FileTwin>(FileTwin{nullptr, file, offset, good_until});
  }

  std::string receive() {
    std::string text;
    std::string buffer(1 << 16, '\0');
    for (ssize_t n = 0; (n = ::recv(ends[1], buffer.data(), buffer.size(), 0)) > 0;) {
      text.append(buffer, 0, static_cast<size_t>(n));
    }
    return text;
  }
  // All that is queued, however often the socket is full.
  std::string send_all() {
    std::string text;
    Sent sent = Sent::kBlocked;
    while ((sent = queue.send(ends[0])) == Sent::kBlocked) text += receive();
    EXPECT_EQ(sent, Sent::kAll);
    return text + receive();
  }

  int ends[2] = {-1, -1};
  int file = -1;
  MemoryBudget budget{1000};
  AnswerMemory memory{budget};
  OutputPool outputs;
  OutputQueue queue{outputs, memory};
};

TEST_F(OutputQueueTest, WhatAFileHasIsSentFromItInItsPlace) {
  const SharedBytes body = share(std::string(3 << 20, 'm'));
  std::string in_file(body->size(), 'f');
  in_file[1000] = '<';
  in_file[in_file.size() - 1001] = '>';
  const FileTwinPtr there = twin(in_file, 4096);
  queue.append_text("head");
  queue.append_twinned(Slice(body, std::string_view(*body).substr(1000, body->size() - 2000)),
                       there);
  queue.append_text("middle");
  queue.append_shared(Slice(share("memory")));
  queue.append_twinned(Slice(body), there);
  queue.append_text("end");
  EXPECT_EQ(send_all(), "head" + in_file.substr(1000, in_file.size() - 2000) + "middlememory" +
                            in_file + "end");
  EXPECT_TRUE(queue.empty());
}

TEST_F(OutputQueueTest, AFileThatIsNotGoodAnyMoreIsNotSentFrom) {
  const SharedBytes body = share(std::string(100000, 'm'));
  queue.append_text("head");
  queue.append_twinned(Slice(body),
                       twin(std::string(100000, 'f'), 0, std::chrono::steady_clock::now()));
  EXPECT_EQ(send_all(), "head" + *body);
}

TEST_F(OutputQueueTest, AFileThatCannotBeReadOrIsTooShortDoesNoHarm) {
  const SharedBytes body = share(std::string(100000, 'm'));
  const FileTwinPtr half = twin(std::string(50000, 'f'));
  queue.append_twinned(Slice(body), half);
  queue.append_twinned(Slice(body), std::make_shared<FileTwin>(FileTwin{nullptr, -1, 0}));
  EXPECT_EQ(send_all(), std::string(50000, 'f') + std::string(50000, 'm') + *body);
}

TEST_F(OutputQueueTest, AClientThatIsGoneIsNoticed) {
  const SharedBytes body = share(std::string(100000, 'm'));
  queue.append_twinned(Slice(body), twin(*body));
  ::close(std::exchange(ends[1], -1));
  // As in the server, which is not to be ended by this.
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(queue.send(ends[0]), Sent::kBroken);
  ::signal(SIGPIPE, before);
}

TEST_F(OutputQueueTest, ATwinIsKeptUntilItHasBeenSentAndFoundBeneathACharge) {
  auto open = std::make_shared<int>(0);
  auto twin = std::make_shared<FileTwin>();
  twin->file = open;
  budget.charge(100);
  SharedBytes body =
      charged(with_twin(share(std::string(100, 'm')), twin), MemoryCharge(budget, 100));
  EXPECT_EQ(twin_of(body), twin);
  EXPECT_TRUE(is_charged(body));
  EXPECT_EQ(*body, std::string(100, 'm'));
  EXPECT_EQ(twin_of(share("none")), nullptr);
  EXPECT_EQ(twin_of(nullptr), nullptr);
  queue.append_twinned(Slice(body), twin_of(body));
  body.reset();
  twin.reset();
  EXPECT_EQ(open.use_count(), 2);
  queue.clear();
  EXPECT_EQ(open.use_count(), 1);
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace ds::server
