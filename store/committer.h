// Group commit: whatever has queued up, from all engines, while the last sync ran becomes the next
// frame (DESIGN §4). A class without a thread: its host calls run_once() from one thread.
//
// Each batch carries its engine's epoch. After a failed commit the committer refuses batches of
// older epochs, until the engine has reset itself and sends batches of a newer one. When a sync
// fails the batches concerned are parked: the log is reopened and re-read, and each one is answered
// by what was found there, kDurable or kFailed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/engine/actions.h"
#include "store/op_log.h"

namespace ds::store {

enum class Durability : uint8_t {
  kSync,     // answered after the sync
  kRelaxed,  // answered after the write; synced at an interval, the stated loss window
};

// Told about the end of every batch, on the committer's thread.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  // In the order in which the engine submitted. After a failure it is called once, for the oldest
  // batch that failed; the later ones of that engine's epoch are dropped silently.
  virtual void on_committed(uint32_t engine, uint64_t batch_id, engine::CommitOutcome outcome,
                            LogPosition first_record) = 0;
  // The log is broken, or works again. For readiness and logs.
  virtual void on_log_health(bool healthy) = 0;
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

  // Any thread.
  void submit(uint32_t engine, uint64_t epoch, engine::Batch batch);

  // Committer thread: commits what is queued. Returns false if there was nothing to do.
  // `now` drives the relaxed sync and the retries.
  bool run_once(Instant now);
  // Committer thread: blocks until there is work, stop() was called, or at most `longest`.
  // False once stop() was called and everything queued has been committed.
  bool wait(Duration longest);
  // Any thread: no batch will follow. What is queued is still committed.
  void stop();

  struct Stats {
    uint64_t commits = 0;  // frames made durable
    uint64_t batches = 0;
    uint64_t ops = 0;
    uint64_t bytes = 0;
    uint64_t failures = 0;
    // Histogram of the time from write to durable: counts per bucket of kBucketUs.
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
  // Left to the implementation.
};

}  // namespace ds::store
