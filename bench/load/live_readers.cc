#include "bench/load/live_readers.h"

#include <chrono>
#include <thread>

#include "bench/load/request_loop.h"

namespace ds::bench {

namespace {

// What a listener's queue has no room for is tried again by the system a second later, which made
// minutes of thousands of readers: servers are left the time to accept some before the next come.
void open_gently(uint32_t opened) {
  constexpr uint32_t kAtOnce = 64;
  constexpr std::chrono::milliseconds kPause{4};
  if (opened % kAtOnce == kAtOnce - 1) std::this_thread::sleep_for(kPause);
}

}  // namespace

void LiveReaders::render(uint32_t reader, std::string_view offset, std::string_view more,
                         std::string& request) const {
  char digits[kStreamDigits];
  uint32_t stream = reader % streams_.count();
  for (char* p = digits + kStreamDigits; p != digits; stream /= 10) {
    *--p = static_cast<char>('0' + stream % 10);
  }
  request.assign("GET ").append(streams_.read_prefix()).append(digits, kStreamDigits);
  if (!streams_.plain()) request.append("?offset=").append(offset).append(more);
  request.append(" HTTP/1.1\r\n");
  if (streams_.plain()) request.append("Accept: text/event-stream\r\n");
  request.append(streams_.host_header()).append("\r\n");
}

void LongPollReaders::start(uint32_t readers) {
  Connection::Owner& owner = *this;
  readers_.resize(readers);
  for (uint32_t i = 0; i < readers; ++i) {
    readers_[i].connection = std::make_unique<Connection>(loop_, endpoint_, owner, i);
    readers_[i].connection->open();
    readers_[i].more = "&live=long-poll";
    poll(readers_[i]);
    open_gently(i);
  }
}

void LongPollReaders::poll(Reader& reader) {
  render(reader.connection->id(), reader.offset, reader.more, reader.request);
  reader.connection->send(reader.request);
}

void LongPollReaders::on_body(Connection& connection, std::string_view bytes) {
  readers_[connection.id()].marks.take(bytes, now_ns(), deliveries_);
}

void LongPollReaders::on_response(Connection& connection, int64_t) {
  Reader& reader = readers_[connection.id()];
  const ResponseHead& head = connection.head();
  const bool timed_out = head.status == 204;
  if (timed_out) ++resumed_;
  // A wrong status is not asked for again: that would only hammer the server.
  if (!timed_out && !check_status(head, 200, deliveries_.wrong)) return;
  if (head.next_offset.empty() || head.cursor.empty()) {
    deliveries_.wrong.add(Wrong::kHeader, "long-poll without Stream-Next-Offset or Stream-Cursor");
    return;
  }
  if (!timed_out && connection.body_bytes() == 0) {
    deliveries_.wrong.add(Wrong::kLength, "a long-poll was answered 200 with nothing");
  }
  reader.offset = head.next_offset;
  reader.more.assign("&live=long-poll&cursor=").append(head.cursor);
  if (head.connection_close) connection.open();
  poll(reader);
}

void LongPollReaders::on_end(Connection& connection, Connection::End why) {
  deliveries_.wrong.add(why == Connection::End::kMalformed ? Wrong::kMalformed : Wrong::kClosed,
                        "instead of a long-poll's answer");
  connection.open();
  poll(readers_[connection.id()]);
}

void SseReaders::start(uint32_t readers) {
  Connection::Owner& owner = *this;
  for (uint32_t i = 0; i < readers; ++i) {
    Reader& reader = readers_.emplace_back(streams_.plain());
    reader.connection = std::make_unique<Connection>(loop_, endpoint_, owner, i);
    connect(reader);
    open_gently(i);
  }
}

void SseReaders::connect(Reader& reader) {
  reader.events.reset();
  reader.connection->open();
  render(reader.connection->id(), reader.offset, "&live=sse", request_);
  reader.connection->send(request_);
}

void SseReaders::on_head(Connection& connection) {
  Reader& reader = readers_[connection.id()];
  if (!check_status(connection.head(), 200, deliveries_.wrong)) {
    reader.given_up = true;
  } else if (streams_.plain()) {
    // There is no control event to wait for.
    if (!reader.ready) ++ready_;
    reader.ready = true;
  }
}

void SseReaders::on_body(Connection& connection, std::string_view bytes) {
  Reader& reader = readers_[connection.id()];
  if (reader.given_up) return;
  const int64_t now = now_ns();
  std::string_view line;
  while (true) {
    switch (reader.events.next(bytes, line)) {
      case SseParser::Step::kNeedMore:
        return;
      case SseParser::Step::kData:
        reader.marks.take(line, now, deliveries_);
        break;
      case SseParser::Step::kControl: {
        const std::string_view offset = json_string_member(line, "\"streamNextOffset\"");
        if (offset.empty()) {
          deliveries_.wrong.add(Wrong::kMalformed, "a control event without streamNextOffset");
          break;
        }
        reader.offset.assign(offset);
        if (!reader.ready) ++ready_;
        reader.ready = true;
        break;
      }
    }
  }
}

void SseReaders::on_response(Connection& connection, int64_t) {
  Reader& reader = readers_[connection.id()];
  if (reader.given_up) return;
  ++resumed_;
  connect(reader);
}

void SseReaders::on_end(Connection& connection, Connection::End why) {
  Reader& reader = readers_[connection.id()];
  if (reader.given_up) return;
  deliveries_.wrong.add(why == Connection::End::kMalformed ? Wrong::kMalformed : Wrong::kClosed,
                        "in the middle of an event stream");
  connect(reader);
}

}  // namespace ds::bench
