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

#include "server/http/test_connection.h"

namespace ds::server {
namespace {

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

TEST_F(ConnectionTest, ALargeBodyThatIsSentAgainIsSentFromACopy) {
  open();
  std::string large;
  while (large.size() < 300000) large += std::to_string(large.size());
  const SharedBytes body = share(std::move(large));
  for (size_t i = 0; i < 3; ++i) {
    send(get("a"));
    wire::Response response;
    response.status = 200;
    // As JSON is framed, and less of it than there is.
    response.body = {Slice::of_static("["), Slice(body, std::string_view(*body).substr(7, 290000)),
                     Slice::of_static("]")};
    connection->respond(serial(i), std::move(response));
    turn();
    std::string text;
    for (std::string part; !(part = receive()).empty(); turn(EPOLLOUT)) text += part;
    EXPECT_EQ(text.substr(text.find("\r\n\r\n") + 4), "[" + body->substr(7, 290000) + "]");
    EXPECT_EQ(host->send_cache_.bytes() > 0, i > 0);
  }
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

}  // namespace
}  // namespace ds::server
