// Where the server is: the parsed --url, resolved once.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace ds::bench {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t address_bytes = 0;
  std::string host;  // as the Host header has it, with the port
  uint16_t port = 0;

  // Takes "http://host[:port]", with [..] around an IPv6 address. Ends the program when that is not
  // what it is, or when the host has no address.
  static Endpoint resolve(const std::string& url);

  // A connected, non-blocking socket, or -1 with errno set. Waits for the connection. `index` is
  // the number of this connection: over IPv4 loopback every 20,000 get a source address of their
  // own (127.0.0.2, ...), as one address has only 28,000 ports.
  int connect(uint32_t index) const;
};

}  // namespace ds::bench
