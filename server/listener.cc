#include "server/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/log.h"
#include "server/send_buffer.h"

namespace ds::server {

namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptedPerTurn = 128;
constexpr std::chrono::milliseconds kPause{100};  // when there are no descriptors left
constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Cache-Control: no-store\r\nRetry-After: 1\r\nAccess-Control-Allow-Origin: *\r\n"
    "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
    "Connection: close\r\nContent-Length: 70\r\n\r\n"
    "{\"code\":\"overloaded\",\"error\":\"Too many connections: try again later.\"}";

std::string failure(const ListenAddress& address, const char* what) {
  return "cannot " + std::string(what) + " " + address.text() + ": " + std::strerror(errno);
}

// A socket file that nobody listens at was left by a server that was killed.
void remove_stale(const ListenAddress& address) {
  struct stat status {};
  if (lstat(address.unix_path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  const auto* to = reinterpret_cast<const sockaddr*>(&address.address);
  const bool dead = ::connect(probe, to, address.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  if (dead) ::unlink(address.unix_path.c_str());
}

Peer peer_of(const sockaddr_storage& from, const Config& config) {
  Peer peer;
  char text[INET6_ADDRSTRLEN] = {};
  const uint8_t* bytes = nullptr;
  if (from.ss_family == AF_INET) {
    bytes =
        reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in*>(&from)->sin_addr);
  } else if (from.ss_family == AF_INET6) {
    bytes =
        reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(&from)->sin6_addr);
  }
  if (bytes != nullptr) inet_ntop(from.ss_family, bytes, text, sizeof text);
  if (config.access_log) peer.address = share(bytes != nullptr ? text : "unix");
  for (const AddressRange& range : config.trusted_proxies) {
    if (bytes == nullptr ? range.family == AF_UNIX : range.contains(from.ss_family, bytes)) {
      peer.trusted = true;
    }
  }
  return peer;
}

}  // namespace

Result<int, std::string> open_listener(const ListenAddress& address, ListenAddress* bound) {
  const bool is_unix = !address.unix_path.empty();
  if (is_unix) remove_stale(address);
  const int socket =
      ::socket(address.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return failure(address, "open a socket for");
  const int on = 1;
  if (!is_unix) setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.address.ss_family == AF_INET6) {
    setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  const auto* to = reinterpret_cast<const sockaddr*>(&address.address);
  const bool listening = ::bind(socket, to, address.length) == 0 && ::listen(socket, kBacklog) == 0;
  if (!listening) {
    std::string problem = failure(address, "listen at");
    ::close(socket);
    return problem;
  }
  *bound = address;
  if (!is_unix) {
    socklen_t length = sizeof bound->address;
    getsockname(socket, reinterpret_cast<sockaddr*>(&bound->address), &length);
  }
  return socket;
}

Listener::Listener(boost::asio::io_context& io, int socket, ListenAddress address,
                   LoopShared& shared)
    : socket_(io, socket), pause_(io), address_(std::move(address)), shared_(shared) {}

Listener::~Listener() { close(); }

void Listener::start() { wait(); }

void Listener::close() {
  if (!socket_.is_open()) return;
  boost::system::error_code ignored;
  socket_.close(ignored);
  pause_.cancel(ignored);
  if (!address_.unix_path.empty()) ::unlink(address_.unix_path.c_str());
}

void Listener::wait() {
  socket_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (!error) accept_all();
                     });
}

void Listener::accept_all() {
  for (int i = 0; i < kAcceptedPerTurn; ++i) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const int socket = ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&from),
                                 &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      out_of_descriptors_ = false;
      if (from.ss_family != AF_UNIX) {
        const int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        limit_send_buffer(socket, shared_.config.near_send_buffer_bytes);
      }
      hand_over(socket, peer_of(from, shared_.config));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    // Out of descriptors or memory: waiting for the socket would spin, as it stays readable.
    return pause();
  }
  wait();
}

void Listener::pause() {
  if (!out_of_descriptors_) {
    log_event(LogLevel::kError, "cannot accept connections; waiting for some to end",
              {{"reason", std::strerror(errno)}});
  }
  out_of_descriptors_ = true;
  pause_.expires_after(kPause);
  pause_.async_wait([this](const boost::system::error_code& error) {
    if (!error) wait();
  });
}

void Listener::hand_over(int socket, Peer peer) {
  const uint64_t open = shared_.connections.fetch_add(1, std::memory_order_relaxed);
  if (open >= shared_.config.connections_max) {
    shared_.connections.fetch_sub(1, std::memory_order_relaxed);
    return refuse(socket);
  }
  const size_t next = shared_.next_loop++ % shared_.loops.size();
  shared_.loops[next]->adopt({socket, std::move(peer)});
}

// Best effort: the client may see a reset instead.
void Listener::refuse(int socket) {
  static_cast<void>(!::send(socket, kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  ::shutdown(socket, SHUT_WR);
  ::close(socket);
  shared_.loops.front()->dropped(DropReason::kTooManyConnections);
}

}  // namespace ds::server
