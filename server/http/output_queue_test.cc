#include "server/http/output_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "server/loopback_pair.h"
#include "server/memory_budget.h"

namespace ds::server {
namespace {

using Sent = OutputQueue::Sent;

void make_unix_pair(int* ends) {
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  const int buffer = 256 << 10;
  EXPECT_EQ(::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), 0);
}

void make_tcp_pair(int* ends) {
  const int buffer = 256 << 10;  // as --near-send-buffer; both ends take 1.5 MiB at most
  const LoopbackPair pair = connect_loopback(buffer);
  EXPECT_EQ(::setsockopt(pair.server, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), 0);
  EXPECT_EQ(::fcntl(pair.server, F_SETFL, O_NONBLOCK), 0);
  ends[0] = pair.server;
  ends[1] = pair.client;
}

class OutputQueueTest : public ::testing::TestWithParam<void (*)(int*)> {
 protected:
  OutputQueueTest() {
    GetParam()(ends);
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
    return std::make_shared<FileTwin>(FileTwin{kept, file, offset, good_until});
  }

  // Waits for what has been sent, some of it at least.
  std::string receive() {
    std::string buffer(1 << 16, '\0');
    pollfd readable{ends[1], POLLIN, 0};
    EXPECT_EQ(::poll(&readable, 1, -1), 1);
    const ssize_t n = ::recv(ends[1], buffer.data(), buffer.size(), MSG_DONTWAIT);
    EXPECT_GT(n, 0);
    return buffer.substr(0, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  }
  std::string receive(uint64_t bytes) {
    std::string text;
    while (text.size() < bytes) text += receive();
    return text;
  }
  // What the socket takes of a body that a file of `f` has. Returns how much that is.
  uint64_t send_some_from_file(const SharedBytes& body) {
    queue.append_twinned(Slice(body), twin(std::string(body->size(), 'f')));
    EXPECT_EQ(queue.send(ends[0]), Sent::kBlocked);
    return body->size() - queue.bytes();
  }
  // All that is queued, however often the socket is full.
  std::string send_all() {
    const uint64_t size = queue.bytes();
    std::string text;
    Sent sent = Sent::kBlocked;
    while ((sent = queue.send(ends[0])) == Sent::kBlocked) text += receive();
    EXPECT_EQ(sent, Sent::kAll);
    return text + receive(size - text.size());
  }

  int ends[2] = {-1, -1};
  int file = -1;
  std::shared_ptr<const int> kept = std::make_shared<const int>(0);
  MemoryBudget budget{1000};
  AnswerMemory memory{budget};
  OutputPool outputs;
  OutputQueue queue{outputs, memory};
};

TEST_P(OutputQueueTest, WhatAFileHasIsSentFromItInItsPlace) {
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

TEST_P(OutputQueueTest, AFileThatIsNotGoodAnyMoreIsNotSentFrom) {
  const SharedBytes body = share(std::string(100000, 'm'));
  queue.append_text("head");
  queue.append_twinned(Slice(body),
                       twin(std::string(100000, 'f'), 0, std::chrono::steady_clock::now()));
  EXPECT_EQ(send_all(), "head" + *body);
}

TEST_P(OutputQueueTest, AFileThatCannotBeReadOrIsTooShortDoesNoHarm) {
  const SharedBytes body = share(std::string(100000, 'm'));
  const FileTwinPtr half = twin(std::string(50000, 'f'));
  queue.append_twinned(Slice(body), half);
  queue.append_twinned(Slice(body), std::make_shared<FileTwin>(FileTwin{kept, -1, 0}));
  EXPECT_EQ(send_all(), std::string(50000, 'f') + std::string(50000, 'm') + *body);
}

TEST_P(OutputQueueTest, AClientThatIsGoneIsNoticed) {
  const SharedBytes body = share(std::string(100000, 'm'));
  queue.append_twinned(Slice(body), twin(*body));
  ::close(std::exchange(ends[1], -1));
  // As in the server, which is not to be ended by this.
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  Sent sent = queue.send(ends[0]);
  if (sent != Sent::kBroken) {
    // Only the answer to the first bytes tells a TCP socket.
    pollfd gone{ends[0], POLLHUP, 0};
    ASSERT_EQ(::poll(&gone, 1, -1), 1);
    queue.append_twinned(Slice(body), twin(*body));
    sent = queue.send(ends[0]);
  }
  EXPECT_EQ(sent, Sent::kBroken);
  ::signal(SIGPIPE, before);
}

TEST_P(OutputQueueTest, AFileThatIsLetGoOfIsNotSentFrom) {
  const SharedBytes body = share(std::string(3 << 20, 'm'));
  const uint64_t from_file = send_some_from_file(body);
  kept.reset();
  const std::string text = receive(from_file);
  EXPECT_EQ(text + send_all(),
            std::string(from_file, 'f') + std::string(body->size() - from_file, 'm'));
}

// What was sent refers to the file's pages, and nobody writes them again.
TEST_P(OutputQueueTest, AClientThatReadsAfterTheFileIsClosedReceivesItsBytes) {
  const SharedBytes body = share(std::string(3 << 20, 'm'));
  const uint64_t from_file = send_some_from_file(body);
  kept.reset();
  ::close(std::exchange(file, -1));
  // Memory that is freed and taken again at once, if it is.
  const int other = ::memfd_create("other", MFD_CLOEXEC);
  EXPECT_EQ(::write(other, body->data(), body->size()), static_cast<ssize_t>(body->size()));
  EXPECT_EQ(receive(from_file), std::string(from_file, 'f'));
  ::close(other);
}

TEST_P(OutputQueueTest, ATwinIsFoundBeneathACharge) {
  const auto twin = std::make_shared<FileTwin>();
  budget.charge(100);
  SharedBytes body =
      charged(with_twin(share(std::string(100, 'm')), twin), MemoryCharge(budget, 100));
  EXPECT_EQ(twin_of(body), twin);
  EXPECT_TRUE(is_charged(body));
  EXPECT_EQ(*body, std::string(100, 'm'));
  EXPECT_EQ(twin_of(share("none")), nullptr);
  EXPECT_EQ(twin_of(nullptr), nullptr);
  body.reset();
  EXPECT_EQ(twin.use_count(), 1);
  EXPECT_EQ(budget.used(), 0u);
}

INSTANTIATE_TEST_SUITE_P(, OutputQueueTest, ::testing::Values(make_unix_pair, make_tcp_pair),
                         [](const auto& pair) { return pair.index == 0 ? "Unix" : "Tcp"; });

}  // namespace
}  // namespace ds::server
