// Time and recovery: expiry, timers, replay (PROTOCOL §4, §5.1).
#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"
#include "core/stream/snapshot.h"

namespace ds::engine {

using stream::Op;
using stream::OpType;
using wire::ErrorCode;

Engine::Impl::Impl(const EngineConfig& config, uint32_t index, HashKey key)
    : config_(config),
      index_(index),
      key_(key),
      by_path_(key),
      bodies_(key),
      finds_by_path_(16, PathHash{key}) {
  DS_ASSERT(index < kEnginesMax);
}

Engine::Stats Engine::Impl::stats() const {
  Stats stats = stats_;
  stats.streams = by_id_.size();
  stats.cache_bytes = cache_.bytes() + bodies_.bytes();
  stats.memory_bytes = state_bytes() + stats.cache_bytes;
  return stats;
}

// --- Sliding time to live
// -------------------------------------------------------------------------

// An access is put on record only if the last one on record is older than this: a read must not
// cost a write. After a restart a stream counts as accessed this much later than the record says,
// so that it never expires early.
Duration Engine::Impl::touch_interval(const StreamEntry& stream) const {
  constexpr int64_t kShortest = 1000000;
  constexpr int64_t kLongest = int64_t{3600} * 1000000;
  const int64_t ttl = seconds(static_cast<int64_t>(*stream.state.config.ttl_seconds)).us;
  return Duration{std::clamp(ttl / 8, kShortest, kLongest)};
}

void Engine::Impl::touch(StreamEntry& stream, Instant now) {
  stream.accessed = std::max(stream.accessed, now);
  if (!stream.state.config.ttl_seconds || stream.touch_pending) return;
  if (stream.pending.created || stream.pending.gone || stream.pending.soft_deleted) return;
  if (now - stream.state.accessed < touch_interval(stream)) return;
  stream.touch_pending = true;
  Op op = op_for(stream, OpType::kTouch, now);
  add_op(stream, op, nullptr, Entry());
}

void Engine::Impl::expire_if_due(StreamEntry& stream, Instant now) {
  if (stream.pending.gone || stream.pending.soft_deleted || !expired(stream, now)) return;
  // Somebody who waits for data counts as reading it.
  if (!stream.readers.empty() && !stream.state.config.expires_at) {
    touch(stream, now);
    return;
  }
  Op op = op_for(stream, OpType::kExpire, now);
  add_op(stream, op, nullptr, Entry());
}

// Far ones are looked at again in between, so that no timer outlives its stream in memory by much.
void Engine::Impl::arm_expiry(StreamEntry& stream, Instant now) {
  constexpr Duration kLongest = seconds(300);
  const Instant due = stream.expiry();
  if (due != kNever) arm_expiry_at(stream, std::min(due, now + kLongest));
}

void Engine::Impl::arm_expiry_at(StreamEntry& stream, Instant due) {
  stream.expiry_timer = due;
  timers_.arm(due, Timer::Kind::kExpiry, stream.state.id.value);
}

void Engine::Impl::on_time(Instant now) {
  while (const std::optional<Timer> timer = timers_.pop_due(now)) {
    if (timer->kind == Timer::Kind::kExpiry) {
      StreamEntry* stream = find_by_id(Incarnation{timer->key});
      if (stream == nullptr || stream->pending.gone || stream->pending.soft_deleted) continue;
      // Armed for an earlier stay in memory, or replaced by another.
      if (stream->expiry_timer != timer->due) continue;
      expire_if_due(*stream, now);
      if (!expired(*stream, now)) arm_expiry(*stream, now);
      continue;
    }
    if (timer->kind == Timer::Kind::kEvict) {
      sweep(now);
      continue;
    }
    if (timer->kind == Timer::Kind::kNewLife) {
      StreamEntry* stream = find_by_id(Incarnation{timer->key});
      if (stream != nullptr) begin_new_life(*stream, now);
      continue;
    }
    if (timer->kind == Timer::Kind::kUnpin) {
      std::vector<stream::Unpin> again = std::move(failed_unpins_);
      failed_unpins_.clear();
      for (const stream::Unpin& message : again) unpin(message, now);
      continue;
    }
    Reader* reader = find_reader(RequestId{timer->key});
    if (reader == nullptr) continue;
    const bool polls = reader->mode == Reader::Mode::kLongPoll;
    if (polls != (timer->kind == Timer::Kind::kLongPoll)) continue;
    if (reader->ends > now) {
      if (!polls) heartbeat(*reader, now);
      continue;
    }
    if (polls) {
      respond(reader->id, poll_timeout(*reader->stream, reader->cursor, now));
    } else {
      out->emplace_back(EndSse{reader->id});
    }
    drop_reader(*reader);
  }
}

// --- Recovery
// -------------------------------------------------------------------------------------

bool Engine::Impl::replay(std::string_view record, LogPosition at, Peers& peers) {
  const std::optional<Op> op = stream::decode_record(record);
  if (!op) return false;
  last_life_ = std::max(last_life_, op->stream);
  if (op->type == OpType::kCreate) {
    if (find_by_id(op->stream) != nullptr) return false;
    if (by_path_.find(op->create->path) != nullptr) return false;
    stream::MessageIndex inherited;
    if (const std::optional<stream::ForkOrigin>& fork = op->create->fork) {
      const StreamEntry* source =
          peers.owner_of(fork->source_path_hash).impl_->find_or_load(fork->source, peers);
      if (source == nullptr || source->state.writer.tail < fork->position) return false;
      inherited = source->state.index.clipped(fork->position);
    }
    StreamEntry& stream = add_stream(stream::new_state(*op, std::move(inherited)));
    if (config_.quota != nullptr) config_.quota->take_anyway();
    const size_t indexed_before = stream.state.index.size();
    if (!stream::apply(stream.state, *op, at)) return false;
    indexed_ += stream.state.index.size() - indexed_before;
    stream.pending.writer = stream.state.writer;
    stream.last_generation = at.generation();
    note_inherited(stream);
    return true;
  }
  StreamEntry* stream = find_or_load(op->stream, peers);
  if (stream == nullptr) return false;
  const size_t indexed_before = stream->state.index.size();
  if (!stream::apply(stream->state, *op, at)) return false;
  indexed_ += stream->state.index.size() - indexed_before;
  stream->last_generation = at.generation();
  if (op->new_life) last_life_ = std::max(last_life_, *op->new_life);
  // Given to a fork, even if that never came to be.
  if (op->pin) last_life_ = std::max(last_life_, op->pin->child);
  if (stream->state.gone) {
    // Its pin may not have been released: the source has to be looked at.
    if (const std::optional<stream::ForkOrigin>& fork = stream->state.config.fork) {
      peers.owner_of(fork->source_path_hash).impl_->find_or_load(fork->source, peers);
    }
    if (config_.quota != nullptr) config_.quota->give_back();
    bury(*stream);
    forget_stream(*stream);
  } else {
    reset_pending(*stream);
  }
  return true;
}

// During a replay: a stream whose earlier ops have been sealed comes from the catalog.
StreamEntry* Engine::Impl::find_or_load(Incarnation id, Peers& peers) {
  if (StreamEntry* stream = find_by_id(id)) return stream;
  if (gone_ids_.count(id.value) > 0) return nullptr;
  const std::optional<std::string> snapshot = peers.sealed_snapshot(id);
  if (!snapshot) return nullptr;
  std::optional<stream::StreamState> state = stream::decode_snapshot(*snapshot);
  if (!state || state->id != id || by_path_.find(state->path) != nullptr) return nullptr;
  StreamEntry& stream = add_stream(std::move(*state));
  reset_pending(stream);
  return &stream;
}

bool Engine::Impl::is_sealed(Incarnation id, Peers& peers) const {
  return gone_ids_.count(id.value) == 0 && peers.sealed_snapshot(id).has_value();
}

void Engine::Impl::recover_pin(Incarnation source, Incarnation child, Peers& peers) {
  last_life_ = std::max(last_life_, child);
  find_or_load(source, peers);
}

void Engine::Impl::finish_replay(Instant now, Incarnation highest_life, Incarnation lost_life,
                                 uint32_t sealed_through, Peers& peers) {
  last_life_ = std::max(last_life_, highest_life);
  lost_life_ = lost_life;
  sealed_through_ = sealed_through;
  if (sealed_through > 0) elsewhere_ = 1;
  std::vector<StreamEntry*> streams;
  for (const auto& [id, stream] : by_id_) streams.push_back(stream.get());
  std::sort(streams.begin(), streams.end(),
            [](const StreamEntry* a, const StreamEntry* b) { return a->state.id < b->state.id; });
  for (StreamEntry* stream : streams) {
    settle(*stream, now);
    // Pins whose forks never came to be, or are gone.
    for (const auto& [child, held] : stream->state.pins) {
      Impl& owner = *peers.owner_of(held.child_path_hash).impl_;
      if (!owner.find_by_id(child) && !owner.is_sealed(child, peers)) {
        send_unpin(stream->state.id, stream->state.path_hash, child);
      }
    }
    begin_new_life(*stream, now);
    note_idle(*stream);
  }
}

// A stream that has come from the log or the catalog takes up its place in time.
void Engine::Impl::settle(StreamEntry& stream, Instant now) {
  reset_pending(stream);
  stream.accessed = stream.state.accessed;
  if (stream.state.config.ttl_seconds) {
    stream.accessed =
        std::max(stream.accessed, std::min(now, stream.accessed + touch_interval(stream)));
  }
  if (stream.state.soft_deleted) return;
  arm_expiry(stream, now);
  stream.owes_new_life = stream.state.life() < lost_life_;
}

void Engine::Impl::begin_new_life(StreamEntry& stream, Instant now) {
  const PendingState& pending = stream.pending;
  if (!stream.owes_new_life || pending.new_life || pending.gone || pending.soft_deleted) return;
  Op op = op_for(stream, OpType::kNewLife, now);
  op.new_life = next_life(now);
  add_op(stream, op, nullptr, Entry());
}

const std::vector<stream::LifeSpan>& Engine::Impl::pending_lives(const StreamEntry& stream) {
  if (!stream.pending.new_life) return stream.state.lives;
  lives_scratch_ = stream.state.lives;
  lives_scratch_.push_back(*stream.pending.new_life);
  return lives_scratch_;
}

}  // namespace ds::engine
