// An SSE response on its connection: frames, slow readers, the end.
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "server/http/connection.h"
#include "server/http/test_connection.h"

namespace ds::server {
namespace {

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
  frame_for_many("xy", 0);
  frame("z", 1, 2);
  connection->end_sse(serial(0));
  turn();
  EXPECT_EQ(receive(), "xyz");
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
