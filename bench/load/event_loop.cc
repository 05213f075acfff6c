#include "bench/load/event_loop.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bench/load/fail.h"

namespace ds::bench {
namespace {

constexpr int kEventsPerTurnMax = 256;

}  // namespace

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(new char[kReadBytesMax]) {
  if (epoll_ < 0) fail_errno("epoll_create1");
  // The default slack of 50 us would be part of every open-loop latency.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
}

EventLoop::~EventLoop() { ::close(epoll_); }

void EventLoop::add(int fd, EventHandler& handler) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &handler;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail_errno("epoll_ctl");
}

int64_t EventLoop::turn(int64_t until_ns) {
  epoll_event events[kEventsPerTurnMax];
  const int64_t wake = std::min(until_ns, timer_at_);
  const int64_t wait = std::max<int64_t>(0, wake - now_ns());
  const timespec timeout{wait / kNsPerSecond, wait % kNsPerSecond};
  const int count = ::epoll_pwait2(epoll_, events, kEventsPerTurnMax,
                                   wake == kNeverNs ? nullptr : &timeout, nullptr);
  if (count < 0 && errno != EINTR) fail_errno("epoll_pwait2");
  for (int i = 0; i < count; ++i) {
    static_cast<EventHandler*>(events[i].data.ptr)->on_event(events[i].events);
  }
  const int64_t now = now_ns();
  if (now >= timer_at_) {
    timer_at_ = kNeverNs;
    timer_->on_timer(now);
  }
  return now;
}

int64_t EventLoop::run_until(int64_t until_ns) {
  int64_t now = now_ns();
  while (now < until_ns) now = turn(until_ns);
  return now;
}

}  // namespace ds::bench
