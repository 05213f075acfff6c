#include "server/config/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "server/config/values.h"

namespace ds::server {

namespace {

constexpr char kExpected[] =
    "is not an address to listen at; write 127.0.0.1:4437, [::1]:4437, localhost:4437 or "
    "unix:/path";

ListenAddress ip4(const in_addr& host, uint16_t port) {
  ListenAddress result;
  auto* address = reinterpret_cast<sockaddr_in*>(&result.address);
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  address->sin_addr = host;
  result.length = sizeof(sockaddr_in);
  result.loopback = (ntohl(host.s_addr) >> 24) == 127;
  return result;
}

ListenAddress ip6(const in6_addr& host, uint16_t port) {
  ListenAddress result;
  auto* address = reinterpret_cast<sockaddr_in6*>(&result.address);
  address->sin6_family = AF_INET6;
  address->sin6_port = htons(port);
  address->sin6_addr = host;
  result.length = sizeof(sockaddr_in6);
  result.loopback = IN6_IS_ADDR_LOOPBACK(&host);
  return result;
}

}  // namespace

std::string ListenAddress::text() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  char host[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return "http://" + std::string(host) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
  inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
  return "http://[" + std::string(host) + "]:" + std::to_string(ntohs(v6->sin6_port));
}

Result<std::vector<ListenAddress>, std::string> parse_listen_address(std::string_view text) {
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    ListenAddress result;
    auto* address = reinterpret_cast<sockaddr_un*>(&result.address);
    if (path.empty()) return std::string(kExpected);
    if (path.size() >= sizeof address->sun_path) {
      return std::string("is too long for the path of a Unix socket");
    }
    address->sun_family = AF_UNIX;
    std::memcpy(address->sun_path, path.data(), path.size());
    result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    result.unix_path = path;
    result.loopback = true;
    return std::vector{result};
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::string(kExpected);
  const auto port = parse_count(text.substr(colon + 1));
  if (!port || *port > 65535) return std::string(kExpected);
  const auto port_number = static_cast<uint16_t>(*port);
  std::string host(text.substr(0, colon));

  in_addr v4{};
  in6_addr v6{};
  if (host == "localhost") {
    v4.s_addr = htonl(INADDR_LOOPBACK);
    ListenAddress second = ip6(in6addr_loopback, port_number);
    second.optional = true;
    return std::vector{ip4(v4, port_number), second};
  }
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return std::vector{ip4(v4, port_number)};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return std::vector{ip6(v6, port_number)};
  }
  return std::string(kExpected);
}

}  // namespace ds::server
