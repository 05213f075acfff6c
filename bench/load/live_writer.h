// The writer of the live scenarios: marked appends over one connection to all streams in turn,
// paced (each has the time when it was due, however late it goes out) or each after the last.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/load/connection.h"
#include "bench/load/delivery.h"
#include "bench/load/streams.h"

namespace ds::bench {

class LiveWriter : private Connection::Owner, private TimerHandler {
 public:
  // Connects, as connection number `id`. `rate` per second; 0: closed loop.
  LiveWriter(EventLoop& loop, const Endpoint& endpoint, const Streams& streams, uint64_t body_bytes,
             double rate, uint32_t id);

  void start();
  void stop();
  // The last append is answered.
  bool drained() const { return !busy_; }

  void count_from_now();
  void stop_counting() { counting_ = false; }

  // Appends acknowledged to a stream so far.
  uint64_t appended(uint32_t stream) const { return answered_[stream]; }
  // Of those acknowledged while counting, from when they were due.
  const Histogram& latency() const { return latency_; }
  const WrongAnswers& wrong() const { return wrong_; }

 private:
  void on_response(Connection&, int64_t now) override;
  void on_end(Connection&, Connection::End why) override;
  void on_timer(int64_t now) override;
  void send(int64_t due);
  int64_t due_at(uint64_t number) const;

  EventLoop& loop_;
  Connection connection_;
  MarkedAppend append_;
  const bool plain_;
  const double rate_;
  std::vector<uint64_t> answered_;
  uint64_t number_ = 0;  // appends sent, over all streams
  int64_t started_ = 0;
  int64_t due_ = 0;  // of the append under way
  uint32_t stream_ = 0;
  bool busy_ = false;
  bool running_ = false;
  bool counting_ = false;
  Histogram latency_;
  WrongAnswers wrong_;
};

}  // namespace ds::bench
