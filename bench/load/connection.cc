#include "bench/load/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "bench/load/fail.h"

namespace ds::bench {

void Connection::open() {
  close();
  fd_ = endpoint_.connect(id_);
  if (fd_ < 0) fail_errno("cannot connect to " + endpoint_.host);
  loop_.add(fd_, *this);
}

void Connection::close() {
  ++life_;
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  pending_.clear();
  pending_sent_ = 0;
  body_bytes_ = 0;
  parser_.reset();
}

void Connection::send(std::string_view request) {
  if (!pending_.empty()) {
    pending_.append(request);
    return;
  }
  const ssize_t sent = ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(request.size())) return;
  // A broken connection shows itself as an event too, which is where it is reported.
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return;
  pending_.assign(request.substr(sent < 0 ? 0 : static_cast<size_t>(sent)));
  pending_sent_ = 0;
  if (sent < 0 && errno == EINTR) flush();
}

void Connection::flush() {
  while (pending_sent_ < pending_.size()) {
    const ssize_t sent =
        ::send(fd_, pending_.data() + pending_sent_, pending_.size() - pending_sent_, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return;
    }
    pending_sent_ += static_cast<size_t>(sent);
  }
  pending_.clear();
  pending_sent_ = 0;
}

void Connection::on_event(uint32_t epoll_events) {
  if (fd_ < 0) return;  // closed earlier in this turn
  if (!pending_.empty() && (epoll_events & EPOLLOUT) != 0) flush();
  // When the peer's end is already there, no further edge will tell of it.
  if ((epoll_events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) {
    receive((epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
}

void Connection::receive(bool to_the_end) {
  const uint32_t life = life_;
  while (true) {
    const ssize_t got = ::recv(fd_, loop_.read_buffer(), EventLoop::kReadBytesMax, 0);
    if (got > 0) {
      const auto bytes = static_cast<size_t>(got);
      if (!take({loop_.read_buffer(), bytes})) return;
      // A short read has emptied the socket: what comes later is another edge.
      if (bytes < EventLoop::kReadBytesMax && !to_the_end) return;
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got == 0 && parser_.ends_with_connection()) {
      owner_.on_response(*this, now_ns());
      if (life != life_) return;
      end(End::kBetween);
      return;
    }
    end(parser_.between_responses() ? End::kBetween : End::kTorn);
    return;
  }
}

bool Connection::take(std::string_view input) {
  const uint32_t life = life_;
  while (true) {
    std::string_view body;
    switch (parser_.next(input, body)) {
      case ResponseParser::Step::kNeedMore:
        return true;
      case ResponseParser::Step::kHead:
        body_bytes_ = 0;
        owner_.on_head(*this);
        break;
      case ResponseParser::Step::kBody:
        body_bytes_ += body.size();
        owner_.on_body(*this, body);
        break;
      case ResponseParser::Step::kDone:
        // Nobody here pipelines, so bytes behind a response were not asked for.
        if (!input.empty()) {
          end(End::kMalformed);
          return false;
        }
        owner_.on_response(*this, now_ns());
        return life == life_;
      case ResponseParser::Step::kMalformed:
        end(End::kMalformed);
        return false;
    }
    if (life != life_) return false;
  }
}

void Connection::end(End why) {
  close();
  owner_.on_end(*this, why);
}

}  // namespace ds::bench
