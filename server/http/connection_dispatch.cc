// Connection: from requests to engines.
#include <utility>

#include "core/wire/stream_path.h"
#include "server/http/connection.h"

namespace ds::server {

namespace {

// What a write costs beside its body while it waits for its commit, roughly.
constexpr uint64_t kWriteBytes = 512;
constexpr std::string_view kReadMethods = "GET, HEAD, OPTIONS";

}  // namespace

Connection::Overlap Connection::overlap_of(const RequestHead& head) const {
  switch (head.text.method) {
    case wire::Method::kGet:
      return asks_for_live(inbox_->target.query) ? Overlap::kNone : Overlap::kReads;
    case wire::Method::kHead:
      return Overlap::kReads;
    case wire::Method::kPost:
      return Overlap::kAppends;
    default:
      return Overlap::kNone;
  }
}

// Bytes of answers that are queued or, as far as can be guessed, on their way.
uint64_t Connection::answers_ahead() const {
  uint64_t bytes = out_.bytes();
  for (const InFlight& request : in_flight_) {
    bytes += request.answer != nullptr ? request.answer->body_bytes() : request.answer_guessed;
  }
  return bytes;
}

// Whether the request at the front of the inbox may begin beside those in flight.
bool Connection::may_start() const {
  if (answers_ahead() > kAnswersAheadMax) return false;
  if (in_flight_.empty()) return true;
  if (in_flight_.size() >= host_.config().pipeline_max) return false;
  const InFlight& last = in_flight_.back();
  const Overlap overlap = overlap_of(inbox_->parser.head());
  if (overlap == Overlap::kNone || last.overlap != overlap) return false;
  if (overlap == Overlap::kReads) return true;
  // Appends are decided in order only within one engine.
  if (inbox_->route != Route::kStream || !last.submitted) return false;
  const auto path = wire::parse_stream_path(inbox_->target.path, host_.path_scratch());
  return path.ok() && host_.owner_of(*path) == last.owner;
}

std::string_view Connection::request_body() const {
  if (!inbox_->body_in_place) return inbox_->body.view();
  const uint64_t length = inbox_->parser.head().content_length.value_or(0);
  return inbox_->unread().substr(0, static_cast<size_t>(length));
}

void Connection::dispatch() {
  Inbox& inbox = *inbox_;
  const RequestHead& head = inbox.parser.head();
  InFlight request;
  request.serial = next_serial_++;
  request.route = inbox.route;
  request.overlap = overlap_of(head);
  request.head_only = head.text.method == wire::Method::kHead;
  request.http11 = head.http11;
  request.close = !head.keep_alive || host_.draining();
  request.started = host_.now();
  request.method = head.text.method;
  const bool logged = host_.config().access_log;
  if (logged || !head.request_id.empty()) {
    request.noted = std::make_unique<Noted>();
    request.noted->request_id = head.request_id;
    if (logged) {
      request.noted->method = head.method;
      request.noted->path = inbox.target.path;
    }
  }
  const bool is_write = head.text.method == wire::Method::kPost ||
                        head.text.method == wire::Method::kPut ||
                        head.text.method == wire::Method::kDelete;
  bool affordable = true;
  if (is_write) {
    const uint64_t more = kWriteBytes + (inbox.body_in_place ? request_body().size() : 0);
    affordable = host_.charge_body(more);
    request.body_charged = std::exchange(inbox.body_charged, 0) + (affordable ? more : 0);
  }
  if (request.overlap == Overlap::kReads && !request.head_only) {
    request.answer_guessed = host_.config().chunk_bytes_max;
  }
  const uint32_t serial = request.serial;
  if (request.close) closing_ = true;
  continue_due_ = false;
  in_flight_.push_back(std::move(request));

  if (!affordable) {
    host_.dropped(DropReason::kBodyMemory);
    answer(serial, wire::error_response(wire::ErrorCode::kOverloaded), {});
  } else if (head.text.method == wire::Method::kOptions && inbox.route != Route::kNone) {
    answer_options();
  } else if (inbox.route == Route::kStream) {
    dispatch_stream(serial);
  } else {
    dispatch_local(serial);
  }

  if (inbox.body_in_place) inbox.begin += request_body().size();
  release_body();
  phase_ = Phase::kHead;
}

void Connection::dispatch_stream(uint32_t serial) {
  Inbox& inbox = *inbox_;
  RequestHead& head = inbox.parser.head();
  wire::RequestText& text = head.text;
  const auto path = wire::parse_stream_path(inbox.target.path, host_.path_scratch());
  if (!path.ok()) return answer(serial, wire::error_response(path.error()), {});
  if (text.method == wire::Method::kOther) {
    return answer(serial, wire::error_response(wire::ErrorCode::kMethodNotAllowed), {});
  }
  text.path = *path;
  text.query = inbox.target.query;
  text.raw_path = inbox.target.path;
  text.body = request_body();
  if (text.method == wire::Method::kPut) {
    build_origin(host_.origin_scratch(), head, inbox.target.authority, peer_.trusted);
    text.origin = host_.origin_scratch();
  }
  if (text.method == wire::Method::kGet && host_.answer_memory().exhausted()) {
    host_.dropped(DropReason::kAnswerMemory);
    return answer(serial, wire::error_response(wire::ErrorCode::kOverloaded), {});
  }
  InFlight& request = in_flight_.back();
  request.owner = static_cast<uint8_t>(host_.owner_of(*path));
  request.submitted = true;
  request.live = text.method == wire::Method::kGet && asks_for_live(text.query);
  host_.submit(id_of(request), request.owner, text);
}

void Connection::dispatch_local(uint32_t serial) {
  const wire::Method method = inbox_->parser.head().text.method;
  const Route route = inbox_->route;
  if (route == Route::kNone) {
    return answer(serial, wire::error_response(wire::ErrorCode::kNotFound), {});
  }
  if (method != wire::Method::kGet && method != wire::Method::kHead) {
    wire::Response response = wire::error_response(wire::ErrorCode::kMethodNotAllowed);
    response.allow_stream_methods = false;
    return answer(serial, std::move(response), kReadMethods);
  }
  if (route == Route::kHealth) {
    return respond_text(serial, "application/json", "{\"status\":\"ok\"}", 200);
  }
  if (route == Route::kStreams) {
    auto listing = wire::parse_list_request(inbox_->target.path, inbox_->target.query);
    if (!listing.ok()) return answer(serial, wire::error_response(listing.error()), {});
    return host_.submit_listing(id_of(in_flight_.back()), std::move(*listing));
  }
  host_.submit_status(id_of(in_flight_.back()), route);
}

void Connection::answer_options() {
  // Nothing overlaps with OPTIONS: it is at the front.
  InFlight& request = in_flight_.front();
  host_.writer().append_preflight(out_.begin_text(), request.request_id(), request.close);
  out_.end_text();
  finish_request(request, 204, 0);
  pop_front();
  mark_dirty();
}

}  // namespace ds::server
