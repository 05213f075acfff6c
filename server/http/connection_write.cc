// Connection: from answers to bytes, in the order of the requests.
#include <utility>

#include "server/http/connection.h"
#include "server/http/file_twin.h"
#include "server/http/send_cache.h"

namespace ds::server {

namespace {

std::string_view method_name(wire::Method method) {
  switch (method) {
    case wire::Method::kGet:
      return "GET";
    case wire::Method::kHead:
      return "HEAD";
    case wire::Method::kPut:
      return "PUT";
    case wire::Method::kPost:
      return "POST";
    case wire::Method::kDelete:
      return "DELETE";
    case wire::Method::kOptions:
      return "OPTIONS";
    case wire::Method::kOther:
      break;
  }
  return "other";
}

}  // namespace

Connection::InFlight* Connection::find(uint32_t serial) {
  if (in_flight_.empty()) return nullptr;
  const uint32_t index = serial - in_flight_.front().serial;
  return index < in_flight_.size() ? &in_flight_[index] : nullptr;
}

void Connection::respond(uint32_t serial, wire::Response&& response) {
  answer(serial, std::move(response), {});
}

void Connection::respond_text(uint32_t serial, std::string_view content_type, std::string text,
                              uint16_t status) {
  wire::Response response;
  response.status = status;
  response.content_type = Slice::of_static(content_type);
  response.body.emplace_back(share(std::move(text)));
  answer(serial, std::move(response), {});
}

void Connection::answer(uint32_t serial, wire::Response&& response, std::string_view allow) {
  InFlight* request = find(serial);
  if (request == nullptr || request->answer != nullptr) return;
  if (is_closed()) {
    if (request->body_charged > 0) forget(*request);
    return;
  }
  release_charge(*request);
  if (request != &in_flight_.front() || sse_.open) {
    request->answer = std::make_unique<wire::Response>(std::move(response));
    return;
  }
  emit(*request, response, allow);
  pop_front();
  emit_ready_answers();
  mark_dirty();
}

void Connection::emit_ready_answers() {
  while (!sse_.open && !in_flight_.empty() && in_flight_.front().answer != nullptr) {
    emit(in_flight_.front(), *in_flight_.front().answer, {});
    pop_front();
  }
}

void Connection::emit(InFlight& request, const wire::Response& response, std::string_view allow) {
  ResponseWriter::Framing framing;
  framing.request_id = request.request_id();
  framing.allow = allow;
  framing.head_only = request.head_only;
  framing.close = request.close;
  host_.writer().append_head(out_.begin_text(), response, framing);
  out_.end_text();
  const bool with_body = !request.head_only && response.error == wire::ErrorCode::kNone &&
                         response.status != 204 && response.status != 304;
  if (with_body) {
    for (const Slice& slice : response.body) append_body(slice);
  }
  finish_request(request, response.status, with_body ? response.body_bytes() : 0);
}

// Large ones are sent from a file if one has them: the system need not copy them then.
void Connection::append_body(const Slice& slice) {
  const bool large = slice.owner != nullptr && slice.bytes.size() >= kTwinBytesMin;
  if (!large) return out_.append(slice);
  FileTwinPtr twin = twin_of(slice.owner);
  // Copies are of whole bodies.
  const bool most = slice.bytes.size() >= slice.owner->size() / 2;
  if (twin == nullptr && most) twin = host_.send_cache().copy_of(slice.owner, host_.now());
  out_.append_twinned(slice, std::move(twin));
}

void Connection::finish_request(const InFlight& request, uint16_t status, uint64_t body_bytes) {
  AnsweredRequest answered;
  answered.route = request.route;
  answered.method = method_name(request.method);
  answered.status = status;
  answered.body_bytes = body_bytes;
  if (request.noted != nullptr && !request.noted->path.empty()) {
    answered.method = request.noted->method;
    answered.path = request.noted->path;
    if (peer_.address != nullptr) answered.peer = *peer_.address;
    answered.started = request.started;
    answered.request_id = host_.writer().last_request_id();
  }
  host_.answered(answered);
}

void Connection::release_charge(InFlight& request) {
  if (request.body_charged > 0) host_.release_body(request.body_charged);
  request.body_charged = 0;
}

void Connection::pop_front() {
  release_charge(in_flight_.front());
  in_flight_.erase(in_flight_.begin());
  if (in_flight_.empty()) phase_began_ = host_.now();
}

void Connection::flush() {
  if (out_.empty() || !writable_) return;
  on_sent(out_.send(socket_));
}

void Connection::on_sent(OutputQueue::Sent sent) {
  switch (sent) {
    case OutputQueue::Sent::kAll:
      // The client has all that it asked for: from now on it is idle.
      if (in_flight_.empty()) phase_began_ = host_.now();
      system_unsent_ = 0;
      return;
    case OutputQueue::Sent::kBlocked:
      writable_ = false;
      // Blocked until now means that it has just begun, or that something went out.
      blocked_since_ = host_.now();
      system_unsent_ = system_unsent();
      return;
    case OutputQueue::Sent::kBroken:
      if (!in_flight_.empty()) host_.dropped(DropReason::kClientGone);
      close_now();
      return;
  }
}

}  // namespace ds::server
