// Group commit: whatever has queued up, from all engines, while the last sync ran becomes the next
// frame. A class without a thread: its host calls run_once() from one thread, the committer's;
// others may commit in its place with try_run() when it has nothing to do.
//
// Each batch carries its engine's epoch. After a failed commit the committer refuses batches of
// older epochs, until the engine has reset itself and sends batches of a newer one. When a sync
// fails the batches concerned are parked: the log is reopened and re-read, and each one is answered
// by what was found there, kDurable or kFailed.
//
// Relaxed durability answers after the write. If frames that were answered turn out to be lost, the
// engines know more than the log, and nothing may be appended to it any more: the committer tells
// its listener and fails every batch until the process is restarted. (The log then says that writes
// were lost, and streams go on under new lives.)
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "core/engine/actions.h"
#include "store/op_log.h"

namespace ds::store {

enum class Durability : uint8_t {
  kSync,     // answered after the sync
  kRelaxed,  // answered after the write; synced at an interval, the stated loss window
};

// Told about the end of every batch, on the thread that commits. May call submit, nothing else of
// the committer's.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  // In the order in which the engine submitted. After a failure it is called once, for the oldest
  // batch that failed; the later ones of that engine's epoch are dropped silently.
  virtual void on_committed(uint32_t engine, uint64_t batch_id, engine::CommitOutcome outcome,
                            LogPosition first_record) = 0;
  // The log is broken, or works again. For readiness and logs.
  virtual void on_log_health(bool healthy) = 0;
  // There is no room for the log's next generation. True: try again, once, as there may be now.
  virtual bool on_no_space() { return false; }
  // Relaxed durability: this many frames whose ops had been answered are lost. From now on every
  // batch fails; the host had better end the process.
  virtual void on_answered_writes_lost(uint64_t frames) { static_cast<void>(frames); }
};

class Committer {
 public:
  struct Options {
    Durability durability = Durability::kSync;
    // Frames are cut at this size, so that one commit stays short.
    uint64_t frame_bytes_max = 16 << 20;
    Duration sync_interval = milliseconds(100);   // relaxed only
    Duration retry_interval = milliseconds(200);  // between attempts to reopen a broken log
  };

  Committer(OpLog& log, CommitListener& listener, const Options& options, uint32_t engines);

  enum class Wake : uint8_t { kYes, kNo };

  // Any thread. With Wake::kNo the committer's thread is not told: the caller goes on with
  // try_run().
  void submit(uint32_t engine, uint64_t epoch, engine::Batch batch, Wake wake = Wake::kYes);

  // Committer thread: commits what is queued. Returns false if there was nothing to do.
  // `now` drives the relaxed sync and the retries.
  bool run_once(Instant now);
  // Any thread: commits what is queued, before it returns. Returns false, and leaves that to the
  // committer's thread, if somebody is committing already, the log is broken, or durability is
  // relaxed.
  bool try_run(Instant now);
  // Any thread: how long a commit has taken of late, from before the write until after the sync.
  Duration recent_latency() const { return {recent_latency_us_.load(std::memory_order_relaxed)}; }
  // Committer thread: blocks until there is work, stop() was called, or at most `longest`.
  // False once stop() was called and everything queued has been committed.
  bool wait(Duration longest);
  // Any thread: the next generation is to begin, even though the current one is not full, so that
  // it can be sealed. Done by the committer's thread, after what is queued.
  void ask_for_rotation();
  // Any thread: no batch will follow. What is queued is still committed, unless the log is broken
  // and one more attempt to reopen it fails: then it is never reported.
  void stop();

  struct Stats {
    uint64_t commits = 0;   // frames answered as durable
    uint64_t batches = 0;   // in those
    uint64_t ops = 0;       // in those
    uint64_t bytes = 0;     // of records in those
    uint64_t in_place = 0;  // frames of `commits` that try_run() made
    uint64_t failures = 0;  // frames that failed at first, even if they were found after all
    // Histogram of the time from before the write until the answer: frames per bucket, whose upper
    // bounds (included) are kBucketUs.
    static constexpr uint32_t kBuckets = 16;
    static constexpr uint64_t kBucketUs[kBuckets] = {
        50,    100,   200,    500,    1000,   2000,    5000,    10000,
        20000, 50000, 100000, 200000, 500000, 1000000, 2000000, UINT64_MAX};
    uint64_t latency[kBuckets] = {};
    uint64_t latency_sum_us = 0;
  };
  // Any thread.
  Stats stats() const;

 private:
  struct Queued {
    uint32_t engine = 0;
    uint64_t epoch = 0;
    engine::Batch batch;
  };

  // Why nothing is being committed.
  enum class State : uint8_t {
    kWorking,
    kBroken,  // until the log has been reopened
    kHalted,  // answered writes are lost: until the process ends
  };

  bool run(Instant now);
  bool take_queue();
  bool take_rotation();
  void commit_taken(Instant now);
  size_t gather_frame(size_t from);
  bool commit_frame(Instant now);
  ports::IoStatus with_room(const std::function<ports::IoStatus()>& write);
  void frame_done();
  void fail(const Queued& item, engine::CommitOutcome outcome);
  void fail_rest(engine::CommitOutcome outcome);
  void break_log(Instant now, bool frame_unsure);
  void try_reopen(Instant now);
  void sync_relaxed(Instant now);
  void give_up();
  bool refused(const Queued& item) const { return item.epoch < oldest_epoch_[item.engine]; }
  Duration longest_wait(Duration longest) const;
  bool stopping() const;

  OpLog& log_;
  CommitListener& listener_;
  const Options options_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::vector<Queued> queue_;
  bool stopped_ = false;
  bool rotation_wanted_ = false;
  bool broken_in_place_ = false;  // since the committer's thread looked last

  std::mutex running_;  // held while committing; before mutex_
  // Guarded by running_. The vectors are members to keep their memory.
  State state_ = State::kWorking;
  std::vector<uint64_t> oldest_epoch_;  // per engine: what is older is dropped
  std::vector<Queued> taken_;           // from the queue, [next_, end) not committed yet
  size_t next_ = 0;
  std::vector<size_t> frame_;  // the batches of the frame being committed, as places in taken_
  std::vector<std::string_view> frame_views_;
  std::vector<LogPosition> frame_begins_;
  std::chrono::steady_clock::time_point frame_began_;  // for the statistics only
  bool frame_unsure_ = false;       // frame_ was given to the log, and its fate is not known
  uint64_t answered_unsynced_ = 0;  // relaxed frames
  Instant sync_due_{0};             // if there are any
  Instant retry_at_{0};             // if broken
  Instant now_{0};                  // of the last run
  bool in_place_ = false;           // this run is try_run()'s
  std::atomic<int64_t> recent_latency_us_{0};

  mutable std::mutex stats_mutex_;
  Stats stats_;  // guarded by stats_mutex_
};

}  // namespace ds::store
