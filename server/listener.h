// Listening sockets: accepted connections are handed to the loops in turn, so that they spread
// evenly however few they are (the kernel's SO_REUSEPORT spreads by hash).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string>

#include "core/base/result.h"
#include "server/config/listen_address.h"
#include "server/loop.h"

namespace ds::server {

// Opens, binds and listens. The descriptor, or one sentence for the operator. `bound` becomes the
// address with the port that the system chose, if port 0 was asked for.
Result<int, std::string> open_listener(const ListenAddress& address, ListenAddress* bound);

// Accepts at one socket, on the thread of `io`.
class Listener {
 public:
  Listener(boost::asio::io_context& io, int socket, ListenAddress address, LoopShared& shared);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start();
  // No more connections. Removes the file of a Unix socket.
  void close();
  const ListenAddress& address() const { return address_; }

 private:
  void wait();
  void accept_all();
  void hand_over(int socket, Peer peer);
  void refuse(int socket);
  void pause();

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer pause_;
  const ListenAddress address_;
  LoopShared& shared_;
  bool out_of_descriptors_ = false;
};

}  // namespace ds::server
