// Batches and their end: from decided ops to committed state.
#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"
#include "core/stream/op_record.h"

namespace ds::engine {

using stream::Op;
using stream::OpType;
using wire::ErrorCode;

namespace {

// A batch of large ops makes its own room, as much as each of them needs.
constexpr size_t kHintBytesMax = 128 << 10;

// A batch's string may have grown to twice its size, or have been reserved for one as large as the
// batch before it; what the cache keeps should not. (A copy: without exceptions `shrink_to_fit` of
// libstdc++ does nothing.)
SharedBytes share_trimmed(std::string records) {
  constexpr size_t kSlackBytes = 128;
  if (records.capacity() > records.size() + records.size() / 4 + kSlackBytes) {
    records = std::string(std::string_view(records));
  }
  return share(std::move(records));
}

std::string_view record_at(std::string_view records, size_t at) {
  const std::string_view rest = records.substr(at);
  const std::optional<uint32_t> size = stream::peek_record_size(rest);
  DS_ASSERT(size.has_value());
  return rest.substr(0, *size);
}

wire::Response to_response(const stream::WriteAnswer& answer) {
  wire::Response response;
  response.status = answer.status;
  response.error = answer.error;
  response.closed = answer.closed;
  response.next_offset = answer.next_offset;
  if (answer.has_producer) {
    response.producer_epoch = answer.producer_epoch;
    if (answer.error == ErrorCode::kNone) response.producer_seq = answer.producer_seq;
  }
  if (answer.has_gap) {
    response.expected_seq = answer.expected_seq;
    response.received_seq = answer.received_seq;
  }
  return response;
}

}  // namespace

Engine::Impl::PendingBatch& Engine::Impl::open_batch() {
  if (!open_) {
    PendingBatch& batch = batches_.emplace_back();
    batch.id = next_batch_++;
    if (batch_bytes_hint_ <= kHintBytesMax) batch.records.reserve(batch_bytes_hint_);
    batch.entries.reserve(batch_entries_hint_);
    open_ = true;
  }
  return batches_.back();
}

Op Engine::Impl::op_for(const StreamEntry& stream, OpType type, Instant now) const {
  Op op;
  op.type = type;
  op.stream = stream.state.id;
  op.path_hash = stream.state.path_hash;
  op.position = stream.pending.writer.tail;
  op.time = now;
  return op;
}

void Engine::Impl::add_op(StreamEntry& stream, Op& op, const wire::Body* body, Entry entry) {
  PendingBatch& batch = open_batch();
  const size_t at = stream::append_record(batch.records, op, body);
  op.payload = stream::record_payload(std::string_view(batch.records).substr(at));
  advance_pending(stream, op);
  stream.pending.ops++;
  stream.pending.last_batch = batch.id;
  batch.ops++;
  stats_.pending_ops++;
  entry.stream = &stream;
  entry.record = static_cast<uint32_t>(at);
  entry.has_op = true;
  batch.entries.push_back(std::move(entry));
}

void Engine::Impl::add_dependent(StreamEntry& stream, Entry entry) {
  DS_ASSERT(stream.pending.ops > 0);
  for (auto batch = batches_.rbegin(); batch != batches_.rend(); ++batch) {
    if (batch->id != stream.pending.last_batch) continue;
    batch->entries.push_back(std::move(entry));
    return;
  }
  DS_ASSERT(false);
}

void Engine::Impl::advance_pending(StreamEntry& stream, const Op& op) {
  PendingState& pending = stream.pending;
  switch (op.type) {
    case OpType::kCreate:
    case OpType::kAppend:
    case OpType::kClose:
      stream::advance(pending.writer, op);
      if (op.producer) {
        auto found = pending.producers.find(op.producer->id);
        if (found == pending.producers.end()) {
          const auto known = stream.state.producers.find(op.producer->id);
          found = pending.producers
                      .emplace(op.producer->id, known == stream.state.producers.end()
                                                    ? producer::ProducerState()
                                                    : known->second)
                      .first;
        }
        found->second.accept(op.producer->epoch, op.producer->seq, op.end());
      }
      break;
    case OpType::kDelete:
    case OpType::kExpire:
      (pending.pins == 0 ? pending.gone : pending.soft_deleted) = true;
      break;
    case OpType::kPin:
      pending.pins++;
      break;
    case OpType::kUnpin:
      pending.pins--;
      if (pending.soft_deleted && pending.pins == 0) pending.gone = true;
      break;
    case OpType::kNewLife:
      pending.new_life = stream::LifeSpan{op.position, *op.new_life, true};
      break;
    case OpType::kTouch:
    case OpType::kTrim:
      break;
  }
}

std::optional<Batch> Engine::Impl::take_batch() {
  if (!open_) return std::nullopt;
  open_ = false;
  PendingBatch& batch = batches_.back();
  batch_bytes_hint_ = batch.records.size();
  batch_entries_hint_ = batch.entries.size();
  batch.shared = share_trimmed(std::move(batch.records));
  return Batch{batch.id, batch.shared, batch.ops};
}

void Engine::Impl::on_commit(uint64_t batch_id, CommitOutcome outcome, LogPosition first_record,
                             Instant now) {
  DS_ASSERT(!batches_.empty());
  DS_ASSERT(batches_.front().id == batch_id);
  DS_ASSERT(batches_.front().shared != nullptr);
  if (outcome != CommitOutcome::kDurable) {
    fail_everything(outcome, now);
    return;
  }
  PendingBatch batch = std::move(batches_.front());
  batches_.pop_front();
  stats_.pending_ops -= batch.ops;
  bodies_.shrink(bodies_budget());
  cache_.push(first_record, batch.shared, records_budget());
  for (Entry& entry : batch.entries) {
    if (entry.has_op) apply_entry(entry, *batch.shared, first_record);
    complete(entry);
  }
  // Now that all of the batch is applied: what is still pending is in a batch that follows.
  const std::vector<std::unique_ptr<stream::PinRequest>> pins = std::move(settled_pins_);
  settled_pins_.clear();
  for (const auto& request : pins) pin(std::move(*request), now);
  wake_marked(now);
}

void Engine::Impl::apply_entry(Entry& entry, std::string_view records, LogPosition first_record) {
  StreamEntry& stream = *entry.stream;
  const std::string_view record = record_at(records, entry.record);
  const std::optional<Op> op = stream::decode_record_unchecked(record);
  DS_ASSERT(op.has_value());
  const LogPosition at = first_record + entry.record;
  const size_t indexed_before = stream.state.index.size();
  const bool applied = stream::apply(stream.state, *op, at);
  DS_ASSERT(applied);
  stream.last_generation = at.generation();
  indexed_ += stream.state.index.size() - indexed_before;
  stream.pending.ops--;
  if (stream.pending.ops == 0) stream.pending.producers.clear();
  switch (op->type) {
    case OpType::kCreate:
      stream.pending.created = false;
      arm_expiry(stream, op->time);
      break;
    case OpType::kAppend:
    case OpType::kClose:
      mark_for_wake(stream);
      break;
    case OpType::kNewLife:
      stream.pending.new_life.reset();
      stream.owes_new_life = false;
      break;
    case OpType::kTouch:
      stream.touch_pending = false;
      break;
    case OpType::kExpire:
      stats_.expired_streams++;
      [[fallthrough]];
    case OpType::kDelete:
      end_readers(stream, stream.state.gone ? ErrorCode::kNotFound : ErrorCode::kStreamDeleted);
      break;
    case OpType::kPin:
    case OpType::kUnpin:
    case OpType::kTrim:
      break;
  }
  if (stream.state.gone) {
    release_source(stream.state);
    if (config_.quota != nullptr) config_.quota->give_back();
    bury(stream);
    forget_stream(stream);
    entry.stream = nullptr;
  }
}

void Engine::Impl::complete(Entry& entry) {
  if (entry.pin != nullptr) {
    if (entry.has_op) {
      reply_pin(*entry.pin, *entry.stream, entry.pin_anchor, entry.pin_position);
    } else if (entry.pin_error != ErrorCode::kNone) {
      refuse_pin(*entry.pin, entry.pin_error);
    } else {
      settled_pins_.push_back(std::move(entry.pin));
    }
    return;
  }
  if (!entry.has_request) return;
  if (entry.response != nullptr) {
    respond(entry.request, std::move(*entry.response));
  } else {
    respond(entry.request, to_response(entry.answer));
  }
}

void Engine::Impl::fail_everything(CommitOutcome outcome, Instant now) {
  const ErrorCode code =
      outcome == CommitOutcome::kDiskFull ? ErrorCode::kStorageFull : ErrorCode::kStorageFailed;
  epoch_++;
  open_ = false;
  std::deque<PendingBatch> failed = std::move(batches_);
  batches_.clear();
  stats_.pending_ops = 0;
  std::vector<StreamEntry*> touched;
  for (PendingBatch& batch : failed) {
    for (Entry& entry : batch.entries) {
      if (entry.has_request) respond_error(entry.request, code);
      if (entry.pin != nullptr) refuse_pin(*entry.pin, code);
      if (!entry.has_op) continue;
      touched.push_back(entry.stream);
      const std::string_view records =
          batch.shared ? std::string_view(*batch.shared) : batch.records;
      const std::optional<Op> op =
          stream::decode_record_unchecked(record_at(records, entry.record));
      if (op && op->type == OpType::kUnpin) {
        failed_unpins_.push_back({op->stream, op->path_hash, op->pin->child});
      }
    }
  }
  // Newest first, so that a stream that never came to be gives its path back to the one before.
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  std::sort(touched.begin(), touched.end(),
            [](const StreamEntry* a, const StreamEntry* b) { return a->state.id > b->state.id; });
  constexpr Duration kRetry = seconds(1);
  if (!failed_unpins_.empty()) timers_.arm(now + kRetry, Timer::Kind::kUnpin, 0);
  for (StreamEntry* stream : touched) {
    if (stream->pending.created) {
      release_source(stream->state);
      if (config_.quota != nullptr) config_.quota->give_back();
      forget_stream(*stream);
      continue;
    }
    reset_pending(*stream);
    if (stream->owes_new_life) {
      timers_.arm(now + kRetry, Timer::Kind::kNewLife, stream->state.id.value);
    }
    if (expired(*stream, now)) arm_expiry_at(*stream, now + kRetry);
    note_idle(*stream);
  }
}

void Engine::Impl::reset_pending(StreamEntry& stream) {
  PendingState& pending = stream.pending;
  pending = PendingState();
  pending.soft_deleted = stream.state.soft_deleted;
  pending.pins = static_cast<uint32_t>(stream.state.pins.size());
  pending.writer = stream.state.writer;
  stream.touch_pending = false;
}

void Engine::Impl::respond(RequestId id, wire::Response response) {
  out->emplace_back(Respond{id, std::move(response)});
}

void Engine::Impl::respond_error(RequestId id, ErrorCode code) {
  respond(id, wire::error_response(code));
}

void Engine::Impl::answer(StreamEntry* stream, RequestId id, const stream::WriteAnswer& answer) {
  if (stream == nullptr || stream->pending.ops == 0) {
    respond(id, to_response(answer));
    return;
  }
  Entry entry;
  entry.has_request = true;
  entry.request = id;
  entry.answer = answer;
  add_dependent(*stream, std::move(entry));
}

void Engine::Impl::answer_error(StreamEntry* stream, RequestId id, ErrorCode code) {
  answer_response(stream, id, wire::error_response(code));
}

void Engine::Impl::answer_response(StreamEntry* stream, RequestId id, wire::Response response) {
  if (stream == nullptr || stream->pending.ops == 0) {
    respond(id, std::move(response));
    return;
  }
  Entry entry;
  entry.has_request = true;
  entry.request = id;
  entry.response = std::make_unique<wire::Response>(std::move(response));
  add_dependent(*stream, std::move(entry));
}

}  // namespace ds::engine
