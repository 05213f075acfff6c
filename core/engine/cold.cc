// Streams that are not in memory (DESIGN §4): what is wholly sealed and used by nobody leaves it,
// and is looked up in the catalog when somebody asks. Whoever asks meanwhile waits in line.
#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"
#include "core/stream/snapshot.h"

namespace ds::engine {

using wire::ErrorCode;

namespace {

// What a stream in memory costs beside its index, about.
constexpr uint64_t kStreamBytes = 1200;
// How many streams are looked at per second at most, so that a turn stays short.
constexpr size_t kSweepMax = 20000;
constexpr Duration kSweepEvery = seconds(1);

}  // namespace

OwnedRequest::OwnedRequest(RequestId request_id, const wire::RequestText& request)
    : id(request_id), text(request) {
  const auto each = [&](auto&& visit) {
    visit(text.path);
    visit(text.query);
    visit(text.body);
    visit(text.origin);
    visit(text.raw_path);
    for (auto& header : text.headers) {
      if (header) visit(*header);
    }
  };
  size_t size = 0;
  each([&](std::string_view& view) { size += view.size(); });
  bytes.reserve(size);  // from here on nothing moves
  each([&](std::string_view& view) {
    const size_t at = bytes.size();
    bytes.append(view);
    view = std::string_view(bytes).substr(at);
  });
}

// --- Looking up ---------------------------------------------------------------------------------

bool Engine::Impl::may_be_elsewhere(std::string_view path) const {
  if (elsewhere_ == 0 || gone_paths_.count(std::string(path)) > 0) return false;
  // What came first is served first.
  if (!finds_by_path_.empty() && finds_by_path_.count(std::string(path)) > 0) return true;
  return by_path_.find(path) == by_path_.end();
}

void Engine::Impl::wait_for(std::string_view path, Waiting who, Instant now) {
  std::string key(path);
  const auto found = finds_by_path_.find(key);
  if (found != finds_by_path_.end()) return join(finds_.at(found->second), std::move(who));
  PendingFind find;
  find.path = key;
  const uint64_t id = begin_find(std::move(find), std::move(who), now);
  if (id != 0) finds_by_path_.emplace(std::move(key), id);
}

void Engine::Impl::wait_for(Incarnation stream, Waiting who, Instant now) {
  const auto found = finds_by_stream_.find(stream.value);
  if (found != finds_by_stream_.end()) return join(finds_.at(found->second), std::move(who));
  PendingFind find;
  find.stream = stream;
  const uint64_t id = begin_find(std::move(find), std::move(who), now);
  if (id != 0) finds_by_stream_.emplace(stream.value, id);
}

uint64_t Engine::Impl::begin_find(PendingFind find, Waiting who, Instant now) {
  if (waiting_ >= config_.pending_finds_max) {
    turn_away(who, ErrorCode::kOverloaded, now);
    return 0;
  }
  const uint64_t id = next_find_++;
  stats_.finds++;
  out->emplace_back(Find{id, find.path, find.stream});
  join(finds_.emplace(id, std::move(find)).first->second, std::move(who));
  return id;
}

void Engine::Impl::join(PendingFind& find, Waiting who) {
  find.waiting.push_back(std::move(who));
  waiting_++;
}

void Engine::Impl::on_found(uint64_t find_id, Engine::Found found, std::string_view snapshot,
                            Instant now) {
  const auto at = finds_.find(find_id);
  DS_ASSERT(at != finds_.end());
  PendingFind find = std::move(at->second);
  finds_.erase(at);
  waiting_ -= find.waiting.size();
  if (find.path.empty()) {
    finds_by_stream_.erase(find.stream.value);
  } else {
    finds_by_path_.erase(find.path);
  }
  if (found == Engine::Found::kYes && !load_stream(snapshot, now)) {
    found = Engine::Found::kCorrupt;
  }
  for (Waiting& who : find.waiting) {
    if (found == Engine::Found::kFailed) {
      turn_away(who, ErrorCode::kOverloaded, now);
    } else if (found == Engine::Found::kCorrupt) {
      turn_away(who, ErrorCode::kCorruptData, now);
    } else {
      let_in(std::move(who), now);
    }
  }
}

// It is known now whether the stream is there: `elsewhere_` must not send anybody round again.
void Engine::Impl::let_in(Waiting who, Instant now) {
  const uint64_t elsewhere = std::exchange(elsewhere_, 0);
  if (auto* request = std::get_if<std::unique_ptr<OwnedRequest>>(&who)) {
    dispatch((*request)->id, (*request)->text, now);
  } else if (auto* wanted = std::get_if<std::unique_ptr<stream::PinRequest>>(&who)) {
    pin(std::move(**wanted), now);
  } else if (auto* fork = std::get_if<std::unique_ptr<WaitingFork>>(&who)) {
    finish_fork(std::move((*fork)->attempt), (*fork)->reply, now);
  } else if (const auto* released = std::get_if<stream::Unpin>(&who)) {
    unpin(*released, now);
  } else if (const auto* trim = std::get_if<WaitingTrim>(&who)) {
    on_trim(trim->stream, trim->earliest, now);
  }
  elsewhere_ += elsewhere;
}

void Engine::Impl::turn_away(Waiting& who, ErrorCode code, Instant now) {
  if (auto* request = std::get_if<std::unique_ptr<OwnedRequest>>(&who)) {
    respond_error((*request)->id, code);
  } else if (auto* wanted = std::get_if<std::unique_ptr<stream::PinRequest>>(&who)) {
    refuse_pin(**wanted, code);
  } else if (auto* fork = std::get_if<std::unique_ptr<WaitingFork>>(&who)) {
    const WaitingFork& waiting = **fork;
    if (const stream::ForkBase* base = waiting.reply.base.get()) {
      send_unpin(base->source, base->source_path_hash, waiting.attempt->child);
    }
    respond_error(waiting.attempt->request, code);
  } else if (const auto* released = std::get_if<stream::Unpin>(&who)) {
    failed_unpins_.push_back(*released);
    timers_.arm(now + seconds(1), Timer::Kind::kUnpin, 0);
  }
}

bool Engine::Impl::load_stream(std::string_view snapshot, Instant now) {
  std::optional<stream::StreamState> state = stream::decode_snapshot(snapshot);
  if (!state || state->gone) return false;
  if (find_by_id(state->id) != nullptr || gone_ids_.count(state->id.value) > 0) return true;
  StreamEntry& stream = add_stream(std::move(*state));
  settle(stream, now);
  note_idle(stream);
  return true;
}

// --- Streams that are gone
// ------------------------------------------------------------------------

// The catalog knows a stream until its deletion has been sealed: until then it must not come back.
void Engine::Impl::bury(const StreamEntry& stream) {
  if (!config_.has_catalog) return;
  gone_ids_.insert(stream.state.id.value);
  gone_paths_[stream.state.path]++;
  gone_.push_back({stream.state.id, stream.state.path, stream.last_generation, next_find_});
}

void Engine::Impl::forget_gone() {
  const uint64_t oldest_find = finds_.empty() ? next_find_ : finds_.begin()->first;
  while (!gone_.empty()) {
    const Gone& oldest = gone_.front();
    // An answer on its way may still tell of it.
    if (oldest.generation > sealed_through_ || oldest_find < oldest.before_find) return;
    gone_ids_.erase(oldest.id.value);
    const auto path = gone_paths_.find(oldest.path);
    if (--path->second == 0) gone_paths_.erase(path);
    gone_.pop_front();
  }
}

// --- Sealing ------------------------------------------------------------------------------------

void Engine::Impl::drop_sealed(StreamEntry& stream, uint32_t generation) {
  stream::MessageIndex& index = stream.state.index;
  const size_t before = index.size() - index.first();
  index.drop_through(generation);
  indexed_ -= before - (index.size() - index.first());
}

void Engine::Impl::note_inherited(StreamEntry& stream) {
  if (config_.has_catalog && !stream.state.index.empty()) inherited_.push_back(stream.state.id);
}

void Engine::Impl::on_sealed(uint32_t generation, std::span<const Incarnation> streams,
                             bool last_part, Instant now) {
  for (const Incarnation id : streams) {
    StreamEntry* stream = find_by_id(id);
    if (stream == nullptr) continue;
    drop_sealed(*stream, generation);
    to_check_.push_back(id);
  }
  if (!last_part) return;
  sealed_through_ = std::max(sealed_through_, generation);
  forget_gone();
  // Forks whose inherited messages are still in the log under their source's name.
  std::erase_if(inherited_, [&](Incarnation id) {
    StreamEntry* stream = find_by_id(id);
    if (stream == nullptr) return true;
    drop_sealed(*stream, generation);
    return stream->state.index.begin() >= stream->state.config.fork->position;
  });
  for (const Incarnation id : std::exchange(to_check_, {})) {
    if (StreamEntry* stream = find_by_id(id)) note_idle(*stream);
  }
  if (!idle_.empty()) arm_sweep(now);
}

void Engine::Impl::on_due(Incarnation stream, Instant now) {
  // One that is in memory has a timer of its own; one that is not gets it by being loaded.
  if (find_by_id(stream) == nullptr && elsewhere_ != 0) wait_for(stream, WaitingDue(), now);
}

void Engine::Impl::on_trim(Incarnation id, Position earliest, Instant now) {
  StreamEntry* stream = find_by_id(id);
  if (stream == nullptr && elsewhere_ != 0) {
    wait_for(id, WaitingTrim{id, earliest}, now);
    return;
  }
  if (stream == nullptr || !stream->committed()) return;
  const PendingState& pending = stream->pending;
  if (pending.gone || pending.soft_deleted || stream->owes_new_life) return;
  if (earliest <= stream->state.earliest || earliest > stream->state.writer.tail) return;
  stream::Op op = op_for(*stream, stream::OpType::kTrim, now);
  op.earliest = earliest;
  add_op(*stream, op, nullptr, Entry());
}

// --- Leaving the memory -------------------------------------------------------------------------

uint64_t Engine::Impl::state_bytes() const {
  return by_id_.size() * kStreamBytes + indexed_ * sizeof(stream::MessageEntry);
}

// What the cache may hold: what the rest leaves of the budget, but never too little to be of use.
uint64_t Engine::Impl::cache_budget() const {
  if (!config_.can_load) return UINT64_MAX;
  const uint64_t used = state_bytes();
  const uint64_t left = used < config_.memory_bytes ? config_.memory_bytes - used : 0;
  return std::min(config_.tail_cache_bytes, std::max(left, config_.memory_bytes / 8));
}

bool Engine::Impl::can_leave(const StreamEntry& stream) const {
  if (!config_.has_catalog || !stream.committed() || stream.state.gone) return false;
  if (stream.last_generation > sealed_through_ || !stream.state.index.empty()) return false;
  if (stream.pending.ops > 0 || stream.reads_under_way > 0 || !stream.readers.empty()) return false;
  if (stream.wake_pending || stream.previous != nullptr) return false;
  const auto at_path = by_path_.find(stream.state.path);
  return at_path != by_path_.end() && at_path->second == &stream;
}

void Engine::Impl::note_idle(StreamEntry& stream) {
  if (stream.idle || !can_leave(stream)) return;
  stream.idle = true;
  idle_.push_back(stream.state.id);
  arm_sweep(stream.accessed);
}

void Engine::Impl::arm_sweep(Instant now) {
  if (std::exchange(sweep_armed_, true)) return;
  timers_.arm(now + kSweepEvery, Timer::Kind::kEvict, 0);
}

// A clock hand: who has been used since the last time round stays.
void Engine::Impl::sweep(Instant now) {
  sweep_armed_ = false;
  const uint64_t oldest_find = finds_.empty() ? next_find_ : finds_.begin()->first;
  for (size_t left = std::min(idle_.size(), kSweepMax); left > 0; --left) {
    const Incarnation id = idle_.front();
    idle_.pop_front();
    StreamEntry* stream = find_by_id(id);
    if (stream == nullptr) continue;
    stream->idle = false;
    if (!can_leave(*stream)) continue;
    const bool scarce = state_bytes() + cache_.bytes() > config_.memory_bytes;
    const bool unused = now - stream->accessed >= config_.evict_after;
    // An answer that is still on its way may be older than what the stream has become since.
    if ((!unused && !scarce) || oldest_find < stream->loaded_at_find) {
      stream->idle = true;
      idle_.push_back(id);
      continue;
    }
    stats_.evictions++;
    elsewhere_ = 1;
    forget_stream(*stream);
  }
  if (!idle_.empty()) arm_sweep(now);
}

}  // namespace ds::engine
