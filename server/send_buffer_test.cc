#include "server/send_buffer.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ds::server {
namespace {

TEST(SendBuffer, OnlyWhatTakesNoTimeIsNear) {
  EXPECT_TRUE(is_near(std::chrono::microseconds(30)));
  EXPECT_FALSE(is_near(std::chrono::milliseconds(1)));
}

// Both ends of a connection over loopback.
class Connected {
 public:
  Connected() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener, generic, size), 0);
    EXPECT_EQ(::listen(listener, 1), 0);
    EXPECT_EQ(::getsockname(listener, generic, &size), 0);
    client_ = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(client_, generic, size), 0);
    server_ = ::accept(listener, nullptr, nullptr);
    ::close(listener);
  }
  ~Connected() {
    ::close(client_);
    ::close(server_);
  }
  int server() const { return server_; }
  int send_buffer() const {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    EXPECT_EQ(::getsockopt(server_, SOL_SOCKET, SO_SNDBUF, &bytes, &size), 0);
    return bytes;
  }

 private:
  int client_ = -1;
  int server_ = -1;
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
