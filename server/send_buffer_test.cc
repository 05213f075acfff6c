#include "server/send_buffer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/loopback_pair.h"

namespace ds::server {
namespace {

TEST(SendBuffer, OnlyWhatTakesNoTimeIsNear) {
  EXPECT_TRUE(is_near(std::chrono::microseconds(30)));
  EXPECT_FALSE(is_near(std::chrono::milliseconds(1)));
}

// Both ends of a connection over loopback.
class Connected {
 public:
  ~Connected() {
    ::close(pair_.client);
    ::close(pair_.server);
  }
  int server() const { return pair_.server; }
  int send_buffer() const {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    EXPECT_EQ(::getsockopt(pair_.server, SOL_SOCKET, SO_SNDBUF, &bytes, &size), 0);
    return bytes;
  }

 private:
  LoopbackPair pair_ = connect_loopback();
};

TEST(SendBuffer, ANearClientsIsLimited) {
  constexpr int kBytes = 64 << 10;
  const Connected connected;
  // A machine that is busy may take its time even for a handshake with itself.
  if (!limit_send_buffer(connected.server(), kBytes)) GTEST_SKIP() << "the handshake took long";
  EXPECT_EQ(connected.send_buffer(), 2 * kBytes);  // the system adds as much for its own data
}

TEST(SendBuffer, ZeroLeavesItToTheSystem) {
  const Connected connected;
  const int before = connected.send_buffer();
  EXPECT_FALSE(limit_send_buffer(connected.server(), 0));
  EXPECT_EQ(connected.send_buffer(), before);
}

TEST(SendBuffer, WhatIsNoTcpSocketIsLeftAlone) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  EXPECT_FALSE(limit_send_buffer(ends[0], 64 << 10));
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace ds::server
