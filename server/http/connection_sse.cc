// Connection: an SSE response, and what happens when its reader is slow.
#include <charconv>

#include "server/http/connection.h"

namespace ds::server {

namespace {

constexpr size_t kCopiedMax = 2048;

void append_chunk_size(std::string& out, size_t size) {
  char digits[16];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, size, 16);
  static_cast<void>(error);  // 16 digits hold every size
  out.append(digits, end);
  out += "\r\n";
}

}  // namespace

void Connection::append_chunk(std::string& out, std::string_view frame) {
  append_chunk_size(out, frame.size());
  out += frame;
  out += "\r\n";
}

void Connection::open_sse(uint32_t serial, const wire::Response& head, Position position) {
  InFlight* request = find(serial);
  if (request == nullptr || is_closed()) return;
  // A read that may be live never overlaps, so it is at the front.
  if (request != &in_flight_.front()) return close_now();
  request->live = true;
  ResponseWriter::Framing framing;
  framing.request_id = request->request_id();
  framing.close = request->close || !request->http11;
  framing.chunked = request->http11;
  framing.until_close = !request->http11;
  host_.writer().append_head(out_.begin_text(), head, framing);
  out_.end_text();
  if (framing.close) closing_ = true;
  sse_ = Sse{};
  sse_.open = true;
  sse_.serial = serial;
  sse_.chunked = request->http11;
  sse_.accepted = position;
  finish_request(*request, head.status, 0);
  mark_dirty();
}

void Connection::send_sse(uint32_t serial, const SseFrame& frame) {
  if (!sse_.open || sse_.serial != serial) return;
  if (sse_.dropping) {
    if (frame.begin != sse_.accepted) return;
    sse_.dropping = false;
  }
  if (frame.when == SseFrame::When::kAtOnce && out_.empty() && writable_ && !frame.pulled &&
      !frame.chunk.bytes.empty() && sse_.chunked) {
    sse_.accepted = frame.end;
    return send_at_once(frame.chunk);
  }
  const std::string_view bytes = frame.frame.bytes;
  if (!frame.pulled && !out_.empty()) {
    // Nothing has to keep a connection alive that has not even taken what it was sent.
    if (bytes.starts_with(':')) return;
    const bool pressed = host_.answer_memory().exhausted();
    const uint64_t bound = pressed ? 0 : host_.config().sse_queue_bytes;
    const bool advances = frame.begin != frame.end;
    if (advances && out_.bytes() + bytes.size() > bound) flush();
    if (is_closed()) return;
    if (advances && !out_.empty() && out_.bytes() + bytes.size() > bound) {
      sse_.dropping = true;
      sse_.ready_due = true;
      host_.reader_lagging(id_of(in_flight_.front()), in_flight_.front().owner, sse_.accepted);
      return;
    }
  }
  if (!sse_.chunked) {
    out_.append_shared(frame.frame);
  } else if (!frame.chunk.bytes.empty()) {
    out_.append_shared(frame.chunk);
  } else if (bytes.size() <= kCopiedMax) {
    append_chunk(out_.begin_text(), bytes);
    out_.end_text();
  } else {
    append_chunk_size(out_.begin_text(), bytes.size());
    out_.end_text();
    out_.append_shared(frame.frame);
    out_.append_text("\r\n");
  }
  sse_.accepted = frame.end;
  if (frame.pulled) sse_.ready_due = true;
  mark_dirty();
}

// To a reader that has taken all before: its connection need not be looked at a second time when
// the turn ends, unless something is left.
void Connection::send_at_once(const Slice& bytes) {
  on_sent(out_.send_first(socket_, bytes));
  if (!out_.empty()) mark_dirty();
}

void Connection::end_sse(uint32_t serial) {
  if (!sse_.open || sse_.serial != serial) return;
  sse_.open = false;
  if (sse_.chunked) {
    out_.append_text("0\r\n\r\n");
  } else {
    closing_ = true;
  }
  pop_front();
  emit_ready_answers();
  mark_dirty();
}

}  // namespace ds::server
