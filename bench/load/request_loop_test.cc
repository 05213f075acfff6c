#include "bench/load/request_loop.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace ds::bench {
namespace {

constexpr std::string_view kGood = "HTTP/1.1 204 No Content\r\nStream-Next-Offset: 0_1\r\n\r\n";

// A server on a loopback port that answers by a script: `answer(n)` is what the n-th request (over
// all connections, which are served one after the other) gets. An empty answer closes instead.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<std::string(int)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  // REQUIRES: the client's connections are closed.
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  const std::string& url() const { return url_; }

 private:
  void serve() {
    int requests = 0;
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      char buffer[4096];
      std::string input;
      for (bool open = true; open;) {
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        input.append(buffer, static_cast<size_t>(got));
        const size_t end = input.find("\r\n\r\n");
        if (end == std::string::npos) continue;
        input.erase(0, end + 4);
        const std::string answer = answer_(requests++);
        open = !answer.empty();
        ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
      ::close(fd);
    }
  }

  std::function<std::string(int)> answer_;
  int listener_ = -1;
  std::string url_;
  std::thread thread_;
};

class Gets final : public Workload {
 public:
  explicit Gets(int count) : left_(count) {}
  std::string_view next_request(uint32_t) override {
    return left_-- > 0 ? "GET / HTTP/1.1\r\nHost: x\r\n\r\n" : "";
  }
  void judge(uint32_t, const ResponseHead& head, uint64_t, WrongAnswers& wrong) override {
    if (!check_status(head, 204, wrong)) return;
    if (head.next_offset.empty()) wrong.add(Wrong::kHeader, "");
  }

 private:
  int left_;
};

// Runs `count` requests over one connection and returns what was wrong.
WrongAnswers run(int count, const std::function<std::string(int)>& answer) {
  ScriptedServer server(answer);
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(server.url());
  RequestLoop requests(loop, endpoint, 1);
  Gets gets(count);
  requests.count_from_now();
  requests.run_to_end(gets, 10 * kNsPerSecond);
  EXPECT_TRUE(requests.drained());
  return requests.wrong();
}

uint64_t of(const WrongAnswers& wrong, Wrong kind) { return wrong.of(static_cast<size_t>(kind)); }

TEST(RequestLoop, RightAnswersAreNotWrong) {
  const WrongAnswers wrong = run(100, [](int) { return std::string(kGood); });
  EXPECT_EQ(wrong.total(), 0u) << wrong.first();
}

TEST(RequestLoop, WrongStatusAndMissingHeaderAreCounted) {
  const WrongAnswers wrong = run(30, [](int n) -> std::string {
    if (n % 10 == 1) return "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nhelp";
    if (n % 10 == 2) return "HTTP/1.1 204 No Content\r\n\r\n";
    return std::string(kGood);
  });
  EXPECT_EQ(of(wrong, Wrong::kStatus), 3u);
  EXPECT_EQ(of(wrong, Wrong::kHeader), 3u);
  EXPECT_EQ(wrong.total(), 6u);
  EXPECT_EQ(wrong.first(), "status: 500 instead of 204");
}

TEST(RequestLoop, AConnectionThatEndsInsteadOfAnsweringIsCountedAndReplaced) {
  const WrongAnswers wrong =
      run(10, [](int n) { return n == 4 ? std::string() : std::string(kGood); });
  EXPECT_EQ(of(wrong, Wrong::kClosed), 1u);
  EXPECT_EQ(wrong.total(), 1u);
}

TEST(RequestLoop, WhatWasNotAskedForIsMalformed) {
  const WrongAnswers wrong = run(10, [](int n) {
    return n == 4 ? std::string(kGood) + std::string(kGood) : std::string(kGood);
  });
  EXPECT_EQ(of(wrong, Wrong::kMalformed), 1u);
  EXPECT_EQ(wrong.total(), 1u);
}

TEST(RequestLoop, AnAnnouncedCloseIsFollowed) {
  const WrongAnswers wrong = run(5, [](int) -> std::string {
    return "HTTP/1.1 204 No Content\r\nStream-Next-Offset: 1\r\nConnection: close\r\n\r\n";
  });
  EXPECT_EQ(wrong.total(), 0u) << wrong.first();
}

// One stall of 100 ms holds up every request that became due meanwhile. A closed loop would see one
// slow answer; the open loop must charge the stall to all of them.
TEST(RequestLoop, TheOpenLoopMeasuresFromWhenARequestWasDue) {
  static constexpr int64_t kStallMs = 100;
  ScriptedServer server([](int n) {
    if (n == 0) std::this_thread::sleep_for(std::chrono::milliseconds(kStallMs));
    return std::string(kGood);
  });
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(server.url());
  RequestLoop requests(loop, endpoint, 1);
  Gets gets(1'000'000);
  requests.count_from_now();
  requests.start(gets, 1000);
  ASSERT_TRUE(loop.run_until_done([&] { return requests.completed() >= 100; },
                                  now_ns() + 30 * kNsPerSecond));
  requests.stop();
  ASSERT_TRUE(
      loop.run_until_done([&] { return requests.drained(); }, now_ns() + 30 * kNsPerSecond));
  // Request k was due at k ms and answered after the stall: half of the first 100 waited 50 ms.
  EXPECT_GE(requests.latency().max(), kStallMs * 1'000'000);
  EXPECT_GE(requests.latency().at(0.6), 40 * 1'000'000);
  EXPECT_EQ(requests.wrong().total(), 0u) << requests.wrong().first();
}

}  // namespace
}  // namespace ds::bench
