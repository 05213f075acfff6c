// For the tests of a connection: one, with the client's end of its socket in the test's hands.
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/connection.h"
#include "server/http/test_host.h"

namespace ds::server {

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

inline std::string get(const std::string& target) {
  return "GET /v1/stream/" + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}
inline std::string post(const std::string& stream, const std::string& body) {
  return "POST /v1/stream/" + stream + " HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n" +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
inline size_t count(const std::string& text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace ds::server
