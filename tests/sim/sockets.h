// The sockets of SSE readers: queues that fill up and drain, and what server/http/connection_sse.cc
// does about it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/actions.h"

namespace ds::sim {

class SocketClients {
 public:
  virtual ~SocketClients() = default;
  virtual void on_sse_frame(uint64_t request, std::string_view bytes, Position begin,
                            Position end) = 0;
  virtual void on_sse_end(uint64_t request) = 0;
};

class Sockets {
 public:
  // Borrows `clients` for its whole life.
  explicit Sockets(SocketClients& clients) : clients_(clients) {}

  void open(uint64_t request, size_t engine, Position at);
  void push(const engine::SendSse& frame);
  void end(uint64_t request);
  void forget(uint64_t request) { sockets_.erase(request); }
  void clear() { sockets_.clear(); }
  bool has(uint64_t request) const { return sockets_.count(request) > 0; }
  size_t engine_of(uint64_t request) const { return sockets_.at(request).engine; }
  std::vector<uint64_t> all() const;

  // The socket takes nothing any more, or takes everything again.
  void stall(uint64_t request) { sockets_.at(request).full = true; }
  void drain(uint64_t request);
  bool stalled(uint64_t request) const { return sockets_.at(request).full; }
  // One thing of the engine's reaches the socket. False if there is none.
  bool deliver(uint64_t request);
  // One thing of the socket's for the engine: lagging there, or (nothing) ready for more.
  struct ToEngine {
    std::optional<Position> lagging;
  };
  std::optional<ToEngine> take(uint64_t request);

 private:
  struct Frame {
    std::string bytes;
    Position begin;
    Position end;
    bool pulled = false;
    bool ends = false;
  };
  struct Socket {
    size_t engine = 0;
    Position accepted;
    bool full = false;
    bool dropping = false;  // until a frame begins where it stands
    std::deque<Frame> inbox;
    std::deque<ToEngine> outbox;
  };

  SocketClients& clients_;
  std::map<uint64_t, Socket> sockets_;
};

}  // namespace ds::sim
