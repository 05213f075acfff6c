#include "bench/load/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "bench/load/fail.h"

namespace ds::bench {
namespace {

constexpr uint32_t kConnectionsPerSource = 20'000;
constexpr std::string_view kScheme = "http://";

// Binds to 127.0.0.(1 + n) when the server is on IPv4 loopback.
void bind_source(int fd, const sockaddr_storage& server, uint32_t index) {
  if (index < kConnectionsPerSource || server.ss_family != AF_INET) return;
  sockaddr_in source{};
  std::memcpy(&source, &server, sizeof source);
  if (ntohl(source.sin_addr.s_addr) >> 24 != 127) return;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / kConnectionsPerSource);
  source.sin_port = 0;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
    fail_errno("bind");
  }
}

}  // namespace

Endpoint Endpoint::resolve(const std::string& url) {
  if (url.substr(0, kScheme.size()) != kScheme) fail("--url must begin with http://");
  std::string authority = url.substr(kScheme.size());
  while (!authority.empty() && authority.back() == '/') authority.pop_back();
  if (authority.find('/') != std::string::npos) fail("--url has a path: give it as --base");

  std::string host = authority;
  std::string port = "80";
  const size_t bracket = authority.find(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
  }
  if (bracket != std::string::npos && host.front() == '[') host = host.substr(1, bracket - 1);

  Endpoint endpoint;
  endpoint.host = authority;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc() || end != port.data() + port.size()) fail("--url has no valid port");

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int trouble = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (trouble != 0) fail("cannot resolve " + host + ": " + ::gai_strerror(trouble));
  std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
  endpoint.address_bytes = found->ai_addrlen;
  ::freeaddrinfo(found);
  return endpoint;
}

int Endpoint::connect(uint32_t index) const {
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bind_source(fd, address, index);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), address_bytes) != 0) {
    const int error = errno;
    ::close(fd);
    errno = error;
    return -1;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

}  // namespace ds::bench
