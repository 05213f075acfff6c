#include "server/send_buffer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>

namespace ds::server {

bool limit_send_buffer(int socket, uint64_t bytes) {
  if (bytes == 0) return false;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  if (!is_near(std::chrono::microseconds(info.tcpi_rtt))) return false;
  const int wanted = static_cast<int>(std::min<uint64_t>(bytes, INT_MAX / 2));
  return ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted) == 0;
}

}  // namespace ds::server
