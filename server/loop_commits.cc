// Loop: its batches, and who commits them.
#include <chrono>
#include <optional>
#include <utility>

#include "server/loop.h"

namespace ds::server {

namespace {

// More than this at once is worth the other thread: the loop has enough to do while it is synced.
constexpr int kInPlaceEventsMax = 64;
constexpr uint64_t kInPlaceBytesMax = 64 << 10;
// So much goes to the disk before the turn ends.
constexpr uint64_t kEarlyBatchBytes = kInPlaceBytesMax + 1;
// If its ops are this large, one with another.
constexpr uint64_t kLargeOpBytes = 16 << 10;
// For how long a loop looks out for the next of the requests that it expects.
constexpr std::chrono::microseconds kGatherPause{10};

}  // namespace

// Only for what came from sockets: a turn of mail may have others behind it.
bool Loop::may_commit_in_place() const {
  const Duration limit = shared_.config.commit_in_place;
  return shared_.committer != nullptr && limit.us > 0 && commits_outstanding_ == 0 && events_ > 0 &&
         events_ <= kInPlaceEventsMax && events_of_last_batch_ <= kInPlaceEventsMax &&
         shared_.committer->recent_latency() <= limit;
}

// Clients that wait for their answers send the next request upon them, one soon after the other.
// If the first of them were committed alone, the others would wait for two syncs.
void Loop::gather_writes() {
  if (!engine_->has_batch()) return;
  auto arrived = std::chrono::steady_clock::now();
  while (engine_->has_batch() && may_commit_in_place()) {
    const int more = serve_sockets();
    events_ += more;
    const auto now = std::chrono::steady_clock::now();
    if (more > 0) {
      arrived = now;
    } else if (events_ >= events_of_last_batch_ || now - arrived > kGatherPause) {
      break;
    }
  }
  events_of_last_batch_ = events_;
}

// Large bodies take longer to receive and to scan than to be synced: the disk begins with the first
// of them while the loop is at the others. Small ones are worth one sync for all.
void Loop::submit_early() {
  const uint64_t bytes = engine_->batch_bytes();
  if (bytes >= kEarlyBatchBytes && bytes >= engine_->batch_ops() * kLargeOpBytes) submit_batch();
}

void Loop::submit_batch() {
  if (shared_.committer == nullptr) return complete_in_memory();
  if (!engine_->has_batch()) return;
  const bool in_place = may_commit_in_place();
  std::optional<engine::Batch> batch = engine_->take_batch();
  if (!batch) return;
  ++commits_outstanding_;
  committing_in_place_ = in_place && batch->records->size() <= kInPlaceBytesMax;
  using Wake = store::Committer::Wake;
  shared_.committer->submit(index_, engine_->epoch(), std::move(*batch),
                            committing_in_place_ ? Wake::kNo : Wake::kYes);
}

void Loop::commit_in_place() {
  if (!std::exchange(committing_in_place_, false)) return;
  shared_.committer_thread->commit_in_place();
}

// Without a log a batch is as durable as it gets at once. Its place is a made-up one that grows.
void Loop::complete_in_memory() {
  while (engine_->has_batch()) {
    const std::optional<engine::Batch> batch = engine_->take_batch();
    if (!batch) return;
    const uint64_t size = batch->records->size();
    // A record's bytes lie within one generation.
    if ((memory_position_ & 0xffffffff) + size > 0xffffffff) {
      memory_position_ = ((memory_position_ >> 32) + 1) << 32;
    }
    const LogPosition at{memory_position_};
    memory_position_ += size;
    engine_->on_commit(batch->batch_id, engine::CommitOutcome::kDurable, at, now_, actions_);
  }
}

}  // namespace ds::server
