#include "server/http/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace ds::server {

namespace {
constexpr Duration kLingerTimeout = seconds(2);
}  // namespace

Connection::Connection(ConnectionHost& host, int socket, Peer peer, uint32_t slot, uint64_t id_base,
                       uint32_t first_serial)
    : host_(host),
      socket_(socket),
      slot_(slot),
      id_base_(id_base),
      next_serial_(first_serial),
      out_(host.texts()),
      phase_began_(host.now()),
      peer_(std::move(peer)) {}

Connection::~Connection() {
  if (socket_ >= 0) ::close(socket_);
}

void Connection::mark_dirty() {
  if (dirty_) return;
  dirty_ = true;
  host_.mark_dirty(*this);
}

void Connection::on_events(uint32_t epoll_events) {
  if (is_closed()) return;
  if ((epoll_events & EPOLLOUT) != 0) writable_ = true;
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    readable_ = true;
    if ((epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
    read_input();
  }
  mark_dirty();
}

void Connection::resume() {
  if (is_closed()) return;
  read_input();
  mark_dirty();
}

void Connection::finish_turn() {
  dirty_ = false;
  if (is_closed()) return;
  flush();
  // What had to wait for an answer to leave, or for its turn in the pipeline.
  while (!is_closed() && inbox_ != nullptr && phase_ != Phase::kLingering) {
    const uint32_t before = next_serial_;
    process_input();
    if (is_closed() || next_serial_ == before || out_.empty() || !writable_) break;
    flush();
  }
  if (!is_closed()) settle();
}

// Called when nothing more can be done in this turn: ends what has ended, gives back what is not
// needed, and says when to look again.
void Connection::settle() {
  if (continue_due_ && in_flight_.empty()) {
    continue_due_ = false;
    out_.append_text("HTTP/1.1 100 Continue\r\n\r\n");
    flush();
    if (is_closed()) return;
  }
  if (out_.empty()) {
    if (sse_.open && sse_.ready_due) {
      sse_.ready_due = false;
      host_.reader_ready(id_of(in_flight_.front()), in_flight_.front().owner);
    }
    if (in_flight_.empty() && phase_ != Phase::kLingering) {
      const bool idle = phase_ == Phase::kHead && (inbox_ == nullptr || !inbox_->head_begun);
      if (closing_ || (idle && host_.draining())) return close_or_linger();
      if (input_ended_ && phase_ != Phase::kReady) return close_now();
    }
  }
  release_inbox();
  if (readable_ && can_read()) host_.mark_unread(*this);
  host_.set_deadline(slot_, deadline());
}

Instant Connection::deadline() const {
  const Config& config = host_.config();
  if (phase_ == Phase::kLingering) return phase_began_ + kLingerTimeout;
  Instant result = kNever;
  if (!out_.empty()) result = std::min(result, blocked_since_ + config.write_timeout);
  if (!in_flight_.empty()) return result;
  if (phase_ == Phase::kBody) {
    // Time grows with what has come: a steady sender is never cut off, a trickle is.
    const uint64_t earned_us =
        inbox_->body.size() * uint64_t{1000000} / std::max<uint64_t>(config.body_min_rate, 1);
    const Instant limit = phase_began_ + config.body_timeout;
    return std::min(result, limit + Duration{static_cast<int64_t>(earned_us)});
  }
  const bool begun = inbox_ != nullptr && inbox_->head_begun;
  return std::min(result, phase_began_ + (begun ? config.head_timeout : config.idle_timeout));
}

void Connection::on_deadline() {
  if (is_closed()) return;
  const Instant now = host_.now();
  if (now < deadline()) {
    host_.set_deadline(slot_, deadline());
    return;
  }
  if (phase_ == Phase::kLingering) return close_now();
  if (!out_.empty() && now >= blocked_since_ + host_.config().write_timeout) {
    host_.dropped(DropReason::kWriteTimeout);
    return close_now();
  }
  if (phase_ == Phase::kBody) {
    reject(wire::ErrorCode::kRequestTimeout, DropReason::kBodyTimeout);
  } else if (inbox_ != nullptr && inbox_->head_begun) {
    reject(wire::ErrorCode::kRequestTimeout, DropReason::kHeadTimeout);
  } else {
    host_.dropped(DropReason::kIdleTimeout);
    close_or_linger();
  }
}

void Connection::drain() {
  if (is_closed()) return;
  mark_dirty();
}

// A close with unread input resets the connection, and the client may lose our last answer: then
// the input is read out first, for a while.
void Connection::close_or_linger() {
  const bool unread = linger_ || readable_ || (inbox_ != nullptr && !inbox_->empty());
  if (!unread || input_ended_) return close_now();
  ::shutdown(socket_, SHUT_WR);
  phase_ = Phase::kLingering;
  phase_began_ = host_.now();
  discarded_ = 0;
  if (inbox_ != nullptr) {
    release_body();
    inbox_->begin = inbox_->end = 0;
    inbox_->head_begun = false;
    host_.inboxes().give(std::move(inbox_));
  }
  if (readable_) host_.mark_unread(*this);
  host_.set_deadline(slot_, deadline());
}

void Connection::close_now() {
  if (is_closed()) return;
  for (const InFlight& request : in_flight_) {
    if (request.submitted && request.answer == nullptr) {
      host_.disconnected(id_of(request), request.owner);
    }
  }
  in_flight_.clear();
  sse_.open = false;
  if (inbox_ != nullptr) {
    release_body();
    inbox_->begin = inbox_->end = 0;
    inbox_->head_begun = false;
    host_.inboxes().give(std::move(inbox_));
  }
  out_.clear();
  ::close(socket_);
  socket_ = -1;
  host_.closed(*this);
}

}  // namespace ds::server
