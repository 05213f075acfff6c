#include "bench/load/round_writer.h"

#include "bench/load/request_loop.h"

namespace ds::bench {

RoundWriter::RoundWriter(EventLoop& loop, const Endpoint& endpoint, const Streams& streams,
                         const Options& options, Deliveries& deliveries)
    : first_id_(options.readers),
      readers_(options.readers),
      plain_(options.plain),
      deliveries_(deliveries),
      append_(streams, options.body_bytes) {
  Connection::Owner& owner = *this;
  for (uint32_t i = 0; i < options.in_flight; ++i) {
    connections_.push_back(std::make_unique<Connection>(loop, endpoint, owner, first_id_ + i));
    connections_.back()->open();
  }
  deliveries_.round = options.in_flight;
  deliveries_.listener = this;
}

RoundWriter::~RoundWriter() { deliveries_.awaited = UINT64_MAX; }

void RoundWriter::start() {
  running_ = true;
  next_round();
}

void RoundWriter::count_from_now() {
  counting_ = true;
  latency_.clear();
}

void RoundWriter::next_round() {
  if (!running_ || unanswered_ > 0 || !delivered_) return;
  delivered_ = false;
  unanswered_ = static_cast<uint32_t>(connections_.size());
  deliveries_.awaited = deliveries_.count + uint64_t{unanswered_} * readers_;
  sent_at_ = now_ns();
  for (const auto& connection : connections_) {
    connection->send(append_.render(0, number_++, sent_at_));
  }
}

void RoundWriter::on_delivered(int64_t) {
  delivered_ = true;
  next_round();
}

void RoundWriter::on_response(Connection& connection, int64_t now) {
  --unanswered_;
  if (check_write(connection.head(), 204, plain_, wrong_)) {
    ++answered_;
    if (counting_) latency_.record(now - sent_at_);
  }
  if (connection.head().connection_close) connection.open();
  next_round();
}

// Whether the append under way was made is unknown now, so the run cannot be judged any further.
void RoundWriter::on_end(Connection&, Connection::End) {
  wrong_.add(Wrong::kClosed, "instead of an answer to an append");
  running_ = false;
}

}  // namespace ds::bench
