// One thread's epoll loop, with one timer.
#pragma once

#include <cstdint>
#include <memory>

#include "bench/load/clock.h"

namespace ds::bench {

// Something with a socket. Its owner keeps it alive while its socket is registered, and until the
// loop's current turn is over.
class EventHandler {
 public:
  virtual void on_event(uint32_t epoll_events) = 0;

 protected:
  ~EventHandler() = default;
};

class TimerHandler {
 public:
  // `now` is at or after the time that was set. The timer is off until it is set again.
  virtual void on_timer(int64_t now) = 0;

 protected:
  ~TimerHandler() = default;
};

class EventLoop {
 public:
  // What one read can return at most. All connections share the buffer.
  static constexpr uint32_t kReadBytesMax = 256 * 1024;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Registers for both directions, edge-triggered, so that no later system call is needed. Closing
  // the socket takes it out again.
  void add(int fd, EventHandler& handler);

  // There is one timer: setting it replaces what was set before. kNeverNs turns it off.
  void set_timer(int64_t at_ns, TimerHandler& handler) {
    timer_at_ = at_ns;
    timer_ = &handler;
  }
  bool timer_is_set() const { return timer_at_ != kNeverNs; }

  // Serves events until the time has come. Returns the time.
  int64_t run_until(int64_t until_ns);

  // Serves events until `done()`, or until the time has come. Returns whether it was done.
  template <typename Done>
  bool run_until_done(Done done, int64_t until_ns) {
    while (!done()) {
      if (turn(until_ns) >= until_ns) return done();
    }
    return true;
  }

  char* read_buffer() { return buffer_.get(); }

 private:
  // Waits for events at most until then, and serves them. Returns the time.
  int64_t turn(int64_t until_ns);

  int epoll_ = -1;
  int64_t timer_at_ = kNeverNs;
  TimerHandler* timer_ = nullptr;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace ds::bench
