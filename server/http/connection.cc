#include "server/http/connection.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace ds::server {

namespace {
constexpr Duration kLingerTimeout = seconds(2);
// A client that closes its side may wait for the answer to a long-poll that is on its way, not for
// one that is parked. Which of the two it is shows within this.
constexpr Duration kHalfClosedPoll = seconds(1);
// How long an SSE reader waits for what is next while there is no memory for it.
constexpr Duration kMemoryWait = milliseconds(250);
}  // namespace

Connection::Connection(ConnectionHost& host, int socket, Peer peer, uint32_t slot, uint64_t id_base,
                       uint32_t first_serial)
    : host_(host),
      socket_(socket),
      slot_(slot),
      id_base_(id_base),
      next_serial_(first_serial),
      out_(host.outputs(), host.answer_memory()),
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
    if ((epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
      if (!std::exchange(hung_up_, true)) hung_up_at_ = host_.now();
    }
    if ((epoll_events & (EPOLLHUP | EPOLLERR)) != 0) torn_ = true;
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
  // What had to wait for an answer to leave, or for its turn in the pipeline.
  while (!is_closed() && inbox_ != nullptr && phase_ != Phase::kLingering) {
    const uint32_t before = next_serial_;
    process_input();
    if (is_closed()) return;
    // Its answer may be there in this very turn, and leave together with those before it.
    if (next_serial_ != before) return mark_dirty();
    if (out_.bytes() <= kAnswersAheadMax || !writable_) break;
    flush();
  }
  if (!is_closed()) flush();
  if (!is_closed()) settle();
}

void Connection::send_now() {
  if (is_closed()) return;
  flush();
  if (!is_closed()) out_.hold();
}

// Called when nothing more can be done in this turn: ends what has ended, gives back what is not
// needed, and says when to look again.
void Connection::settle() {
  if (continue_due_ && in_flight_.empty()) {
    continue_due_ = false;
    body_due_ = host_.now() + host_.config().body_timeout;
    out_.append_text("HTTP/1.1 100 Continue\r\n\r\n");
    flush();
    if (is_closed()) return;
  }
  if (sse_.open && client_gone()) {
    host_.dropped(DropReason::kClientGone);
    return close_now();
  }
  if (out_.empty()) {
    if (sse_.open && sse_.ready_due && !host_.answer_memory().exhausted()) {
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
  out_.hold();
  if (readable_ && can_read()) host_.mark_unread(*this);
  host_.set_deadline(slot_, deadline());
}

// Whether the client has closed at least its side, after all that it will be asked for.
bool Connection::client_gone() const { return input_ended_ || (hung_up_ && !can_read()); }

// When a long-poll whose client has closed its side must be a parked one.
Instant Connection::poll_given_up_at() const {
  if (sse_.open || in_flight_.empty() || !in_flight_.front().live || !client_gone()) return kNever;
  return std::max(hung_up_at_, in_flight_.front().started) + kHalfClosedPoll;
}

Instant Connection::deadline() const {
  const Config& config = host_.config();
  if (phase_ == Phase::kLingering) return phase_began_ + kLingerTimeout;
  Instant result = kNever;
  if (!out_.empty()) result = std::min(result, blocked_since_ + config.write_timeout);
  if (phase_ == Phase::kBody && !continue_due_) result = std::min(result, body_due_);
  if (waits_for_memory()) result = std::min(result, host_.now() + kMemoryWait);
  result = std::min(result, poll_given_up_at());
  // While a client is kept waiting, or is still taking what it asked for, it need not ask for more.
  if (!in_flight_.empty() || !out_.empty() || phase_ == Phase::kBody) return result;
  const bool begun = inbox_ != nullptr && inbox_->head_begun;
  return std::min(result, phase_began_ + (begun ? config.head_timeout : config.idle_timeout));
}

void Connection::on_deadline() {
  if (is_closed()) return;
  const Instant now = host_.now();
  if (waits_for_memory()) return mark_dirty();
  if (now < deadline()) {
    host_.set_deadline(slot_, deadline());
    return;
  }
  if (phase_ == Phase::kLingering) return close_now();
  if (!out_.empty() && now >= blocked_since_ + host_.config().write_timeout && !client_takes()) {
    if (is_closed()) return;
    host_.dropped(DropReason::kWriteTimeout);
    return close_now();
  }
  if (is_closed()) return;
  mark_dirty();  // settles, which sets the next deadline
  if (phase_ == Phase::kBody && !continue_due_ && now >= body_due_) {
    return reject(wire::ErrorCode::kRequestTimeout, DropReason::kBodyTimeout);
  }
  if (now >= poll_given_up_at()) {
    host_.dropped(DropReason::kClientGone);
    return close_now();
  }
  if (!in_flight_.empty() || !out_.empty() || phase_ == Phase::kBody) return;
  if (inbox_ != nullptr && inbox_->head_begun) {
    reject(wire::ErrorCode::kRequestTimeout, DropReason::kHeadTimeout);
    return;
  }
  // The client may still be taking what the system has: that is not idle.
  const uint64_t unsent = system_unsent();
  if (unsent > 0 && (system_unsent_ == 0 || unsent < system_unsent_)) {
    system_unsent_ = unsent;
    phase_began_ = now;
    return;
  }
  host_.dropped(DropReason::kIdleTimeout);
  close_or_linger();
}

// Bytes that the system has taken from us and that the client's has not acknowledged.
uint64_t Connection::system_unsent() const {
  int bytes = 0;
  return ::ioctl(socket_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

// Whether a client that seems to be stuck has taken anything. The socket becomes writable only when
// a good part of its buffer is free: for a slow reader that takes longer than it may.
bool Connection::client_takes() {
  bool takes = system_unsent() < system_unsent_;
  const uint64_t before = out_.bytes();
  const Instant since = blocked_since_;
  writable_ = true;
  flush();
  if (is_closed()) return false;
  takes = takes || out_.bytes() < before;
  if (!takes) blocked_since_ = since;
  return takes;
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
  bool owed = false;
  for (InFlight& request : in_flight_) {
    if (!request.submitted || request.answer != nullptr) {
      release_charge(request);
    } else if (request.body_charged > 0) {
      owed = true;
    } else {
      request.submitted = false;
      host_.disconnected(id_of(request), request.owner);
    }
  }
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
  if (owed) return host_.set_deadline(slot_, kNever);
  in_flight_.clear();
  host_.closed(*this);
}

// The answer to a write whose client is gone: it was the last thing to wait for, perhaps.
void Connection::forget(InFlight& request) {
  release_charge(request);
  request.submitted = false;
  for (const InFlight& other : in_flight_) {
    if (other.body_charged > 0) return;
  }
  in_flight_.clear();
  host_.closed(*this);
}

}  // namespace ds::server
