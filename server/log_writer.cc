#include "server/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "server/thread.h"

namespace ds::server {

namespace {

constexpr size_t kWrittenAtOnce = 64 << 10;
constexpr int kPollMs = 100;
constexpr std::chrono::seconds kPatience{1};  // with a descriptor that takes nothing at the end

}  // namespace

struct LogWriter::State {
  // Fixed.
  int descriptor = -1;
  size_t bytes_max = 0;
  LostLine lost_line;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable ended;
  // Guarded by mutex.
  std::deque<std::string> lines;
  size_t bytes = 0;
  uint64_t lost = 0;
  bool stopping = false;
  bool has_ended = false;
  std::chrono::steady_clock::time_point progress;  // when something was written last

  // What to write next, at most some of what waits. Nothing at the end.
  std::string take();
  bool write_all(std::string_view text);
  bool gave_up();
};

std::string LogWriter::State::take() {
  std::string text;
  uint64_t gone = 0;
  {
    std::unique_lock lock(mutex);
    wake.wait(lock, [this] { return stopping || !lines.empty(); });
    gone = std::exchange(lost, 0);
    while (!lines.empty() && text.size() < kWrittenAtOnce) {
      bytes -= lines.front().size();
      text += lines.front();
      lines.pop_front();
    }
  }
  if (gone > 0) text.insert(0, lost_line(gone));
  return text;
}

bool LogWriter::State::gave_up() {
  const std::lock_guard lock(mutex);
  return stopping && std::chrono::steady_clock::now() - progress > kPatience;
}

// False if the descriptor is of no use, or takes nothing and there is no more time.
bool LogWriter::State::write_all(std::string_view text) {
  while (!text.empty()) {
    pollfd ready{descriptor, POLLOUT, 0};
    if (::poll(&ready, 1, kPollMs) == 0) {
      if (gave_up()) return false;
      continue;
    }
    // A pipe that is ready has room for this much: the write does not block.
    const size_t size = std::min<size_t>(text.size(), PIPE_BUF);
    ssize_t written = ::send(descriptor, text.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == ENOTSOCK) written = ::write(descriptor, text.data(), size);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      if (gave_up()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    text.remove_prefix(static_cast<size_t>(written));
    const std::lock_guard lock(mutex);
    progress = std::chrono::steady_clock::now();
  }
  return true;
}

void LogWriter::run(const std::shared_ptr<State>& state) {
  // Signals are for others, a broken pipe's for nobody.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (;;) {
    const std::string text = state->take();
    if (text.empty()) break;
    // What a broken descriptor does not take is gone; a later line may be luckier.
    if (!state->write_all(text) && state->gave_up()) break;
  }
  const std::lock_guard lock(state->mutex);
  state->has_ended = true;
  state->ended.notify_all();
}

LogWriter::LogWriter(int descriptor, size_t bytes_max, LostLine lost_line)
    : state_(std::make_shared<State>()) {
  state_->descriptor = descriptor;
  state_->bytes_max = bytes_max;
  state_->lost_line = std::move(lost_line);
  thread_ = start_thread([state = state_] { run(state); });
}

LogWriter::~LogWriter() {
  bool ended = false;
  {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    state_->progress = std::chrono::steady_clock::now();
    state_->wake.notify_all();
    // A write that blocks although the descriptor was ready cannot be woken: it is left behind.
    while (!state_->has_ended &&
           std::chrono::steady_clock::now() - state_->progress < 2 * kPatience) {
      state_->ended.wait_for(lock, std::chrono::milliseconds(kPollMs));
    }
    ended = state_->has_ended;
    if (!ended) state_->lost_line = [](uint64_t) { return std::string(); };
  }
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void LogWriter::put(std::string_view line) {
  bool wake = false;
  {
    const std::lock_guard lock(state_->mutex);
    wake = state_->lines.empty();
    state_->lines.emplace_back(line);
    state_->bytes += line.size();
    while (state_->bytes > state_->bytes_max && state_->lines.size() > 1) {
      state_->bytes -= state_->lines.front().size();
      state_->lines.pop_front();
      ++state_->lost;
    }
  }
  if (wake) state_->wake.notify_one();
}

}  // namespace ds::server
