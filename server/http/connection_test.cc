#include "server/http/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/http/test_host.h"

namespace ds::server {
namespace {

class ConnectionTest : public ::testing::Test {
 protected:
  void open(OptionTexts options = {}, Peer peer = {}) {
    host = std::make_unique<FakeHost>(options);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    client = ends[0];
    connection = std::make_unique<Connection>(*host, ends[1], peer, 0, 0, 1);
  }
  ~ConnectionTest() override {
    connection.reset();
    if (client >= 0) ::close(client);
  }

  // What the loop does until nothing is left to do.
  void turn(uint32_t events = 0) {
    if (events != 0) connection->on_events(events);
    while (host->dirty_ || host->unread_) {
      if (std::exchange(host->unread_, false)) connection->resume();
      if (std::exchange(host->dirty_, false)) connection->finish_turn();
    }
  }
  void send(std::string_view bytes) {
    ASSERT_EQ(::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    turn(EPOLLIN);
  }
  std::string receive() {
    std::string text;
    char buffer[65536];
    for (ssize_t n = 0; (n = ::recv(client, buffer, sizeof buffer, 0)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }
  // True once the server has closed and all has been read.
  bool at_end() {
    char byte = 0;
    return ::recv(client, &byte, 1, 0) == 0;
  }
  void answer(size_t i, uint16_t status, std::string body = "") {
    wire::Response response;
    response.status = status;
    if (!body.empty()) response.body.emplace_back(share(std::move(body)));
    connection->respond(static_cast<uint32_t>(host->submitted.at(i).id.value), std::move(response));
    turn();
  }
  uint32_t serial(size_t i) const { return static_cast<uint32_t>(host->submitted.at(i).id.value); }

  std::unique_ptr<FakeHost> host;
  std::unique_ptr<Connection> connection;
  int client = -1;
};

std::string get(const std::string& target) {
  return "GET /v1/stream/" + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}
std::string post(const std::string& stream, const std::string& body) {
  return "POST /v1/stream/" + stream + " HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n" +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
size_t count(const std::string& text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(ConnectionTest, HowARequestIsCutDoesNotMatter) {
  const std::string chunked =
      "POST /v1/stream/a?x=y HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e\r\nde\r\n0\r\nT: t\r\n\r\n";
  for (const std::string& bytes : {"\r\n" + post("a?x=y", "abcde"), chunked}) {
    for (size_t step = 1; step <= bytes.size(); ++step) {
      open();
      for (size_t at = 0; at < bytes.size(); at += step) send(bytes.substr(at, step));
      ASSERT_EQ(host->submitted.size(), 1u) << step;
      const Submitted& request = host->submitted[0];
      EXPECT_EQ(request.method, wire::Method::kPost);
      EXPECT_EQ(request.path, "_default/a");
      EXPECT_EQ(request.query, "x=y");
      EXPECT_EQ(request.body, "abcde");
      EXPECT_EQ(request.content_type, "text/plain");
      EXPECT_GE(host->body_bytes_, 5u);
      answer(0, 204);
      EXPECT_EQ(host->body_bytes_, 0u);
      EXPECT_TRUE(receive().starts_with("HTTP/1.1 204 No Content\r\n"));
      connection.reset();
      ::close(client);
      client = -1;
    }
  }
}

TEST_F(ConnectionTest, PipelinedReadsOverlapAndAreAnsweredInOrder) {
  open({{"max-chunk-bytes", {"64KiB"}}});
  send(get("a") + get("b") + get("c"));
  ASSERT_EQ(host->submitted.size(), 3u);
  answer(2, 200, "third");
  answer(1, 200, "second");
  EXPECT_EQ(receive(), "");
  answer(0, 200, "first");
  const std::string text = receive();
  EXPECT_LT(text.find("first"), text.find("second"));
  EXPECT_LT(text.find("second"), text.find("third"));
  EXPECT_EQ(count(text, "HTTP/1.1 200 OK"), 3u);
}

TEST_F(ConnectionTest, AppendsOverlapWithinOneEngineOnly) {
  open();
  send(post("a1", "x") + post("a2", "y") + post("b1", "z"));
  ASSERT_EQ(host->submitted.size(), 2u);
  answer(0, 204);
  EXPECT_EQ(host->submitted.size(), 2u);
  answer(1, 204);
  ASSERT_EQ(host->submitted.size(), 3u);
  EXPECT_EQ(host->submitted[2].owner, 1u);
  EXPECT_EQ(host->submitted[2].body, "z");
}

TEST_F(ConnectionTest, AReadWaitsForTheWriteBeforeIt) {
  open();
  send(post("a", "x") + get("a") + "DELETE /v1/stream/a HTTP/1.1\r\nHost: h\r\n\r\n" + get("a"));
  ASSERT_EQ(host->submitted.size(), 1u);
  answer(0, 204);
  ASSERT_EQ(host->submitted.size(), 2u);
  answer(1, 200);
  ASSERT_EQ(host->submitted.size(), 3u);
  answer(2, 204);
  ASSERT_EQ(host->submitted.size(), 4u);
}

TEST_F(ConnectionTest, APipelineHasABound) {
  open({{"max-pipeline", {"2"}}, {"max-chunk-bytes", {"64KiB"}}});
  send(get("a") + get("a") + get("a") + get("a"));
  EXPECT_EQ(host->submitted.size(), 2u);
  answer(0, 200);
  EXPECT_EQ(host->submitted.size(), 3u);
}

TEST_F(ConnectionTest, ContinueIsSaidOnceTheEarlierAnswersAreOut) {
  open();
  send(get("a") +
       "PUT /v1/stream/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(receive(), "");
  answer(0, 200);
  const std::string text = receive();
  EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK"));
  EXPECT_TRUE(text.ends_with("HTTP/1.1 100 Continue\r\n\r\n"));
  send("ab");
  ASSERT_EQ(host->submitted.size(), 2u);
  EXPECT_EQ(host->submitted[1].body, "ab");
  EXPECT_EQ(host->submitted[1].origin, "http://h");
}

TEST_F(ConnectionTest, ARefusalComesAfterTheAnswersBeforeItAndEndsTheConnection) {
  open();
  send(get("a") + "NONSENSE\r\n\r\n" + get("a"));
  EXPECT_EQ(receive(), "");
  answer(0, 200, "first");
  const std::string text = receive();
  EXPECT_LT(text.find("first"), text.find("HTTP/1.1 400 Bad Request"));
  EXPECT_EQ(count(text, "\r\nConnection: close\r\n"), 1u);
  EXPECT_EQ(host->submitted.size(), 1u);
  EXPECT_TRUE(at_end());
}

TEST_F(ConnectionTest, RefusedRequestsAreInTheAccessLogWithoutTheirQueries) {
  struct Row {
    const char* bytes;
    const char* logged;
  };
  for (const Row& row : {
           Row{"NONSENSE\r\n\r\n", "NONSENSE -"},
           Row{"\x01\x02 \r\n\r\n", "\x01\x02 -"},
           Row{" / HTTP/1.1\r\n\r\n", "- -"},
           Row{"GET /v1/stream/a?secret=1 HTTP/9\r\n\r\n", "GET /v1/stream/a"},
           Row{"GET http://user:word@h/v1/stream/a?secret=1 HTTP/1.1\r\nHost: h\r\n\r\n",
               "GET /v1/stream/a"},
           Row{"GET http://user:word@h HTTP/1.1\r\nHost: h\r\n\r\n", "GET -"},
           Row{"POST /v1/stream/a?secret=1 HTTP/1.1\r\nHost: h\r\nContent-Length: "
               "999999999\r\n\r\n",
               "POST /v1/stream/a"},
           Row{"POST /v1/stream/a?secret=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
               "chunked\r\n\r\nzz\r\n",
               "POST /v1/stream/a"},
       }) {
    open({{"access-log", {"true"}}});
    send(row.bytes);
    EXPECT_EQ(host->access_log, std::vector<std::string>{row.logged});
    connection.reset();
    ::close(std::exchange(client, -1));
  }
}

TEST_F(ConnectionTest, ALargeBodyIsRefusedBeforeItComes) {
  open({{"max-body-bytes", {"1KiB"}}});
  send(
      "POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Content-Length: 1025\r\n\r\n");
  EXPECT_TRUE(receive().starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(host->submitted.empty());
}

TEST_F(ConnectionTest, BodiesShareABudget) {
  open({{"max-body-bytes", {"1MiB"}}, {"body-memory", {"1MiB"}}});
  host->body_bytes_ = (1 << 20) - 1000;
  send("POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc");
  EXPECT_TRUE(receive().starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(host->body_bytes_, (1u << 20) - 1000);
  EXPECT_EQ(host->drops, std::vector<DropReason>{DropReason::kBodyMemory});
}

TEST_F(ConnectionTest, ABodyThatTricklesInHasNoMoreMemoryThanOneStep) {
  open();
  send("POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Length: 361615\r\n\r\n");
  for (int i = 0; i < 10; ++i) send("x");
  EXPECT_EQ(host->body_bytes_, 64u << 10);
}

TEST_F(ConnectionTest, ABodyCountsUntilItsRequestIsAnswered) {
  open();
  send(post("a", std::string(100000, 'x')) + post("a", std::string(1000, 'y')) + get("a"));
  ASSERT_EQ(host->submitted.size(), 2u);
  EXPECT_GE(host->body_bytes_, 101000u);
  answer(1, 204);  // not its turn yet, but its record is in the log
  EXPECT_GE(host->body_bytes_, 100000u);
  EXPECT_LT(host->body_bytes_, 101000u);
  answer(0, 204);
  EXPECT_EQ(host->body_bytes_, 0u);
  EXPECT_EQ(host->submitted.size(), 3u);
}

TEST_F(ConnectionTest, AWriteWithoutMemoryForItIsRefusedAndTheNextIsNot) {
  open({{"max-body-bytes", {"1MiB"}}, {"body-memory", {"1MiB"}}});
  host->body_bytes_ = 1 << 20;
  send(post("a", "x"));
  EXPECT_TRUE(receive().starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(host->submitted.empty());
  EXPECT_EQ(host->drops, std::vector<DropReason>{DropReason::kBodyMemory});
  host->body_bytes_ = 0;
  send(post("a", "x"));
  EXPECT_EQ(host->submitted.size(), 1u);
}

TEST_F(ConnectionTest, TheBodiesOfAClientThatHasGoneCountUntilTheyAreAnswered) {
  open();
  send(post("a", std::string(100000, 'x')) + post("a", "y"));
  ASSERT_EQ(host->submitted.size(), 2u);
  ::close(std::exchange(client, -1));
  turn(EPOLLIN | EPOLLRDHUP | EPOLLHUP);
  connection->abandon();
  EXPECT_TRUE(connection->is_closed());
  EXPECT_FALSE(host->closed_) << "it has to stay for the answers";
  EXPECT_TRUE(host->gone.empty());
  EXPECT_GE(host->body_bytes_, 100001u);
  answer(0, 204);
  EXPECT_FALSE(host->closed_);
  EXPECT_LT(host->body_bytes_, 100000u);
  answer(1, 204);
  EXPECT_TRUE(host->closed_);
  EXPECT_EQ(host->body_bytes_, 0u);
}

TEST_F(ConnectionTest, NoReadIsBegunWhileTheAnswersBeforeItAreNotTaken) {
  open();
  const std::string large(5000000, 'x');
  send(get("a") + get("b") + get("c") + get("d"));
  EXPECT_EQ(host->submitted.size(), 2u) << "as many as a chunk each may be on their way";
  answer(0, 200, large);
  answer(1, 200, large);
  EXPECT_EQ(host->submitted.size(), 2u);
  while (host->submitted.size() < 4) {
    ASSERT_FALSE(receive().empty());
    turn(EPOLLOUT);
  }
}

TEST_F(ConnectionTest, WhatAClientDoesNotTakeCountsAsAnswerMemory) {
  open();
  const std::string large(5000000, 'x');
  send(get("a"));
  answer(0, 200, large);
  EXPECT_GE(host->answer_budget_.used(), large.size());
  while (!receive().empty()) turn(EPOLLOUT);
  EXPECT_EQ(host->answer_budget_.used(), 0u);
  send(get("a"));
  answer(1, 200, large);
  EXPECT_GE(host->answer_budget_.used(), large.size());
  connection->abandon();
  EXPECT_EQ(host->answer_budget_.used(), 0u);
}

TEST_F(ConnectionTest, ReadsAreRefusedOnceAnswerMemoryIsUsedUpAndWritesAreNot) {
  open();
  host->answer_budget_.charge(uint64_t{256} << 20);
  send(get("a") + get("a?offset=-1&live=sse") + post("a", "x"));
  const std::string text = receive();
  EXPECT_EQ(count(text, "HTTP/1.1 503 Service Unavailable\r\n"), 2u);
  EXPECT_EQ(count(text, "\r\nRetry-After: "), 2u);
  ASSERT_EQ(host->submitted.size(), 1u);
  EXPECT_EQ(host->submitted[0].method, wire::Method::kPost);
  EXPECT_EQ(host->drops,
            (std::vector<DropReason>{DropReason::kAnswerMemory, DropReason::kAnswerMemory}));
  answer(0, 204);
  host->answer_budget_.release(1);
  send(get("a"));
  EXPECT_EQ(host->submitted.size(), 2u);
}

TEST_F(ConnectionTest, AHalfClosedClientGetsItsAnswer) {
  open();
  send(post("a", "x"));
  ::shutdown(client, SHUT_WR);
  turn(EPOLLIN | EPOLLRDHUP);
  EXPECT_FALSE(host->closed_);
  answer(0, 204);
  EXPECT_TRUE(receive().starts_with("HTTP/1.1 204"));
  EXPECT_TRUE(host->closed_);
}

TEST_F(ConnectionTest, AHalfClosedClientGetsItsReadHoweverItsQueryIsSpelt) {
  for (const char* query : {"offset=%2D1", "cursor=live"}) {
    open();
    const std::string request = get(std::string("a?") + query);
    ASSERT_EQ(::send(client, request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    ::shutdown(client, SHUT_WR);
    turn(EPOLLIN | EPOLLRDHUP);
    ASSERT_EQ(host->submitted.size(), 1u);
    host->now_ = host->now_ + seconds(60);
    connection->on_deadline();
    turn();
    answer(0, 200, "data");
    EXPECT_TRUE(receive().ends_with("data"));
    connection.reset();
    ::close(std::exchange(client, -1));
  }
}

TEST_F(ConnectionTest, AHalfClosedClientGetsALongPollThatNeedNotWait) {
  open();
  send(get("a?offset=-1&live=long-poll"));
  ::shutdown(client, SHUT_WR);
  turn(EPOLLIN | EPOLLRDHUP);
  ASSERT_FALSE(host->closed_);
  answer(0, 200, "data");
  EXPECT_TRUE(receive().ends_with("data"));
  EXPECT_TRUE(host->closed_);
  EXPECT_TRUE(host->gone.empty());
}

TEST_F(ConnectionTest, ALongPollThatWaitsForAClientThatHasGoneIsReported) {
  open();
  send(get("a?offset=-1&live=long-poll"));
  ASSERT_EQ(host->submitted.size(), 1u);
  ::shutdown(client, SHUT_WR);
  turn(EPOLLIN | EPOLLRDHUP);
  EXPECT_FALSE(host->closed_);
  EXPECT_EQ(host->deadline, host->now_ + seconds(1));
  host->now_ = host->deadline;
  connection->on_deadline();
  EXPECT_TRUE(host->closed_);
  ASSERT_EQ(host->gone.size(), 1u);
  EXPECT_EQ(host->gone[0], host->submitted[0].id);
  answer(0, 200);  // too late: must do no harm
}

TEST_F(ConnectionTest, DeadlinesFollowTheStateOfTheConnection) {
  open();
  const Instant start = host->now_;
  turn(EPOLLOUT);
  EXPECT_EQ(host->deadline, start + seconds(75));
  send("GET /");
  EXPECT_EQ(host->deadline, start + seconds(10));
  send("v1/stream/a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(host->deadline, kNever);  // the engine's turn
  answer(0, 200);
  EXPECT_EQ(host->deadline, start + seconds(75));
  EXPECT_FALSE(receive().empty());
  host->now_ = host->deadline;
  connection->on_deadline();
  EXPECT_TRUE(host->closed_);
}

TEST_F(ConnectionTest, ASlowHeadIsAnswered408) {
  open();
  send("GET /v1/stre");
  host->now_ = host->now_ + seconds(10);
  connection->on_deadline();
  turn();
  EXPECT_TRUE(receive().starts_with("HTTP/1.1 408 "));
}

TEST_F(ConnectionTest, ABodyEarnsTimeByArriving) {
  open();
  const Instant start = host->now_;
  send("POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(host->deadline, start + seconds(30));
  host->now_ = start + seconds(20);
  send(std::string(40960, 'x'));
  EXPECT_EQ(host->deadline, start + seconds(40));  // 4 KiB a second
  send(std::string(100000, 'x'));
  EXPECT_EQ(host->deadline, start + seconds(50)) << "what was quick must not stop for longer";
  host->now_ = host->deadline;
  connection->on_deadline();
  turn();
  EXPECT_TRUE(receive().starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(host->body_bytes_, 0u);
}

TEST_F(ConnectionTest, ABodyBehindALongAnswerHasNoMoreTimeThanOthers) {
  open();
  send(get("a?offset=-1&live=long-poll") +
       "POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc");
  EXPECT_GT(host->body_bytes_, 0u);
  EXPECT_EQ(host->deadline, host->now_ + seconds(30));
  host->now_ = host->deadline;
  connection->on_deadline();
  turn();
  EXPECT_EQ(host->body_bytes_, 0u);
  answer(0, 200, "data");
  const std::string text = receive();
  EXPECT_LT(text.find("data"), text.find("HTTP/1.1 408 "));
}

TEST_F(ConnectionTest, AClientThatIsStillReadingIsNotIdle) {
  open({{"write-timeout", {"1h"}}});
  send(get("a"));
  answer(0, 200, std::string(5000000, 'x'));
  const Instant start = host->now_;
  EXPECT_EQ(host->deadline, start + seconds(3600));
  host->now_ = start + seconds(100);
  while (host->answer_budget_.used() > 0) {
    ASSERT_FALSE(receive().empty());
    turn(EPOLLOUT);
  }
  EXPECT_EQ(host->deadline, host->now_ + seconds(75));
  receive();
  host->now_ = host->deadline;
  connection->on_deadline();
  EXPECT_TRUE(host->closed_);
  EXPECT_EQ(host->drops, std::vector<DropReason>{DropReason::kIdleTimeout});
}

TEST_F(ConnectionTest, AReaderThatTakesLittleAtATimeIsNotStuck) {
  open();
  send(get("a"));
  answer(0, 200, std::string(5000000, 'x'));
  std::string taken(60000, ' ');
  for (int i = 0; i < 5; ++i) {
    // No event: the socket is not writable before much more has been taken.
    ASSERT_GT(::recv(client, taken.data(), taken.size(), 0), 0);
    host->now_ = host->now_ + seconds(30);
    connection->on_deadline();
    turn();
    ASSERT_FALSE(host->closed_) << i;
    EXPECT_EQ(host->deadline, host->now_ + seconds(30));
  }
  host->now_ = host->now_ + seconds(30);
  connection->on_deadline();
  EXPECT_TRUE(host->closed_);
  EXPECT_EQ(host->drops, std::vector<DropReason>{DropReason::kWriteTimeout});
}

TEST_F(ConnectionTest, DrainingEndsIdleConnectionsAndFinishesOthers) {
  open();
  send(post("a", "x"));
  host->draining_ = true;
  connection->drain();
  turn();
  EXPECT_FALSE(host->closed_);
  answer(0, 204);
  EXPECT_TRUE(host->closed_);
}

// --- SSE ----------------------------------------------------------------------------------------

class SseTest : public ConnectionTest {
 protected:
  void open_sse(const std::string& version = "1.1") {
    open({{"sse-queue-bytes", {"1KiB"}}});
    send("GET /v1/stream/a?offset=-1&live=sse HTTP/" + version + "\r\nHost: h\r\n\r\n");
    ASSERT_EQ(host->submitted.size(), 1u);
    wire::Response head;
    head.status = 200;
    head.sse = true;
    connection->open_sse(serial(0), head, Position{0});
    turn();
    head_text = receive();
  }
  void frame(const std::string& text, uint64_t begin, uint64_t end, bool pulled = false) {
    Connection::SseFrame sse;
    sse.frame = Slice(share(text));
    sse.begin = Position{begin};
    sse.end = Position{end};
    sse.pulled = pulled;
    connection->send_sse(serial(0), sse);
  }
  // As the loop hands it to many readers.
  void frame_for_many(const std::string& text, uint64_t begin) {
    Connection::SseFrame sse;
    sse.when = Connection::SseFrame::When::kAtOnce;
    sse.frame = Slice(share(text));
    std::string chunk;
    Connection::append_chunk(chunk, text);
    sse.chunk = Slice(share(std::move(chunk)));
    sse.begin = Position{begin};
    sse.end = Position{begin + 1};
    connection->send_sse(serial(0), sse);
  }
  // Fills the socket, so that what follows is queued. Returns the position reached.
  uint64_t block() {
    uint64_t at = 0;
    const std::string big(100000, 'x');
    for (int i = 0; i < 100 && host->deadline == kNever; ++i, ++at) {
      frame(big, at, at + 1, true);
      turn();
    }
    host->ready = 0;
    return at;
  }
  std::string head_text;
};

TEST_F(SseTest, FramesAreChunksAndTheConnectionGoesOnAfterwards) {
  open_sse();
  EXPECT_NE(head_text.find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  frame("event: data\n\n", 0, 1);
  frame("xy", 1, 2);
  turn();
  EXPECT_EQ(receive(), "d\r\nevent: data\n\n\r\n2\r\nxy\r\n");
  send(get("b"));
  EXPECT_EQ(host->submitted.size(), 1u);
  connection->end_sse(serial(0));
  turn();
  EXPECT_EQ(receive(), "0\r\n\r\n");
  ASSERT_EQ(host->submitted.size(), 2u);
  answer(1, 200, "ok");
  EXPECT_TRUE(receive().ends_with("ok"));
}

TEST_F(SseTest, AFrameForManyLeavesBeforeTheTurnEnds) {
  open_sse();
  frame_for_many("first", 0);
  EXPECT_FALSE(host->dirty_);
  EXPECT_EQ(receive(), "5\r\nfirst\r\n");
  // Never before what is queued.
  frame("queued", 1, 2);
  frame_for_many("next", 2);
  EXPECT_EQ(receive(), "");
  turn();
  EXPECT_EQ(receive(), "6\r\nqueued\r\n4\r\nnext\r\n");
}

TEST_F(SseTest, AFrameForManyThatTheSocketDoesNotTakeWholeIsQueued) {
  open_sse();
  const std::string big(3'000'000, 'x');
  frame_for_many(big, 0);
  turn();
  EXPECT_LT(host->deadline, kNever);
  frame_for_many("over the bound", 1);
  turn();
  EXPECT_EQ(host->lagging, std::vector<Position>{Position{1}});
  std::string text;
  for (std::string part; !(part = receive()).empty(); turn(EPOLLOUT)) text += part;
  EXPECT_EQ(text, "2dc6c0\r\n" + big + "\r\n");
  EXPECT_EQ(host->ready, 1);
  EXPECT_EQ(host->deadline, kNever);
}

TEST_F(SseTest, AFrameForManyEndsTheLagOfAReaderWhoStandsThere) {
  open_sse();
  const uint64_t at = block();
  frame("over the bound", at, at + 1);
  frame(std::string(2000, 'x'), at + 1, at + 2);
  EXPECT_EQ(host->lagging, std::vector<Position>{Position{at}});
  while (!receive().empty()) turn(EPOLLOUT);
  frame_for_many("not yet", at + 1);
  EXPECT_EQ(receive(), "");
  frame_for_many("here", at);
  EXPECT_EQ(receive(), "4\r\nhere\r\n");
}

TEST_F(SseTest, AFrameForManyAndTheEndAreInOrder) {
  open_sse();
  frame_for_many("last", 0);
  connection->end_sse(serial(0));
  turn();
  EXPECT_EQ(receive(), "4\r\nlast\r\n0\r\n\r\n");
  connection.reset();
  ::close(std::exchange(client, -1));
  open_sse("1.0");
  frame_for_many("plain", 0);
  connection->end_sse(serial(0));
  turn();
  EXPECT_EQ(receive(), "plain");
  EXPECT_TRUE(at_end());
}

TEST_F(SseTest, AFrameForManyFindsThatTheReaderHasGone) {
  open_sse();
  ::close(std::exchange(client, -1));
  frame_for_many("lost", 0);
  turn();
  EXPECT_TRUE(host->closed_);
  EXPECT_EQ(host->gone.size(), 1u);
}

TEST_F(SseTest, AVersion10ReaderGetsThemPlainAndThenTheEnd) {
  open_sse("1.0");
  EXPECT_EQ(head_text.find("chunked"), std::string::npos);
  frame("xy", 0, 1);
  connection->end_sse(serial(0));
  turn();
  EXPECT_EQ(receive(), "xy");
  EXPECT_TRUE(at_end());
}

TEST_F(SseTest, AFullQueueDropsFramesUntilTheReaderIsBackWhereItStopped) {
  open_sse();
  const uint64_t at = block();
  frame("first over the bound", at, at + 1);
  frame("second", at + 1, at + 2);
  turn();
  EXPECT_EQ(host->lagging, std::vector<Position>{Position{at}});
  EXPECT_EQ(host->ready, 0);
  while (!receive().empty()) turn(EPOLLOUT);
  EXPECT_EQ(host->ready, 1);
  frame("on its way when the lag was reported", at + 2, at + 3);
  frame("again", at, at + 3, true);
  frame("live", at + 3, at + 4);
  turn();
  const std::string text = receive();
  EXPECT_EQ(text, "5\r\nagain\r\n4\r\nlive\r\n");
  EXPECT_EQ(host->ready, 2);  // the pulled frame has left
}

TEST_F(SseTest, HeartbeatsDoNotQueueUpBehindWhatIsUnsent) {
  open_sse();
  const uint64_t at = block();
  for (int i = 0; i < 1000; ++i) frame(": heartbeat\n\n", at, at);
  turn();
  std::string text;
  for (std::string part; !(part = receive()).empty(); turn(EPOLLOUT)) text += part;
  EXPECT_EQ(count(text, "heartbeat"), 0u);
  EXPECT_TRUE(host->lagging.empty());
}

TEST_F(SseTest, AReaderThatHasGoneIsNoticedBehindAnything) {
  for (const char* behind :
       {"", "\x01garbage\r\n\r\n", "GET /v1/stream/b HTTP/1.1\r\nHost: h\r\n\r\n"}) {
    open_sse();
    send(behind);
    EXPECT_FALSE(host->closed_);
    ::shutdown(client, SHUT_WR);
    turn(EPOLLIN | EPOLLRDHUP);
    EXPECT_TRUE(host->closed_) << behind;
    EXPECT_EQ(host->gone.size(), 1u) << behind;
    connection.reset();
    ::close(std::exchange(client, -1));
  }
}

TEST_F(SseTest, AReaderWaitsForWhatIsNextUntilThereIsMemoryForIt) {
  open_sse();
  host->answer_budget_.charge(uint64_t{256} << 20);
  frame("pulled", 0, 1, true);
  turn();
  EXPECT_EQ(host->ready, 0);
  EXPECT_LT(host->deadline, host->now_ + seconds(1));
  host->now_ = host->deadline;
  connection->on_deadline();
  turn();
  EXPECT_EQ(host->ready, 0);
  host->answer_budget_.release(1);
  host->now_ = host->deadline;
  connection->on_deadline();
  turn();
  EXPECT_EQ(host->ready, 1);
}

TEST_F(SseTest, AReaderThatTakesNothingIsEnded) {
  open_sse();
  block();
  host->now_ = host->now_ + seconds(30);
  connection->on_deadline();
  EXPECT_TRUE(host->closed_);
  EXPECT_EQ(host->drops, std::vector<DropReason>{DropReason::kWriteTimeout});
  EXPECT_EQ(host->gone.size(), 1u);
}

}  // namespace
}  // namespace ds::server
