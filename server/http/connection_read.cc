// Connection: from bytes to requests.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "server/http/connection.h"

namespace ds::server {

namespace {
constexpr size_t kBytesPerTurn = 1 << 20;  // read from one connection before others get theirs
constexpr uint64_t kDiscardMax = 4 << 20;  // of a refused request, before it is cut off
constexpr size_t kBodyStep = 64 << 10;
}  // namespace

bool Connection::can_read() const {
  if (input_ended_) return false;
  if (phase_ == Phase::kLingering || phase_ == Phase::kBody) return true;
  if (closing_ || out_.bytes() > kAnswersAheadMax) return false;
  if (inbox_ == nullptr) return true;
  if (phase_ == Phase::kReady) return inbox_->room() > 0;  // a parsed head must not move
  return inbox_->end - inbox_->begin < inbox_->capacity;
}

void Connection::read_input() {
  size_t taken = 0;
  while (readable_ && !is_closed() && can_read()) {
    if (phase_ == Phase::kLingering) return discard_input();
    const size_t bytes = read_once();
    if (bytes == 0) return;
    process_input();
    taken += bytes;
    if (taken >= kBytesPerTurn) return;  // settle() asks for another turn
  }
  // Nobody takes answers any more, and there is no room to find that out by reading.
  if (torn_ && !is_closed() && !can_read()) {
    if (!in_flight_.empty()) host_.dropped(DropReason::kClientGone);
    close_now();
  }
}

// Receives once. Returns the number of bytes; 0 if there was nothing, or the connection is gone.
size_t Connection::read_once() {
  if (inbox_ == nullptr) inbox_ = host_.inboxes().take();
  Inbox& inbox = *inbox_;
  char* to = nullptr;
  size_t room = 0;
  const bool direct = phase_ == Phase::kBody && !inbox.parser.head().chunked;
  if (direct) {
    const uint64_t missing = *inbox.parser.head().content_length - inbox.body.size();
    // Not before what there is has been filled: a body that trickles in has one step, not two.
    const bool full = inbox.body.size() == inbox.body.capacity();
    if (full && !grow_body(std::min<uint64_t>(missing, kBodyStep))) return 0;
    to = inbox.body.end();
    room =
        static_cast<size_t>(std::min<uint64_t>(missing, inbox.body.capacity() - inbox.body.size()));
  } else {
    if (phase_ == Phase::kHead && inbox.room() < Inbox::kRoomMin) inbox.compact();
    to = inbox.data.get() + inbox.end;
    room = inbox.room();
  }
  ssize_t received = 0;
  do {
    received = ::recv(socket_, to, room, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    readable_ = false;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (!in_flight_.empty()) host_.dropped(DropReason::kClientGone);
    close_now();
    return 0;
  }
  if (received == 0) {
    on_end_of_input();
    return 0;
  }
  const auto bytes = static_cast<size_t>(received);
  // A short read has emptied the socket; what comes later makes a new edge. An end that has been
  // signalled already makes none.
  if (bytes < room && !hung_up_) readable_ = false;
  if (phase_ == Phase::kBody) earn_time(bytes);
  if (direct) {
    inbox.body.added(bytes);
  } else {
    inbox.end += bytes;
  }
  return bytes;
}

// A steady sender is never cut off; a trickle is, and so is one that was quick and has stopped.
void Connection::earn_time(size_t bytes) {
  const Config& config = host_.config();
  const uint64_t earned_us =
      bytes * uint64_t{1000000} / std::max<uint64_t>(config.body_min_rate, 1);
  body_due_ = std::min(body_due_ + Duration{static_cast<int64_t>(earned_us)},
                       host_.now() + config.body_timeout);
}

void Connection::discard_input() {
  static thread_local char scratch[64 << 10];
  while (readable_) {
    const ssize_t received = ::recv(socket_, scratch, sizeof scratch, MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      return;
    }
    if (received > 0) discarded_ += static_cast<uint64_t>(received);
    if (received <= 0 || discarded_ > kDiscardMax) return close_now();
  }
}

// The client has closed its side. It may still wait for answers, but not for live data: settle()
// and on_deadline() see to that.
void Connection::on_end_of_input() {
  readable_ = false;
  input_ended_ = true;
  if (!std::exchange(hung_up_, true)) hung_up_at_ = host_.now();
  if (in_flight_.empty() && phase_ != Phase::kReady && out_.empty()) close_now();
}

void Connection::process_input() {
  while (!is_closed() && inbox_ != nullptr && !closing_) {
    switch (phase_) {
      case Phase::kHead:
        if (!step_head()) return;
        break;
      case Phase::kBody:
        if (!step_body()) return;
        break;
      case Phase::kReady:
        if (!may_start()) return;
        dispatch();
        break;
      case Phase::kLingering:
        return;
    }
  }
}

bool Connection::step_head() {
  Inbox& inbox = *inbox_;
  if (!inbox.head_begun) {
    // Blank lines before a request are tolerated (RFC 9112 §2.2).
    while (inbox.unread().starts_with("\r\n")) inbox.begin += 2;
    if (inbox.empty() || inbox.unread() == "\r") return false;
    inbox.head_begun = true;
    inbox.parser.reset();
    phase_began_ = host_.now();
  }
  switch (inbox.parser.parse_head(inbox.unread())) {
    case RequestParser::Status::kNeedMore:
      return false;
    case RequestParser::Status::kFailed:
      reject(inbox.parser.problem(), DropReason::kBadRequest);
      return false;
    case RequestParser::Status::kDone:
      break;
  }
  return begin_request();
}

// The head is there. False if the request has been refused.
bool Connection::begin_request() {
  Inbox& inbox = *inbox_;
  const RequestHead& head = inbox.parser.head();
  const auto target = split_target(head.text.method, head.target);
  if (!target) {
    reject(wire::ErrorCode::kMalformedRequest, DropReason::kBadRequest);
    return false;
  }
  const uint64_t length = head.content_length.value_or(0);
  if (length > host_.config().body_bytes_max) {
    reject(wire::ErrorCode::kBodyTooLarge, DropReason::kBadRequest);
    return false;
  }
  const size_t behind = inbox.end - inbox.begin - inbox.parser.head_bytes();
  const bool whole = !head.chunked && behind >= length;
  if (!whole && inbox.begin > 0) {
    // The rest of the body needs the room, and the parsed head must not move after this.
    inbox.compact();
    inbox.parser.reset();
    if (inbox.parser.parse_head(inbox.unread()) != RequestParser::Status::kDone) return false;
    return begin_request();
  }
  inbox.target = *target;
  inbox.route = route_of(target->path);
  inbox.head_begun = false;
  inbox.begin += inbox.parser.head_bytes();
  inbox.body_begin = inbox.begin;
  inbox.body_in_place = whole;
  if (!whole) return begin_body();
  phase_ = Phase::kReady;
  return true;
}

bool Connection::begin_body() {
  Inbox& inbox = *inbox_;
  phase_ = Phase::kBody;
  body_due_ = host_.now() + host_.config().body_timeout;
  continue_due_ = inbox.parser.head().expects_continue && inbox.empty();
  if (inbox.parser.head().chunked) {
    inbox.chunks = ChunkDecoder(host_.config().body_bytes_max);
    return true;
  }
  if (!grow_body(inbox.end - inbox.begin)) return false;
  inbox.body.append(inbox.unread());
  inbox.begin = inbox.end = inbox.body_begin;
  return true;
}

// True once the body is complete.
bool Connection::step_body() {
  Inbox& inbox = *inbox_;
  if (!inbox.parser.head().chunked) {
    if (inbox.body.size() < *inbox.parser.head().content_length) return false;
    phase_ = Phase::kReady;
    return true;
  }
  std::string_view rest = inbox.unread();
  if (!grow_body(rest.size())) return false;
  const ChunkDecoder::Status status = inbox.chunks.decode(rest, inbox.body);
  inbox.begin = inbox.end - rest.size();
  if (status == ChunkDecoder::Status::kFailed) {
    reject(inbox.chunks.problem(), DropReason::kBadRequest);
    return false;
  }
  if (status == ChunkDecoder::Status::kNeedMore) {
    inbox.begin = inbox.end = inbox.body_begin;
    return false;
  }
  phase_ = Phase::kReady;
  return true;
}

// Makes room for `bytes` more of the body, doubling what there is: memory follows what was really
// sent, not what was announced. False if the request had to be refused.
bool Connection::grow_body(uint64_t bytes) {
  Inbox& inbox = *inbox_;
  const uint64_t needed = inbox.body.size() + bytes;
  if (needed <= inbox.body.capacity()) return true;
  uint64_t target = std::max<uint64_t>({needed, inbox.body.capacity() * 2, kBodyStep});
  const auto& length = inbox.parser.head().content_length;
  if (length) target = std::max(needed, std::min(target, *length));
  const uint64_t more = target - inbox.body.capacity();
  if (!host_.charge_body(more)) {
    reject(wire::ErrorCode::kOverloaded, DropReason::kBodyMemory);
    return false;
  }
  inbox.body_charged += more;
  inbox.body.reserve(static_cast<size_t>(target));
  return true;
}

void Connection::release_body() {
  if (inbox_->body_charged > 0) host_.release_body(inbox_->body_charged);
  inbox_->body_charged = 0;
  if (inbox_->body.capacity() > 0) inbox_->body.clear();
}

void Connection::release_inbox() {
  if (inbox_ == nullptr || phase_ != Phase::kHead || !inbox_->empty()) return;
  host_.inboxes().give(std::move(inbox_));
}

// Method and path of the request that is being received, as far as they have come: for the access
// log. "-" for what has not.
Connection::Noted Connection::describe_unfinished() const {
  constexpr size_t kBytesMax = 1024;
  Noted result{"", "-", "-"};
  if (inbox_ == nullptr) return result;
  if (phase_ == Phase::kBody) {
    return {"", std::string(inbox_->parser.head().method), std::string(inbox_->target.path)};
  }
  std::string_view line = inbox_->unread().substr(0, kBytesMax);
  line = line.substr(0, line.find_first_of("\r\n"));
  const size_t space = line.find(' ');
  if (space == 0 || line.empty()) return result;
  result.method = line.substr(0, space);
  if (space == std::string_view::npos) return result;
  std::string_view target = line.substr(space + 1);
  target = target.substr(0, target.find_first_of("?# "));
  if (const size_t scheme = target.find("://"); scheme != std::string_view::npos) {
    const size_t path = target.find('/', scheme + 3);
    target = path == std::string_view::npos ? std::string_view() : target.substr(path);
  }
  if (!target.empty()) result.path = target;
  return result;
}

// Answers with an error after the answers that are due before it, and closes: what comes behind a
// request that could not be understood cannot be trusted.
void Connection::reject(wire::ErrorCode code, DropReason reason) {
  host_.dropped(reason);
  InFlight request;
  request.serial = next_serial_++;
  request.started = host_.now();
  request.close = true;
  if (host_.config().access_log) {
    request.noted = std::make_unique<Noted>(describe_unfinished());
  }
  request.answer = std::make_unique<wire::Response>(wire::error_response(code));
  in_flight_.push_back(std::move(request));
  closing_ = true;
  linger_ = true;
  continue_due_ = false;
  phase_ = Phase::kHead;
  if (inbox_ != nullptr) {
    release_body();
    inbox_->begin = inbox_->end = 0;
    inbox_->head_begun = false;
  }
  emit_ready_answers();
  mark_dirty();
}

}  // namespace ds::server
