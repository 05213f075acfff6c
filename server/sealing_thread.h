// Gives the sealer its thread: seals generations that are full, or old; tells the engines; removes
// the generations' files; merges segments; brings streams that may have expired to their engines'
// notice.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/stream/op.h"
#include "server/ballast.h"
#include "server/clock.h"
#include "store/catalog.h"
#include "store/committer.h"
#include "store/op_log.h"
#include "store/sealer.h"

namespace ds::server {

class Loop;

class SealingThread {
 public:
  struct Parts {
    store::OpLog& log;
    store::Committer& committer;
    store::Catalog& catalog;  // this thread's own
    store::Sealer& sealer;
    Ballast& ballast;
    const Clock& clock;
    const std::vector<Loop*>& loops;
  };
  // A generation with something in it is ended and sealed when it is this old.
  // `retention` is what every stream keeps at most.
  SealingThread(const Parts& parts, Duration seal_after, const stream::Retention& retention);
  ~SealingThread();
  SealingThread(const SealingThread&) = delete;
  SealingThread& operator=(const SealingThread&) = delete;

  // Before the loops: they run for as long as this thread may tell them something.
  void start();
  // After the loops have ended, or while they run.
  void stop();

 private:
  void run();
  bool stopping();
  void pause(Duration longest);
  // Each returns whether it did something.
  bool seal_next();
  bool tidy();
  void rotate_if_old();
  void bring_due_streams();
  bool trim_streams();
  // Gives memory that was freed back to the system, when nothing much else is going on.
  void trim_memory();
  // The first of several in a row: `before` says whether there was one.
  void report(const store::SealError& problem, const char* what, bool* before);
  // Waits until every engine has taken its part.
  bool tell_engines(uint32_t generation, const std::vector<store::SealedStream>& streams);

  const Parts parts_;
  const Duration seal_after_;
  const stream::Retention retention_;
  uint32_t sealed_through_ = 0;
  uint32_t generation_seen_ = 0;
  Instant generation_begun_;
  static constexpr store::Catalog::Due kNobodyTold{Instant{INT64_MIN}, Incarnation{}};
  store::Catalog::Due told_ = kNobodyTold;  // the last that its engine was told of
  Instant tell_again_at_;
  Instant next_due_look_;
  Instant next_trim_look_;
  Instant next_seal_;
  Instant next_tidy_;
  Instant next_trim_;
  uint64_t trims_left_ = 0;  // since something was sealed
  uint64_t ops_seen_ = 0;
  bool seal_failed_ = false;  // and was reported
  bool tidy_failed_ = false;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;  // guarded by mutex_
  size_t untold_ = 0;     // guarded by mutex_: engines that have not taken their part
  std::thread thread_;
};

}  // namespace ds::server
