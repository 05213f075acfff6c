// Requests that change a stream: dispatch, create, append, delete (PROTOCOL §5.1–5.4).
#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"

namespace ds::engine {

using stream::AppendDecision;
using stream::Op;
using stream::OpType;
using stream::WriteAnswer;
using wire::ErrorCode;

void Engine::Impl::on_request(RequestId id, const wire::RequestText& text, Instant now) {
  if (may_be_elsewhere(text.path)) {
    wait_for(text.path, std::make_unique<OwnedRequest>(id, text), now);
    return;
  }
  dispatch(id, text, now);
}

void Engine::Impl::dispatch(RequestId id, const wire::RequestText& text, Instant now) {
  const Result<wire::Request, ErrorCode> parsed = wire::parse_request(text, scratch_);
  if (!parsed.ok()) {
    respond_error(id, parsed.error());
    return;
  }
  const wire::Request& request = parsed.value();
  if (const auto* append_request = std::get_if<wire::AppendRequest>(&request)) {
    append(id, text.path, *append_request, now);
  } else if (const auto* read_request = std::get_if<wire::ReadRequest>(&request)) {
    read(id, text.path, *read_request, now);
  } else if (const auto* create_request = std::get_if<wire::CreateRequest>(&request)) {
    create(id, text, *create_request, now);
  } else if (std::holds_alternative<wire::HeadRequest>(request)) {
    head(id, text.path, now);
  } else {
    remove(id, text.path, now);
  }
}

StreamEntry* Engine::Impl::find_newest(std::string_view path, Instant now) {
  StreamEntry* const stream = by_path_.find(path);
  if (stream != nullptr) expire_if_due(*stream, now);
  return stream;
}

StreamEntry* Engine::Impl::find_readable(std::string_view path, Instant now) {
  StreamEntry* stream = find_newest(path, now);
  while (stream != nullptr && !stream->committed()) stream = stream->previous;
  return stream;
}

const StreamEntry* Engine::Impl::committed(std::string_view path) const {
  const StreamEntry* stream = by_path_.find(path);
  while (stream != nullptr && !stream->committed()) stream = stream->previous;
  return stream;
}

StreamEntry* Engine::Impl::find_by_id(Incarnation id) {
  const auto found = by_id_.find(id.value);
  return found == by_id_.end() ? nullptr : found->second.get();
}

StreamEntry& Engine::Impl::add_stream(stream::StreamState state) {
  auto owned = std::make_unique<StreamEntry>();
  StreamEntry& stream = *owned;
  stream.state = std::move(state);
  stream.loaded_at_find = next_find_;
  indexed_ += stream.state.index.size() - stream.state.index.first();
  stream.accessed = stream.state.accessed;
  stream.content_type = share(stream.state.config.content_type);
  stream.pending.writer = stream.state.writer;
  by_id_.emplace(stream.state.id.value, std::move(owned));
  stream.previous = by_path_.put(stream);
  by_name_.insert(&stream);
  return stream;
}

void Engine::Impl::forget_stream(StreamEntry& stream) {
  DS_ASSERT(stream.readers.empty());
  if (stream.wake_pending) std::erase(woken_, &stream);
  indexed_ -= stream.state.index.size() - stream.state.index.first();
  StreamEntry* newer = by_path_.find(stream.state.path);
  DS_ASSERT(newer != nullptr);
  if (newer != &stream) {
    while (newer->previous != &stream) newer = newer->previous;
    newer->previous = stream.previous;
  } else if (stream.previous != nullptr) {
    by_path_.put(*stream.previous);
  } else {
    by_path_.remove(stream);
  }
  by_name_.erase(&stream);
  by_id_.erase(stream.state.id.value);
}

Incarnation Engine::Impl::next_life(Instant now) {
  uint64_t life = last_life_.value + 1;
  if (now.us > 0 && static_cast<uint64_t>(now.us) > life) life = static_cast<uint64_t>(now.us);
  life += (index_ + kEnginesMax - life % kEnginesMax) % kEnginesMax;
  last_life_ = Incarnation{life};
  return last_life_;
}

void Engine::Impl::create(RequestId id, const wire::RequestText& text,
                          const wire::CreateRequest& request, Instant now) {
  StreamEntry* newest = find_newest(text.path, now);
  if (newest != nullptr && !newest->pending.gone) {
    if (newest->pending.soft_deleted) {
      answer_error(newest, id, ErrorCode::kPathHeld);
      return;
    }
    const bool matches = stream::create_matches(newest->state.config, newest->state.lives,
                                                newest->pending.writer, request);
    if (!matches) {
      answer_error(newest, id, ErrorCode::kStreamExists);
      return;
    }
    touch(*newest, now);
    answer_response(newest, id, created_response(200, *newest, std::string()));
    return;
  }
  NewStream what;
  what.path = text.path;
  what.content_type =
      request.content_type.empty() ? stream::kDefaultContentType : request.content_type;
  what.ttl_seconds = request.ttl_seconds;
  what.expires_at = request.expires_at;
  what.retention = {request.max_age_seconds, request.max_bytes};
  what.closed = request.closed;
  what.location = std::string(text.origin).append(text.raw_path);
  if (request.fork) {
    // Its room is taken when its source is pinned; but a pin takes room too.
    if (storage_refusal_ != ErrorCode::kNone) return answer_error(newest, id, storage_refusal_);
    begin_fork(id, request, std::move(what), now);
    return;
  }
  const ErrorCode refused = take_room();
  if (refused != ErrorCode::kNone) return answer_error(newest, id, refused);
  create_stream(id, std::move(what), request.body, next_life(now), std::nullopt, nullptr, now);
}

ErrorCode Engine::Impl::take_room() {
  if (storage_refusal_ != ErrorCode::kNone) return storage_refusal_;
  const bool taken = config_.quota == nullptr || config_.quota->take();
  return taken ? ErrorCode::kNone : ErrorCode::kTooManyStreams;
}

void Engine::Impl::create_stream(RequestId id, NewStream what, const wire::Body& body,
                                 Incarnation life, std::optional<stream::ForkOrigin> origin,
                                 stream::ForkBase* base, Instant now) {
  Op op;
  op.type = OpType::kCreate;
  op.closes = what.closed;
  op.stream = life;
  op.path_hash = path_hash(what.path);
  op.time = now;
  Op::Create& facts = op.create.emplace();
  facts.path = what.path;
  facts.content_type = what.content_type;
  facts.ttl_seconds = what.ttl_seconds;
  facts.expires_at = what.expires_at;
  facts.retention = what.retention;
  facts.fork = std::move(origin);
  stream::MessageIndex inherited;
  if (base != nullptr) {
    op.position = base->position;
    if (base->earliest > Position{0}) op.earliest = base->earliest;
    facts.lives = std::move(base->lives);
    inherited = std::move(base->index);
    // A generation may have been sealed while this was on its way.
    inherited.drop_through(sealed_through_);
  }
  facts.lives.push_back(stream::LifeSpan{op.position, life, false});

  for (auto& [number, attempt] : forks_) {
    if (attempt->path == what.path) attempt->overtaken = true;
  }
  // Not visible to readers until the op is durable: only the pending state has its first message.
  StreamEntry& stream = add_stream(stream::new_state(op, std::move(inherited)));
  stream.pending.created = true;
  note_inherited(stream);
  Entry entry;
  entry.has_request = true;
  entry.request = id;
  add_op(stream, op, &body, std::move(entry));
  batches_.back().entries.back().response =
      std::make_unique<wire::Response>(created_response(201, stream, std::move(what.location)));
}

wire::Response Engine::Impl::created_response(uint16_t status, const StreamEntry& stream,
                                              std::string location) {
  wire::Response response;
  response.status = status;
  response.content_type = Slice(stream.content_type);
  response.next_offset = stream::offset_at(pending_lives(stream), stream.pending.writer.tail);
  response.closed = stream.pending.writer.closed;
  response.location = std::move(location);
  return response;
}

void Engine::Impl::append(RequestId id, std::string_view path, const wire::AppendRequest& request,
                          Instant now) {
  StreamEntry* stream = find_newest(path, now);
  if (stream == nullptr || stream->pending.gone) {
    answer_error(stream, id, ErrorCode::kNotFound);
    return;
  }
  if (stream->pending.soft_deleted) {
    answer_error(stream, id, ErrorCode::kStreamDeleted);
    return;
  }
  const producer::ProducerState* producer = nullptr;
  if (request.producer) {
    const auto pending = stream->pending.producers.find(request.producer->id);
    if (pending != stream->pending.producers.end()) {
      producer = &pending->second;
    } else {
      const auto known = stream->state.producers.find(request.producer->id);
      if (known != stream->state.producers.end()) producer = &known->second;
    }
  }
  begin_new_life(*stream, now);
  const AppendDecision decision = stream::decide_append(
      {stream->state.config, pending_lives(*stream), stream->pending.writer, producer}, request);
  if (decision.kind == AppendDecision::Kind::kAnswer) {
    // A repetition is an access, and leaves no op of its own to put that on record.
    if (decision.answer.error == ErrorCode::kNone) touch(*stream, now);
    answer(stream, id, decision.answer);
    return;
  }
  const bool has_body = decision.kind == AppendDecision::Kind::kAppend;
  if (has_body && storage_refusal_ != ErrorCode::kNone) {
    return answer_error(stream, id, storage_refusal_);
  }
  // A process may know only an earlier time than the one before it.
  stream->accessed = std::max(stream->accessed, now);
  Op op = op_for(*stream, has_body ? OpType::kAppend : OpType::kClose, now);
  op.closes = request.close;
  if (request.producer) {
    op.producer =
        Op::Producer{request.producer->id, request.producer->epoch, request.producer->seq};
  }
  op.stream_seq = request.stream_seq;
  Entry entry;
  entry.has_request = true;
  entry.request = id;
  entry.answer = decision.answer;
  add_op(*stream, op, has_body ? &request.body : nullptr, std::move(entry));
}

void Engine::Impl::remove(RequestId id, std::string_view path, Instant now) {
  StreamEntry* stream = find_newest(path, now);
  if (stream == nullptr || stream->pending.gone) {
    answer_error(stream, id, ErrorCode::kNotFound);
    return;
  }
  if (stream->pending.soft_deleted) {
    answer_error(stream, id, ErrorCode::kStreamDeleted);
    return;
  }
  Op op = op_for(*stream, OpType::kDelete, now);
  Entry entry;
  entry.has_request = true;
  entry.request = id;
  entry.answer.status = 204;
  add_op(*stream, op, nullptr, std::move(entry));
}

}  // namespace ds::engine
