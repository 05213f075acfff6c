// A writer that waits for its readers: a round of appends goes out at once, each over a connection
// of its own, and the next round when every reader has had all of them and all are answered.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/load/connection.h"
#include "bench/load/delivery.h"
#include "bench/load/streams.h"

namespace ds::bench {

class RoundWriter : private Connection::Owner, private DeliveryListener {
 public:
  // Connects, as connections number options.readers and on. Borrows the deliveries, and sets how
  // they are judged. REQUIRES: one stream, and 1 <= options.in_flight <= kInFlightMax.
  RoundWriter(EventLoop& loop, const Endpoint& endpoint, const Streams& streams,
              const Options& options, Deliveries& deliveries);
  ~RoundWriter();
  RoundWriter(const RoundWriter&) = delete;
  RoundWriter& operator=(const RoundWriter&) = delete;

  void start();
  void stop() { running_ = false; }
  // The last appends are answered.
  bool drained() const { return unanswered_ == 0; }

  void count_from_now();
  void stop_counting() { counting_ = false; }

  // Appends acknowledged so far; `stream` is 0.
  uint64_t appended(uint32_t) const { return answered_; }
  // Of those acknowledged while counting, from when they were sent.
  const Histogram& latency() const { return latency_; }
  const WrongAnswers& wrong() const { return wrong_; }

 private:
  void on_response(Connection&, int64_t now) override;
  void on_end(Connection&, Connection::End why) override;
  void on_delivered(int64_t now) override;
  void next_round();

  const uint32_t first_id_;
  const uint32_t readers_;
  const bool plain_;
  Deliveries& deliveries_;
  MarkedAppend append_;
  std::vector<std::unique_ptr<Connection>> connections_;
  uint64_t number_ = 0;  // appends sent
  uint64_t answered_ = 0;
  uint32_t unanswered_ = 0;
  bool delivered_ = true;  // all of the round, to all readers
  int64_t sent_at_ = 0;
  bool running_ = false;
  bool counting_ = false;
  Histogram latency_;
  WrongAnswers wrong_;
};

}  // namespace ds::bench
