#include "core/stream/state.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace ds::stream {
namespace {

void index_message(StreamState& state, const Op& op, LogPosition record) {
  if (op.payload.empty()) return;
  state.newest_ms = static_cast<uint64_t>(op.time.us / 1000);
  state.index.push(MessageEntry{op.end(), record, state.newest_ms});
}

void apply_write(StreamState& state, const Op& op, LogPosition record) {
  index_message(state, op, record);
  advance(state.writer, op);
  if (op.producer) {
    auto found = state.producers.find(op.producer->id);
    if (found == state.producers.end()) {
      found = state.producers.emplace(op.producer->id, producer::ProducerState()).first;
    }
    found->second.accept(op.producer->epoch, op.producer->seq, op.end());
  }
  state.accessed = std::max(state.accessed, op.time);
}

void remove_stream(StreamState& state) {
  (state.pins.empty() ? state.gone : state.soft_deleted) = true;
}

bool fits(const StreamState& state, const Op& op) {
  if (op.stream != state.id || state.gone || op.position != state.writer.tail) return false;
  if (op.type != OpType::kAppend && op.type != OpType::kClose) return true;
  if (state.writer.closed || state.soft_deleted) return false;
  if (!op.producer) return true;
  const auto found = state.producers.find(op.producer->id);
  const producer::Verdict verdict = found == state.producers.end()
                                        ? producer::judge_unknown(op.producer->seq)
                                        : found->second.judge(op.producer->epoch, op.producer->seq);
  return verdict == producer::Verdict::kAccept;
}

}  // namespace

void advance(WriterState& writer, const Op& op) {
  DS_ASSERT(op.position == writer.tail);
  writer.tail = op.end();
  writer.closed = writer.closed || op.closes;
  if (op.stream_seq) {
    writer.has_seq = true;
    writer.last_seq = *op.stream_seq;
  }
}

StreamState new_state(const Op& op, MessageIndex inherited) {
  DS_ASSERT(op.type == OpType::kCreate);
  DS_ASSERT(op.create.has_value());
  StreamState state;
  state.id = op.stream;
  state.path = op.create->path;
  state.path_hash = op.path_hash;
  state.config.content_type = op.create->content_type;
  state.config.kind = wire::content_kind(state.config.content_type);
  state.config.ttl_seconds = op.create->ttl_seconds;
  state.config.expires_at = op.create->expires_at;
  state.config.retention = op.create->retention;
  state.config.fork = op.create->fork;
  state.lives = op.create->lives;
  state.index = std::move(inherited);
  if (state.index.empty()) state.index.start_at(op.position);
  state.earliest = op.earliest.value_or(Position{0});
  state.writer.tail = op.position;
  state.accessed = op.time;
  return state;
}

bool apply(StreamState& state, const Op& op, LogPosition record) {
  if (!fits(state, op)) return false;
  switch (op.type) {
    case OpType::kCreate:
    case OpType::kAppend:
    case OpType::kClose:
      apply_write(state, op, record);
      return true;
    case OpType::kDelete:
    case OpType::kExpire:
      remove_stream(state);
      return true;
    case OpType::kTouch:
      state.accessed = std::max(state.accessed, op.time);
      return true;
    case OpType::kPin:
      state.pins.emplace(op.pin->child, Pin{op.pin->child_path_hash, op.pin->position});
      return true;
    case OpType::kUnpin:
      state.pins.erase(op.pin->child);
      if (state.soft_deleted && state.pins.empty()) state.gone = true;
      return true;
    case OpType::kNewLife:
      if (*op.new_life <= state.lives.back().life) return false;
      state.lives.push_back(LifeSpan{state.writer.tail, *op.new_life, true});
      return true;
    case OpType::kTrim:
      if (*op.earliest > state.writer.tail) return false;
      state.earliest = std::max(state.earliest, *op.earliest);
      return true;
  }
  return false;
}

bool needs(const StreamState& state, Position begin, Position end) {
  if (!state.soft_deleted && end > state.earliest) return true;
  return std::any_of(state.pins.begin(), state.pins.end(),
                     [&](const auto& pin) { return begin < pin.second.position; });
}

Instant expiry(const StreamConfig& config, Instant accessed) {
  if (config.expires_at) return *config.expires_at;
  if (config.ttl_seconds) return accessed + seconds(static_cast<int64_t>(*config.ttl_seconds));
  return kNever;
}

}  // namespace ds::stream
