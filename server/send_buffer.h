// How much a socket takes that its client has not received yet.
//
// The system lets a connection's send buffer grow to some megabytes, which one over a long distance
// needs. To a client on this machine or in its network they do harm: what several of them are sent
// at once is more than the processor's cache holds, and is copied from and to memory instead
// (docs/performance.md, "Large ones").
#pragma once

#include <chrono>
#include <cstdint>

namespace ds::server {

// Whether a connection whose handshake took so long ends nearby.
constexpr bool is_near(std::chrono::microseconds round_trip) {
  return round_trip < std::chrono::microseconds(500);
}

// Gives a TCP connection that was just accepted a send buffer of `bytes` if its client is near. 0:
// never. Returns whether it did.
bool limit_send_buffer(int socket, uint64_t bytes);

}  // namespace ds::server
