#include "bench/load/live_writer.h"

#include "bench/load/request_loop.h"

namespace ds::bench {

LiveWriter::LiveWriter(EventLoop& loop, const Endpoint& endpoint, const Streams& streams,
                       uint64_t body_bytes, double rate, uint32_t id)
    : loop_(loop),
      connection_(loop, endpoint, *this, id),
      append_(streams, body_bytes),
      plain_(streams.plain()),
      rate_(rate),
      answered_(streams.count()) {
  connection_.open();
}

void LiveWriter::start() {
  running_ = true;
  started_ = now_ns();
  send(started_);
}

void LiveWriter::stop() {
  running_ = false;
  if (rate_ > 0) loop_.set_timer(kNeverNs, *this);
}

void LiveWriter::count_from_now() {
  counting_ = true;
  latency_.clear();
}

int64_t LiveWriter::due_at(uint64_t number) const {
  return started_ + static_cast<int64_t>(static_cast<double>(number) / rate_ *
                                         static_cast<double>(kNsPerSecond));
}

void LiveWriter::send(int64_t due) {
  due_ = due;
  stream_ = static_cast<uint32_t>(number_++ % answered_.size());
  busy_ = true;
  connection_.send(append_.render(stream_, answered_[stream_], due));
}

void LiveWriter::on_timer(int64_t) { send(due_at(number_)); }

void LiveWriter::on_response(Connection& connection, int64_t now) {
  busy_ = false;
  const ResponseHead& head = connection.head();
  if (check_write(head, 204, plain_, wrong_)) {
    ++answered_[stream_];
    if (counting_) latency_.record(now - due_);
  }
  if (head.connection_close) connection.open();
  if (!running_) return;
  if (rate_ <= 0) {
    send(now);
  } else if (due_at(number_) <= now) {
    send(due_at(number_));
  } else {
    loop_.set_timer(due_at(number_), *this);
  }
}

// Whether the append under way was made is unknown now, so the run cannot be judged any further.
void LiveWriter::on_end(Connection&, Connection::End why) {
  if (!busy_) {
    if (running_) connection_.open();
    return;
  }
  busy_ = false;
  running_ = false;
  wrong_.add(why == Connection::End::kMalformed ? Wrong::kMalformed : Wrong::kClosed,
             "the writer's connection ended before its answer");
}

}  // namespace ds::bench
