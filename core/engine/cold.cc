// Streams that are not in memory: what is wholly sealed and used by nobody leaves it, and is looked
// up in the catalog when somebody asks. Whoever asks meanwhile waits in line.
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

// A table that was large keeps its buckets otherwise.
template <typename Table>
void shrink_table(Table& table) {
  constexpr size_t kSmallest = 4096;
  if (table.bucket_count() > kSmallest && table.size() < table.bucket_count() / 8) table.rehash(0);
}

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
  if (elsewhere_ == 0) return false;
  // What came first is served first.
  if (!finds_by_path_.empty() && finds_by_path_.count(path) > 0) return true;
  if (by_path_.find(path) != nullptr) return false;
  return gone_paths_.empty() || gone_paths_.count(path) == 0;
}

bool Engine::Impl::may_be_elsewhere(Incarnation stream) const {
  return elsewhere_ != 0 && by_id_.count(stream.value) == 0 && gone_ids_.count(stream.value) == 0;
}

void Engine::Impl::wait_for(std::string_view path, Waiting who, Instant now) {
  const auto found = finds_by_path_.find(path);
  if (found != finds_by_path_.end()) return join(finds_.at(found->second), std::move(who), now);
  PendingFind find;
  find.path = path;
  const uint64_t id = begin_find(std::move(find), std::move(who), now);
  if (id != 0) finds_by_path_.emplace(finds_.at(id).path, id);
}

void Engine::Impl::wait_for(Incarnation stream, Waiting who, Instant now) {
  const auto found = finds_by_stream_.find(stream.value);
  if (found != finds_by_stream_.end()) return join(finds_.at(found->second), std::move(who), now);
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
  join(finds_.emplace(id, std::move(find)).first->second, std::move(who), now);
  return id;
}

void Engine::Impl::join(PendingFind& find, Waiting who, Instant now) {
  if (waiting_ >= config_.pending_finds_max) {
    return turn_away(who, ErrorCode::kOverloaded, now);
  }
  if (const auto* request = std::get_if<std::unique_ptr<OwnedRequest>>(&who)) {
    waiting_requests_.insert((*request)->id.value);
  }
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
    const OwnedRequest& waited = **request;
    // Nobody is told of the end of a reader whose client has left already.
    const bool left = waiting_requests_.erase(waited.id.value) == 0;
    if (!left || waited.text.method != wire::Method::kGet) dispatch(waited.id, waited.text, now);
  } else if (auto* wanted = std::get_if<std::unique_ptr<stream::PinRequest>>(&who)) {
    pin(std::move(**wanted), now);
  } else if (auto* pinned = std::get_if<std::unique_ptr<stream::PinReply>>(&who)) {
    on_pin_reply(**pinned, now);
  } else if (const auto* released = std::get_if<stream::Unpin>(&who)) {
    unpin(*released, now);
  } else if (const auto* due = std::get_if<WaitingDue>(&who)) {
    if (StreamEntry* stream = find_by_id(due->stream)) expire_if_due(*stream, now);
  } else if (const auto* trim = std::get_if<WaitingTrim>(&who)) {
    on_trim(trim->stream, trim->earliest, now);
  }
  elsewhere_ += elsewhere;
}

void Engine::Impl::turn_away(Waiting& who, ErrorCode code, Instant now) {
  if (auto* request = std::get_if<std::unique_ptr<OwnedRequest>>(&who)) {
    waiting_requests_.erase((*request)->id.value);
    respond_error((*request)->id, code);
  } else if (auto* wanted = std::get_if<std::unique_ptr<stream::PinRequest>>(&who)) {
    refuse_pin(**wanted, code);
  } else if (auto* pinned = std::get_if<std::unique_ptr<stream::PinReply>>(&who)) {
    const std::unique_ptr<ForkAttempt> attempt = take_attempt((*pinned)->attempt);
    if (const stream::ForkBase* base = (*pinned)->base.get()) {
      send_unpin(base->source, base->source_path_hash, attempt->child);
    }
    respond_error(attempt->request, code);
  } else if (const auto* released = std::get_if<stream::Unpin>(&who)) {
    if (failed_unpins_.empty()) timers_.arm(now + seconds(1), Timer::Kind::kUnpin, 0);
    failed_unpins_.push_back(*released);
  }
}

bool Engine::Impl::load_stream(std::string_view snapshot, Instant now) {
  std::optional<stream::StreamState> state = stream::decode_snapshot(snapshot);
  if (!state || state->gone) return false;
  if (find_by_id(state->id) != nullptr || gone_ids_.count(state->id.value) > 0) return true;
  StreamEntry& stream = add_stream(std::move(*state));
  stream.loaded = now;
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

uint64_t Engine::Impl::oldest_find() const {
  return finds_.empty() ? next_find_ : finds_.begin()->first;
}

bool Engine::Impl::may_forget_gone() const {
  return !gone_.empty() && gone_.front().generation <= sealed_through_;
}

void Engine::Impl::forget_gone(size_t most) {
  const uint64_t oldest = oldest_find();
  for (; most > 0 && may_forget_gone(); --most) {
    const Gone& gone = gone_.front();
    // An answer on its way may still tell of it.
    if (oldest < gone.before_find) return;
    gone_ids_.erase(gone.id.value);
    const auto path = gone_paths_.find(gone.path);
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
  sealing_through_ = std::max(sealing_through_, generation);
  for (const Incarnation id : streams) {
    StreamEntry* stream = find_by_id(id);
    if (stream == nullptr) continue;
    drop_sealed(*stream, generation);
    if (config_.has_catalog) list_idle(*stream);
  }
  if (!last_part) return;
  sealed_through_ = std::max(sealed_through_, generation);
  // Nothing in memory is looked for there any more.
  cache_.drop_through(generation);
  bodies_.clear();
  // Forks whose inherited messages are still in the log under their source's name.
  std::erase_if(inherited_, [&](Incarnation id) {
    StreamEntry* stream = find_by_id(id);
    if (stream == nullptr) return true;
    drop_sealed(*stream, generation);
    return stream->state.index.begin() >= stream->state.config.fork->position;
  });
  if (!idle_.empty() || may_forget_gone()) arm_sweep(now);
}

void Engine::Impl::on_due(Incarnation stream, Instant now) {
  // One that is in memory has a timer of its own.
  if (may_be_elsewhere(stream)) wait_for(stream, WaitingDue{stream}, now);
}

void Engine::Impl::on_trim(Incarnation id, Position earliest, Instant now) {
  if (may_be_elsewhere(id)) return wait_for(id, WaitingTrim{id, earliest}, now);
  StreamEntry* stream = find_by_id(id);
  if (stream == nullptr || !stream->committed()) return;
  const PendingState& pending = stream->pending;
  if (pending.gone || pending.soft_deleted) return;
  if (earliest <= stream->state.earliest || earliest > stream->state.writer.tail) return;
  stream::Op op = op_for(*stream, stream::OpType::kTrim, now);
  op.earliest = earliest;
  add_op(*stream, op, nullptr, Entry());
}

// --- Leaving the memory -------------------------------------------------------------------------

uint64_t Engine::Impl::state_bytes() const {
  return by_id_.size() * kStreamBytes + indexed_ * sizeof(stream::MessageEntry);
}

// What both caches may hold: what the rest leaves of the budget, but never too little to be of use.
uint64_t Engine::Impl::cache_budget() const {
  const uint64_t used = state_bytes();
  const uint64_t left = used < config_.memory_bytes ? config_.memory_bytes - used : 0;
  return std::min(config_.tail_cache_bytes, std::max(left, config_.memory_bytes / 8));
}

uint64_t Engine::Impl::records_budget() const {
  return config_.can_load ? cache_budget() - std::min(cache_budget(), bodies_.bytes()) : UINT64_MAX;
}

uint64_t Engine::Impl::bodies_budget() const { return cache_budget() / 4; }

bool Engine::Impl::can_leave(const StreamEntry& stream) const {
  if (!config_.has_catalog || !stream.committed() || stream.state.gone) return false;
  if (stream.last_generation > sealed_through_ || !stream.state.index.empty()) return false;
  if (stream.pending.ops > 0 || stream.reads_under_way > 0 || !stream.readers.empty()) return false;
  if (stream.wake_pending || stream.previous != nullptr) return false;
  return by_path_.find(stream.state.path) == &stream;
}

void Engine::Impl::note_idle(StreamEntry& stream) {
  if (!stream.idle && can_leave(stream)) list_idle(stream);
}

void Engine::Impl::list_idle(StreamEntry& stream) {
  if (std::exchange(stream.idle, true)) return;
  idle_.push_back(stream.state.id);
  arm_sweep(std::max(stream.accessed, stream.loaded));
}

void Engine::Impl::arm_sweep(Instant now) {
  if (std::exchange(sweep_armed_, true)) return;
  timers_.arm(now + kSweepEvery, Timer::Kind::kEvict, 0);
}

bool Engine::Impl::stays(const StreamEntry& stream, Instant now) const {
  // An answer that is still on its way may be older than what the stream has become since.
  if (oldest_find() < stream.loaded_at_find) return true;
  // Its path is known to be free of the stream before it: it would not be looked for there.
  if (!gone_paths_.empty() && gone_paths_.count(stream.state.path) > 0) return true;
  if (!stream.state.soft_deleted && expired(stream, now)) return true;
  const bool scarce = state_bytes() + cache_.bytes() + bodies_.bytes() > config_.memory_bytes;
  return !scarce && now - std::max(stream.accessed, stream.loaded) < config_.evict_after;
}

// A clock hand: who has been used since the last time round stays.
void Engine::Impl::sweep(Instant now) {
  sweep_armed_ = false;
  forget_gone(kSweepMax);
  for (size_t left = std::min(idle_.size(), kSweepMax); left > 0; --left) {
    const Incarnation id = idle_.front();
    idle_.pop_front();
    StreamEntry* stream = find_by_id(id);
    if (stream == nullptr) continue;
    const bool leaves = can_leave(*stream);
    const uint32_t last = stream->last_generation;
    const bool being_sealed = last > sealed_through_ && last <= sealing_through_;
    if (leaves ? stays(*stream, now) : being_sealed) {
      idle_.push_back(id);
      continue;
    }
    stream->idle = false;
    if (!leaves) continue;
    stats_.evictions++;
    elsewhere_ = 1;
    forget_stream(*stream);
  }
  shrink_table(by_id_);
  by_path_.shrink();
  if (!idle_.empty() || may_forget_gone()) arm_sweep(now);
}

}  // namespace ds::engine
