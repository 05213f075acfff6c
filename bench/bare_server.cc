// ds-bare-server: what one event loop costs on this machine when it does nothing. It keeps no data
// and understands no more of HTTP than where a request ends, so it is the limit for any server
// whose answers have these sizes.
//
//   ds-bare-server PORT
//
// POST and PUT: 204, after the body has been sent to every SSE reader (each gets what arrived in
// one turn of the loop in one write). GET with "text/event-stream" in its head: an SSE reader. GET
// otherwise: 100 bytes.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kStored =
    "HTTP/1.1 204 No Content\r\nStream-Next-Offset: 0000000000000000_0000000000000000\r\n\r\n";
constexpr std::string_view kSseHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "ds-bare-server: %s: %s\n", what, std::strerror(errno));
  std::exit(2);
}

struct Peer {
  bool open = false;
  std::string input;
};

class BareServer {
 public:
  explicit BareServer(uint16_t port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 4096) != 0) {
      fail("listen");
    }
    epoll_ = ::epoll_create1(0);
    watch(listener_);
    const std::string body(100, 'x');
    read_answer_ = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + body;
  }

  [[noreturn]] void run() {
    epoll_event events[512];
    while (true) {
      const int count = ::epoll_wait(epoll_, events, 512, -1);
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_) {
          accept_all();
        } else {
          serve(events[i].data.fd);
        }
      }
      if (!event_.empty()) publish();
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (fd < 0) return;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (peers_.size() <= static_cast<size_t>(fd)) peers_.resize(static_cast<size_t>(fd) + 1);
      peers_[static_cast<size_t>(fd)] = {true, {}};
      watch(fd);
    }
  }

  void serve(int fd) {
    Peer& peer = peers_[static_cast<size_t>(fd)];
    char buffer[64 * 1024];
    while (peer.open) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) {
        close_peer(fd);
        return;
      }
      peer.input.append(buffer, static_cast<size_t>(got));
      std::string_view bytes = peer.input;
      take_requests(fd, bytes);
      peer.input.erase(0, peer.input.size() - bytes.size());
      if (static_cast<size_t>(got) < sizeof buffer) return;
    }
  }

  void take_requests(int fd, std::string_view& bytes) {
    while (true) {
      const size_t end = bytes.find("\r\n\r\n");
      if (end == std::string_view::npos) return;
      const std::string_view head = bytes.substr(0, end);
      size_t length = 0;
      const size_t field = head.find("Content-Length: ");
      if (field != std::string_view::npos) {
        std::from_chars(head.data() + field + 16, head.data() + head.size(), length);
      }
      if (bytes.size() < end + 4 + length) return;
      answer(fd, head, bytes.substr(end + 4, length));
      bytes.remove_prefix(end + 4 + length);
    }
  }

  void answer(int fd, std::string_view head, std::string_view body) {
    if (head.substr(0, 3) != "GET") {
      if (!readers_.empty()) event_.append("data: ").append(body).append("\n\n");
      send(fd, kStored);
    } else if (head.find("text/event-stream") != std::string_view::npos) {
      send(fd, kSseHead);
      readers_.push_back(fd);
    } else {
      send(fd, read_answer_);
    }
  }

  void publish() {
    for (const int reader : readers_) send(reader, event_);
    event_.clear();
  }

  // What a socket does not take is lost: its reader is no longer measured with.
  void send(int fd, std::string_view bytes) {
    if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return;
  }

  void close_peer(int fd) {
    peers_[static_cast<size_t>(fd)].open = false;
    readers_.erase(std::remove(readers_.begin(), readers_.end(), fd), readers_.end());
    ::close(fd);
  }

  int listener_ = -1;
  int epoll_ = -1;
  std::vector<Peer> peers_;  // by descriptor
  std::vector<int> readers_;
  std::string event_;  // what this turn has to send to all of them
  std::string read_answer_;
};

}  // namespace

int main(int argc, char** argv) {
  const int port = argc == 2 ? std::atoi(argv[1]) : 0;
  if (port <= 0 || port > 65535) {
    std::fprintf(stderr, "usage: ds-bare-server PORT\n");
    return 2;
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  BareServer(static_cast<uint16_t>(port)).run();
}
