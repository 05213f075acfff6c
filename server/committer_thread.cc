#include "server/committer_thread.h"

#include <chrono>

#include "server/log.h"
#include "server/thread.h"

namespace ds::server {

namespace {
constexpr std::chrono::seconds kRetryPause{1};  // after a generation could not be prepared
}  // namespace

CommitterThread::CommitterThread(store::Committer& committer, store::OpLog& log, Ballast& ballast,
                                 const Clock& clock)
    : committer_(committer),
      log_(log),
      ballast_(ballast),
      clock_(clock),
      wanted_(log.wants_next_generation()),
      preparing_(start_thread([this] { prepare(); })),
      committing_(start_thread([this] { commit(); })) {}

CommitterThread::~CommitterThread() { stop(); }

void CommitterThread::stop() {
  if (!committing_.joinable()) return;
  committer_.stop();
  committing_.join();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  preparing_.join();
}

void CommitterThread::commit() {
  while (committer_.wait(seconds(1))) {
    committer_.run_once(clock_.now());
    ask_for_generation();
  }
}

void CommitterThread::commit_in_place() {
  if (committer_.try_run(clock_.now())) ask_for_generation();
}

void CommitterThread::ask_for_generation() {
  if (!log_.wants_next_generation()) return;
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  wake_.notify_all();
}

void CommitterThread::prepare() {
  bool failed_before = false;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return wanted_ || stopped_; });
      if (stopped_) return;
      wanted_ = false;
    }
    ports::IoStatus prepared = log_.prepare_next_generation();
    const bool full = !prepared.ok() && prepared.error() == ports::IoError::kNoSpace;
    if (full && ballast_.make_room()) prepared = log_.prepare_next_generation();
    const bool failed = !prepared.ok();
    if (failed && !failed_before) {
      log_event(LogLevel::kWarn, "cannot prepare the op log's next generation; trying again");
    }
    failed_before = failed;
    if (!failed) continue;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kRetryPause, [this] { return stopped_; });
  }
}

}  // namespace ds::server
