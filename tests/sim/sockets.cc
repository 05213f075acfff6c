#include "tests/sim/sockets.h"

#include <utility>

#include "tests/sim/violation.h"

namespace ds::sim {

void Sockets::open(uint64_t request, size_t engine, Position at) {
  Socket socket;
  socket.engine = engine;
  socket.accepted = at;
  require(sockets_.emplace(request, std::move(socket)).second, "an SSE response opened twice");
}

void Sockets::push(const engine::SendSse& frame) {
  for (const engine::RequestId id : frame.to) {
    const auto found = sockets_.find(id.value);
    if (found == sockets_.end()) continue;
    found->second.inbox.push_back(
        {std::string(frame.frame.bytes), frame.begin, frame.end, frame.pulled, false});
  }
}

void Sockets::end(uint64_t request) {
  const auto found = sockets_.find(request);
  if (found != sockets_.end()) found->second.inbox.push_back({"", {}, {}, false, true});
}

std::vector<uint64_t> Sockets::all() const {
  std::vector<uint64_t> all;
  for (const auto& [request, socket] : sockets_) all.push_back(request);
  return all;
}

void Sockets::drain(uint64_t request) {
  Socket& socket = sockets_.at(request);
  socket.full = false;
  if (socket.dropping) socket.outbox.push_back({});
}

bool Sockets::deliver(uint64_t request) {
  Socket& socket = sockets_.at(request);
  if (socket.inbox.empty()) return false;
  const Frame frame = std::move(socket.inbox.front());
  socket.inbox.pop_front();
  if (frame.ends) {
    sockets_.erase(request);
    clients_.on_sse_end(request);
    return true;
  }
  const bool empty = frame.begin == frame.end;
  if (socket.dropping && (frame.begin != socket.accepted || empty)) return true;
  socket.dropping = false;
  if (socket.full) {
    if (empty) return true;  // nothing is lost by it
    socket.dropping = true;
    socket.outbox.push_back({socket.accepted});
    return true;
  }
  require(frame.begin == socket.accepted, "a live reader got a gap, or something twice");
  socket.accepted = frame.end;
  if (frame.pulled) socket.outbox.push_back({});
  clients_.on_sse_frame(request, frame.bytes, frame.begin, frame.end);
  return true;
}

std::optional<Sockets::ToEngine> Sockets::take(uint64_t request) {
  const auto found = sockets_.find(request);
  if (found == sockets_.end() || found->second.outbox.empty()) return std::nullopt;
  const ToEngine thing = found->second.outbox.front();
  found->second.outbox.pop_front();
  return thing;
}

}  // namespace ds::sim
