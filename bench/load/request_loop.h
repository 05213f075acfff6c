// Requests and answers over a fixed set of connections, one request under way on each.
//
// Closed loop: a connection sends its next request when the last is answered; the latency is what
// the client waited. Open loop: requests become due at a fixed rate, whatever the server does, and
// are sent by any free connection; the latency is measured from when the request was DUE, so that a
// stall is charged to all the requests that it held up (no coordinated omission).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/load/connection.h"
#include "bench/load/histogram.h"
#include "bench/load/wrong_answers.h"

namespace ds::bench {

// What is asked, and what the right answer is.
class Workload {
 public:
  // The next request of that connection, valid until the next call; empty when it has no more.
  virtual std::string_view next_request(uint32_t connection) = 0;
  // The answer to that connection's last request is complete: its head and `body_bytes` of body.
  virtual void judge(uint32_t connection, const ResponseHead& head, uint64_t body_bytes,
                     WrongAnswers& wrong) = 0;

 protected:
  ~Workload() = default;
};

// Adds kStatus to `wrong` unless the status is the wanted one. Returns whether it is.
bool check_status(const ResponseHead& head, int wanted, WrongAnswers& wrong);

// The same for a write, with its header: a plain server may answer any 2xx, without.
bool check_write(const ResponseHead& head, int wanted, bool plain, WrongAnswers& wrong);

class RequestLoop : private Connection::Owner, private TimerHandler {
 public:
  // Connects. Borrows the loop and the endpoint.
  RequestLoop(EventLoop& loop, const Endpoint& endpoint, uint32_t connections);

  // Runs a workload that ends by itself, in a closed loop. Unanswered requests are given up after
  // `patience_ns` without any answer.
  void run_to_end(Workload& workload, int64_t patience_ns);

  // Starts an endless workload; `rate` per second, 0 for a closed loop. Runs while the loop does.
  void start(Workload& workload, double rate);
  // Sends no more. drained() tells when the last is answered.
  void stop();
  bool drained() const { return under_way_ == 0; }
  // Counts what is still under way as unanswered.
  void give_up();

  // Only while counting is on do answers count as completed; wrong ones count always.
  void count_from_now();
  void stop_counting() { counting_ = false; }
  const Histogram& latency() const { return latency_; }
  uint64_t completed() const { return latency_.count(); }
  uint64_t body_bytes() const { return body_bytes_; }
  // Open loop: requests that should have been sent by now and were not, as no connection was free.
  // They are in no latency.
  uint64_t overdue(int64_t now) const;
  WrongAnswers& wrong() { return wrong_; }

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    int64_t since = 0;  // when the request under way was sent, or due in the open loop
    bool busy = false;
  };

  void on_response(Connection&, int64_t now) override;
  void on_end(Connection&, Connection::End why) override;
  void on_timer(int64_t now) override;

  // The slot is free: sends its next request, if there is one.
  void go_on(Slot& slot, int64_t now);
  void send(Slot& slot, int64_t since);
  int64_t due_at(uint64_t number) const;
  void arm_timer();

  EventLoop& loop_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;  // open loop: slots that wait for a request to become due
  Workload* workload_ = nullptr;
  uint32_t under_way_ = 0;
  bool running_ = false;
  bool counting_ = false;
  double rate_ = 0;
  int64_t started_ = 0;
  uint64_t next_due_ = 0;  // the number of the next request to send, open loop
  uint64_t body_bytes_ = 0;
  uint64_t answers_ = 0;
  Histogram latency_;
  WrongAnswers wrong_;
};

}  // namespace ds::bench
