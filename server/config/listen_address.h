// Where to listen: "127.0.0.1:4437", "[::1]:4437", "localhost:4437" or "unix:/run/ds.sock".
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace ds::server {

struct ListenAddress {
  sockaddr_storage address{};
  socklen_t length = 0;
  std::string unix_path;  // "" for IP
  bool loopback = false;  // reachable from this machine only
  bool optional = false;  // "localhost" on a machine without IPv6

  std::string text() const;  // "http://127.0.0.1:4437", "unix:/path"
};

// One address, or the two of "localhost"; or what is wrong, as the end of a sentence.
Result<std::vector<ListenAddress>, std::string> parse_listen_address(std::string_view text);

}  // namespace ds::server
