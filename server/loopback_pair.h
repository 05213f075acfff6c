// Both ends of a TCP connection over loopback, for tests.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ds::server {

struct LoopbackPair {
  int server = -1;
  int client = -1;
};

// The caller closes both. `receive_buffer_bytes` is the client's; 0: the system's.
inline LoopbackPair connect_loopback(int receive_buffer_bytes = 0) {
  LoopbackPair pair;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener, generic, size), 0);
  EXPECT_EQ(::listen(listener, 1), 0);
  EXPECT_EQ(::getsockname(listener, generic, &size), 0);
  pair.client = ::socket(AF_INET, SOCK_STREAM, 0);
  if (receive_buffer_bytes > 0) {
    EXPECT_EQ(::setsockopt(pair.client, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                           sizeof receive_buffer_bytes),
              0);
  }
  EXPECT_EQ(::connect(pair.client, generic, size), 0);
  pair.server = ::accept(listener, nullptr, nullptr);
  EXPECT_GE(pair.server, 0);
  ::close(listener);
  return pair;
}

}  // namespace ds::server
