#include "server/sealing_thread.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/hash.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/thread.h"
#include "store/retention.h"

namespace ds::server {

namespace {

// An engine is told of so many streams at a time, so that its turns stay short.
constexpr size_t kStreamsPerPart = 2000;
constexpr Duration kLongestPause = milliseconds(100);
// With a full disk: what deletions give back comes back with the sealing.
constexpr Duration kSealAfterFull = seconds(1);
constexpr Duration kDueInterval = seconds(1);
// An engine that could not bring back a stream that is due (its disk failed) is told again.
constexpr Duration kTellAgainInterval = seconds(60);
constexpr Duration kRetryPause = seconds(1);
constexpr size_t kDueAtOnce = 1000;
constexpr size_t kTrimsAtOnce = 1000;
constexpr Duration kTrimLookInterval = milliseconds(500);
// Between looks for segments to merge while nothing is sealed: only room on the disk can have come.
constexpr Duration kTidyInterval = seconds(1);
constexpr Duration kTrimInterval = seconds(5);
// A quarter of a core beside a loop that is busy: somebody waits for that, nobody for this.
constexpr int kNice = 5;
constexpr uint64_t kQuietOps = 1000;         // per interval
constexpr uint64_t kTrimsAfterSealing = 24;  // streams leave the memory one by one

}  // namespace

SealingThread::SealingThread(const Parts& parts, Duration seal_after,
                             const stream::Retention& retention)
    : parts_(parts), seal_after_(seal_after), retention_(retention) {}

SealingThread::~SealingThread() { stop(); }

void SealingThread::start() {
  const auto state = parts_.catalog.state();
  if (state.ok()) sealed_through_ = state->sealed_through;
  generation_begun_ = next_due_look_ = next_trim_look_ = next_tidy_ = next_seal_ = next_trim_ =
      tell_again_at_ = parts_.clock.now();
  thread_ = start_thread([this] { run(); });
}

void SealingThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool SealingThread::stopping() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void SealingThread::pause(Duration longest) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::microseconds(longest.us), [this] { return stopped_; });
}

void SealingThread::run() {
  // Of Linux alone that it is this thread's, not the process's. Without it all is done as well.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  while (!stopping()) {
    const Instant now = parts_.clock.now();
    if (now >= next_seal_ && seal_next()) continue;
    rotate_if_old();
    if (now >= next_due_look_) {
      next_due_look_ = now + kDueInterval;
      bring_due_streams();
    }
    if (trim_streams()) continue;
    if (now >= next_tidy_ && tidy()) continue;
    trim_memory();
    pause(kLongestPause);
  }
}

void SealingThread::report(const store::SealError& problem, const char* what, bool* before) {
  if (std::exchange(*before, true)) return;
  log_event(LogLevel::kError, std::string(what) + "; trying again: " + problem.message);
}

bool SealingThread::seal_next() {
  const uint32_t next = sealed_through_ + 1;
  if (parts_.log.stats().last_generation <= next) return false;
  const Instant began = parts_.clock.now();
  auto sealed = parts_.sealer.seal(next);
  if (!sealed.ok()) {
    report(sealed.error(), "cannot seal a generation of the op log", &seal_failed_);
    const bool made_room = sealed.error().kind == store::SealError::Kind::kNoSpace &&
                           !parts_.ballast.full() && parts_.ballast.make_room();
    next_seal_ = parts_.clock.now() + (made_room ? Duration{} : kRetryPause);
    return false;
  }
  seal_failed_ = false;
  sealed_through_ = next;
  next_tidy_ = began;
  log_event(LogLevel::kDebug, "sealed",
            {{"generation", next},
             {"streams", sealed->size()},
             {"ms", (parts_.clock.now() - began).us / 1000}});
  if (!tell_engines(next, *sealed)) return false;
  const ports::IoStatus removed = parts_.log.remove_through(next);
  if (!removed.ok()) {
    // The next start, or the next generation, does it.
    log_event(LogLevel::kWarn, "cannot remove a generation that has been sealed",
              {{"generation", next}});
  }
  trims_left_ = kTrimsAfterSealing;
  return true;
}

void SealingThread::trim_memory() {
  const Instant now = parts_.clock.now();
  if (trims_left_ == 0 || now < next_trim_) return;
  next_trim_ = now + kTrimInterval;
  // It holds the allocator's locks: not while there is load.
  const uint64_t ops = parts_.committer.stats().ops;
  if (ops - std::exchange(ops_seen_, ops) > kQuietOps) return;
  --trims_left_;
  malloc_trim(0);
}

bool SealingThread::tell_engines(uint32_t generation,
                                 const std::vector<store::SealedStream>& streams) {
  const size_t count = parts_.loops.size();
  std::vector<std::vector<Incarnation>> by_loop(count);
  for (const store::SealedStream& stream : streams) {
    by_loop[stream.path_hash % count].push_back(stream.id);
  }
  {
    const std::lock_guard lock(mutex_);
    untold_ = count;
  }
  for (size_t i = 0; i < count; ++i) {
    const std::vector<Incarnation>& all = by_loop[i];
    for (size_t at = 0;;) {
      const size_t end = std::min(all.size(), at + kStreamsPerPart);
      const bool last = end == all.size();
      parts_.loops[i]->on_sealed(generation,
                                 {all.begin() + static_cast<std::ptrdiff_t>(at),
                                  all.begin() + static_cast<std::ptrdiff_t>(end)},
                                 last, [this] {
                                   {
                                     const std::lock_guard lock(mutex_);
                                     --untold_;
                                   }
                                   wake_.notify_all();
                                 });
      if (last) break;
      at = end;
    }
  }
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopped_ || untold_ == 0; });
  return untold_ == 0;
}

void SealingThread::rotate_if_old() {
  const store::OpLog::Stats stats = parts_.log.stats();
  const Instant now = parts_.clock.now();
  if (stats.last_generation != generation_seen_ || stats.current_bytes == 0) {
    generation_seen_ = stats.last_generation;
    generation_begun_ = now;
    return;
  }
  const Duration age = parts_.ballast.full() ? std::min(seal_after_, kSealAfterFull) : seal_after_;
  if (now - generation_begun_ < age) return;
  generation_begun_ = now;
  parts_.committer.ask_for_rotation();
}

void SealingThread::bring_due_streams() {
  const Instant now = parts_.clock.now();
  if (now >= tell_again_at_) {
    tell_again_at_ = now + kTellAgainInterval;
    told_ = kNobodyTold;
  }
  for (;;) {
    const auto due = parts_.catalog.due(told_, now, kDueAtOnce);
    if (!due.ok()) {
      log_event(LogLevel::kError, "cannot read the catalog: " + due.error().message);
      return;
    }
    for (const store::Catalog::Due& one : *due) {
      const auto stream = parts_.catalog.find(one.id);
      if (!stream.ok()) {
        log_event(LogLevel::kError, "cannot read the catalog: " + stream.error().message);
        return;
      }
      told_ = one;
      if (!*stream) continue;
      const size_t owner = path_hash((*stream)->path) % parts_.loops.size();
      parts_.loops[owner]->on_due(one.id);
    }
    if (due->size() < kDueAtOnce || stopping()) return;
  }
}

// True if there are more to look at.
bool SealingThread::trim_streams() {
  const Instant now = parts_.clock.now();
  if (now < next_trim_look_) return false;
  size_t looked_at = 0;
  const auto trims = store::plan_trims(parts_.catalog, retention_, now, kTrimsAtOnce, &looked_at);
  const bool more = trims.ok() && looked_at == kTrimsAtOnce;
  if (!more) next_trim_look_ = now + kTrimLookInterval;
  if (!trims.ok()) {
    log_event(LogLevel::kError, "cannot look at retention: " + trims.error().message);
    return false;
  }
  for (const store::Trim& trim : *trims) {
    parts_.loops[trim.path_hash % parts_.loops.size()]->on_trim(trim.stream, trim.earliest);
  }
  return more;
}

// True if there may be more to do.
bool SealingThread::tidy() {
  const auto tidied = parts_.sealer.tidy({parts_.ballast.spare_bytes(), parts_.ballast.full()});
  if (tidied.ok()) tidy_failed_ = false;
  if (tidied.ok() && *tidied) return true;
  next_tidy_ = parts_.clock.now() + kTidyInterval;
  if (tidied.ok()) return false;
  // Each damaged segment comes once, and is told of whatever failed before.
  if (tidied.error().kind == store::SealError::Kind::kCorrupt) tidy_failed_ = false;
  report(tidied.error(), "cannot merge segments", &tidy_failed_);
  return false;
}

}  // namespace ds::server
