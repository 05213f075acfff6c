#include "store/committer.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "core/base/assert.h"

namespace ds::store {

using engine::CommitOutcome;
using ports::IoError;
using ports::IoStatus;

namespace {

constexpr int64_t kRecentCommits = 8;  // about as many make up the recent latency

std::string_view records_of(const engine::Batch& batch) {
  return batch.records != nullptr ? std::string_view(*batch.records) : std::string_view();
}

}  // namespace

Committer::Committer(OpLog& log, CommitListener& listener, const Options& options, uint32_t engines)
    : log_(log), listener_(listener), options_(options), oldest_epoch_(engines, 0) {}

void Committer::submit(uint32_t engine, uint64_t epoch, engine::Batch batch, Wake wake) {
  DS_ASSERT(engine < oldest_epoch_.size());
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({engine, epoch, std::move(batch)});
  }
  if (wake == Wake::kYes) wake_.notify_one();
}

bool Committer::run_once(Instant now) {
  const std::lock_guard running(running_);
  return run(now);
}

bool Committer::try_run(Instant now) {
  const std::unique_lock running(running_, std::try_to_lock);
  if (!running || state_ != State::kWorking || options_.durability != Durability::kSync) {
    wake_.notify_one();
    return false;
  }
  in_place_ = true;
  run(now);
  in_place_ = false;
  if (state_ == State::kWorking) return true;
  {
    const std::lock_guard lock(mutex_);
    broken_in_place_ = true;
  }
  wake_.notify_one();
  return true;
}

bool Committer::run(Instant now) {
  now_ = now;
  if (state_ == State::kBroken) {
    if (now < retry_at_ && !stopping()) return false;
    try_reopen(now);
    if (state_ == State::kBroken) {
      if (stopping()) give_up();
      return true;
    }
  }
  const bool taken = take_queue();
  if (taken) commit_taken(now);
  const bool due = answered_unsynced_ > 0 && (now >= sync_due_ || stopping());
  if (due && state_ == State::kWorking) sync_relaxed(now);
  // Only with nothing half done: what a rotation syncs has to be answered for. And not in
  // somebody's place, as it takes longer: the thread has been told.
  const bool rotates =
      !in_place_ && take_rotation() && answered_unsynced_ == 0 && state_ == State::kWorking;
  if (rotates && !with_room([this] { return log_.rotate(); }).ok() && log_.broken()) {
    break_log(now, false);
  }
  return taken || due || rotates;
}

bool Committer::take_rotation() {
  const std::lock_guard lock(mutex_);
  return std::exchange(rotation_wanted_, false);
}

void Committer::ask_for_rotation() {
  {
    const std::lock_guard lock(mutex_);
    rotation_wanted_ = true;
  }
  wake_.notify_all();
}

bool Committer::wait(Duration longest) {
  std::unique_lock running(running_);
  const std::chrono::microseconds limit(longest_wait(longest).us);
  const bool broken = state_ == State::kBroken;
  const bool unsynced = answered_unsynced_ > 0;  // relaxed only: nobody else changes it
  std::unique_lock lock(mutex_);
  broken_in_place_ = false;
  running.unlock();
  if (broken) {
    // New batches change nothing before the next attempt.
    if (!stopped_) wake_.wait_for(lock, limit, [this] { return stopped_; });
    return true;
  }
  wake_.wait_for(lock, limit, [this] {
    return stopped_ || rotation_wanted_ || broken_in_place_ || !queue_.empty();
  });
  return !stopped_ || !queue_.empty() || broken_in_place_ || unsynced;
}

void Committer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
}

Committer::Stats Committer::stats() const {
  const std::lock_guard lock(stats_mutex_);
  return stats_;
}

bool Committer::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

Duration Committer::longest_wait(Duration longest) const {
  if (state_ == State::kBroken) longest = std::min(longest, retry_at_ - now_);
  if (answered_unsynced_ > 0) longest = std::min(longest, sync_due_ - now_);
  return std::clamp(longest, Duration{0}, seconds(3600));
}

// Moves the queue behind what was taken before and has not been committed.
bool Committer::take_queue() {
  if (next_ == taken_.size()) {
    taken_.clear();
    next_ = 0;
    const std::lock_guard lock(mutex_);
    taken_.swap(queue_);
  } else {
    const std::lock_guard lock(mutex_);
    std::move(queue_.begin(), queue_.end(), std::back_inserter(taken_));
    queue_.clear();
  }
  return next_ < taken_.size();
}

void Committer::commit_taken(Instant now) {
  if (state_ == State::kHalted) return fail_rest(CommitOutcome::kFailed);
  while (next_ < taken_.size()) {
    next_ = gather_frame(next_);
    if (!frame_.empty() && !commit_frame(now)) break;
  }
}

// Fills frame_ with the batches from `from` on that make up the next frame. Returns the place of
// the first one that is left for later.
size_t Committer::gather_frame(size_t from) {
  frame_.clear();
  frame_views_.clear();
  uint64_t bytes = 0;
  size_t i = from;
  for (; i < taken_.size(); ++i) {
    const Queued& item = taken_[i];
    if (refused(item)) continue;
    const std::string_view records = records_of(item.batch);
    if (!frame_.empty() && bytes + records.size() > options_.frame_bytes_max) break;
    bytes += records.size();
    frame_.push_back(i);
    frame_views_.push_back(records);
  }
  frame_begins_.resize(frame_.size());
  return i;
}

// False if the frames behind this one have to wait or have failed too.
bool Committer::commit_frame(Instant now) {
  frame_began_ = std::chrono::steady_clock::now();
  const bool relaxed = options_.durability == Durability::kRelaxed;
  IoStatus status = with_room([&] { return log_.append(frame_views_, relaxed, frame_begins_); });
  if (!status.ok() && !log_.broken()) {
    {
      const std::lock_guard lock(stats_mutex_);
      ++stats_.failures;
    }
    const bool full = status.error() == IoError::kNoSpace;
    const CommitOutcome outcome = full ? CommitOutcome::kDiskFull : CommitOutcome::kFailed;
    for (const size_t i : frame_) fail(taken_[i], outcome);
    fail_rest(outcome);
    return false;
  }
  if (status.ok() && !relaxed) status = log_.sync();
  if (!status.ok()) {
    break_log(now, true);
    return false;
  }
  if (relaxed && answered_unsynced_++ == 0) sync_due_ = now + options_.sync_interval;
  frame_done();
  return true;
}

// Once more if it failed for want of room and the host has made some.
IoStatus Committer::with_room(const std::function<IoStatus()>& write) {
  const IoStatus status = write();
  const bool full = !status.ok() && status.error() == IoError::kNoSpace && !log_.broken();
  return full && listener_.on_no_space() ? write() : status;
}

// The frame is as durable as it is meant to be: counts it and reports its batches.
void Committer::frame_done() {
  const auto took = std::chrono::steady_clock::now() - frame_began_;
  const int64_t took_us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  const auto latency_us = static_cast<uint64_t>(took_us);
  const int64_t recent_us = recent_latency_us_.load(std::memory_order_relaxed);
  recent_latency_us_.store(recent_us + (took_us - recent_us) / kRecentCommits,
                           std::memory_order_relaxed);
  {
    const std::lock_guard lock(stats_mutex_);
    ++stats_.commits;
    if (in_place_) ++stats_.in_place;
    stats_.batches += frame_.size();
    for (const size_t i : frame_) {
      stats_.ops += taken_[i].batch.op_count;
      stats_.bytes += records_of(taken_[i].batch).size();
    }
    uint32_t bucket = 0;
    while (latency_us > Stats::kBucketUs[bucket]) ++bucket;
    ++stats_.latency[bucket];
    stats_.latency_sum_us += latency_us;
  }
  for (size_t i = 0; i < frame_.size(); ++i) {
    Queued& item = taken_[frame_[i]];
    listener_.on_committed(item.engine, item.batch.batch_id, CommitOutcome::kDurable,
                           frame_begins_[i]);
    item.batch.records.reset();
  }
  frame_.clear();
}

// Reports the oldest failure of the engine's epoch; what follows it in that epoch is dropped.
void Committer::fail(const Queued& item, CommitOutcome outcome) {
  if (refused(item)) return;
  oldest_epoch_[item.engine] = item.epoch + 1;
  listener_.on_committed(item.engine, item.batch.batch_id, outcome, LogPosition{});
}

void Committer::fail_rest(CommitOutcome outcome) {
  for (; next_ < taken_.size(); ++next_) fail(taken_[next_], outcome);
  frame_.clear();
  taken_.clear();
  next_ = 0;
}

void Committer::break_log(Instant now, bool frame_unsure) {
  state_ = State::kBroken;
  frame_unsure_ = frame_unsure;
  retry_at_ = now;
  {
    const std::lock_guard lock(stats_mutex_);
    ++stats_.failures;
  }
  listener_.on_log_health(false);
}

void Committer::try_reopen(Instant now) {
  uint64_t kept = 0;
  if (!log_.reopen_after_failure(&kept).ok()) {
    retry_at_ = now + options_.retry_interval;
    return;
  }
  const uint64_t answered = std::exchange(answered_unsynced_, 0);
  if (kept < answered) {
    state_ = State::kHalted;
    listener_.on_answered_writes_lost(answered - kept);
  } else {
    state_ = State::kWorking;
  }
  if (std::exchange(frame_unsure_, false)) {
    if (kept > answered) {
      frame_done();
    } else {
      for (const size_t i : frame_) fail(taken_[i], CommitOutcome::kFailed);
      frame_.clear();
    }
  }
  if (state_ == State::kWorking) listener_.on_log_health(true);
}

void Committer::sync_relaxed(Instant now) {
  if (log_.sync().ok()) {
    answered_unsynced_ = 0;
  } else {
    break_log(now, false);
  }
}

// Stopping with a log that stays broken: what is queued is never reported, as its fate is unknown.
void Committer::give_up() {
  state_ = State::kHalted;
  frame_.clear();
  taken_.clear();
  next_ = 0;
  answered_unsynced_ = 0;
  const std::lock_guard lock(mutex_);
  queue_.clear();
}

}  // namespace ds::store
