// One HTTP/1.1 connection to the server: sends requests that somebody else rendered, and reports
// what comes back. One write and one read per request, no allocation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/endpoint.h"
#include "bench/load/event_loop.h"
#include "bench/load/response_parser.h"

namespace ds::bench {

class Connection final : public EventHandler {
 public:
  enum class End : uint8_t {
    kBetween,    // the peer closed while nothing of a response had arrived
    kTorn,       // ... in the middle of a response
    kMalformed,  // what arrived is not HTTP, or more than was asked for; closed here
  };

  // Told what arrives. May call send(), open() and close() of the same connection at any time.
  class Owner {
   public:
    virtual void on_head(Connection&) {}
    // `bytes` is valid during the call.
    virtual void on_body(Connection&, std::string_view bytes) { (void)bytes; }
    // A response is complete; `now` is the time after the read that completed it.
    virtual void on_response(Connection&, int64_t now) = 0;
    // Not called for close().
    virtual void on_end(Connection&, End) = 0;

   protected:
    ~Owner() = default;
  };

  // Borrows all three for its whole life. `id` is the caller's number for it.
  Connection(EventLoop& loop, const Endpoint& endpoint, Owner& owner, uint32_t id)
      : loop_(loop), endpoint_(endpoint), owner_(owner), id_(id) {}
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Connects anew; a connection that is open is closed first. Ends the program when the server
  // does not accept it.
  void open();
  void close();
  bool is_open() const { return fd_ >= 0; }

  // REQUIRES: is_open(). `request` may be changed as soon as this returns. Trouble is reported by
  // on_end, later.
  void send(std::string_view request);

  uint32_t id() const { return id_; }
  const ResponseHead& head() const { return parser_.head(); }
  // Bytes of the current response's body so far.
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  void on_event(uint32_t epoll_events) override;
  void flush();
  // Reads until the socket is empty, or until its end when that has been announced.
  void receive(bool to_the_end);
  // False: the connection is no longer the one that the bytes came from.
  bool take(std::string_view input);
  void end(End why);

  EventLoop& loop_;
  const Endpoint& endpoint_;
  Owner& owner_;
  const uint32_t id_;
  int fd_ = -1;
  uint32_t life_ = 0;  // counts open() and close()
  uint64_t body_bytes_ = 0;
  size_t pending_sent_ = 0;
  std::string pending_;  // what the socket did not take at once
  ResponseParser parser_;
};

}  // namespace ds::bench
