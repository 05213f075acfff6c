// Forks: two sequencers, a pin, and nothing that spans both (PROTOCOL §4.2).
#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"

namespace ds::engine {

using stream::Op;
using stream::OpType;
using stream::PinReply;
using stream::PinRequest;
using stream::ReadPlan;
using wire::ErrorCode;

namespace {

template <typename T>
void post(Actions& out, uint64_t to_path_hash, T body) {
  PeerMessage& message = std::get<PeerMessage>(out.emplace_back(std::in_place_type<PeerMessage>));
  message.to_path_hash = to_path_hash;
  message.body.emplace<T>(std::move(body));
}

}  // namespace

// --- The child's side
// -----------------------------------------------------------------------------

void Engine::Impl::begin_fork(RequestId id, const wire::CreateRequest& request, NewStream what,
                              Instant now) {
  auto attempt = std::make_unique<ForkAttempt>();
  attempt->request = id;
  attempt->path = what.path;
  attempt->content_type = request.content_type;
  attempt->body = request.body.bytes;
  attempt->source_path = request.fork->path;
  attempt->offset = request.fork->offset;
  attempt->sub_offset = request.fork->sub_offset;
  attempt->what = std::move(what);
  attempt->what.path = attempt->path;
  ask_for_pin(std::move(attempt), now);
}

void Engine::Impl::ask_for_pin(std::unique_ptr<ForkAttempt> attempt, Instant now) {
  attempt->child = next_life(now);
  attempt->overtaken = false;
  PinRequest pin;
  pin.attempt = next_fork_++;
  pin.child_path_hash = path_hash(attempt->path);
  pin.child = attempt->child;
  pin.source_path = attempt->source_path;
  pin.offset = attempt->offset;
  pin.sub_offset = attempt->sub_offset;
  pin.content_type = attempt->content_type;
  const uint64_t source_path_hash = path_hash(attempt->source_path);
  forks_.emplace(pin.attempt, std::move(attempt));
  post(*out, source_path_hash, std::move(pin));
}

std::unique_ptr<Engine::Impl::ForkAttempt> Engine::Impl::take_attempt(uint64_t number) {
  const auto found = forks_.find(number);
  DS_ASSERT(found != forks_.end());
  std::unique_ptr<ForkAttempt> attempt = std::move(found->second);
  forks_.erase(found);
  return attempt;
}

void Engine::Impl::on_pin_reply(const PinReply& reply, Instant now) {
  const auto found = forks_.find(reply.attempt);
  DS_ASSERT(found != forks_.end());
  // While it waits it remains an attempt, which another stream at its path may overtake.
  const std::string& path = found->second->path;
  if (may_be_elsewhere(path)) return wait_for(path, std::make_unique<PinReply>(reply), now);
  finish_fork(take_attempt(reply.attempt), reply, now);
}

void Engine::Impl::finish_fork(std::unique_ptr<ForkAttempt> owned, const PinReply& reply,
                               Instant now) {
  ForkAttempt& attempt = *owned;
  stream::ForkBase* base = reply.base.get();
  const auto give_up = [&] {
    if (base != nullptr) send_unpin(base->source, base->source_path_hash, attempt.child);
  };
  // The same fork may have been created by another request in the meantime.
  StreamEntry* newest = find_newest(attempt.path, now);
  if (newest != nullptr && !newest->pending.gone) {
    give_up();
    wire::CreateRequest request;
    request.content_type = attempt.content_type;
    request.ttl_seconds = attempt.what.ttl_seconds;
    request.expires_at = attempt.what.expires_at;
    request.max_age_seconds = attempt.what.retention.max_age_seconds;
    request.max_bytes = attempt.what.retention.max_bytes;
    request.closed = attempt.what.closed;
    request.fork = wire::ForkSource{attempt.source_path, attempt.offset, {}, attempt.sub_offset};
    if (!newest->pending.soft_deleted &&
        stream::create_matches(newest->state.config, newest->state.lives, newest->pending.writer,
                               request)) {
      answer_response(newest, attempt.request, created_response(200, *newest, std::string()));
    } else {
      answer_error(newest, attempt.request,
                   newest->pending.soft_deleted ? ErrorCode::kPathHeld : ErrorCode::kStreamExists);
    }
    return;
  }
  const bool too_old = reply.newer_than != Incarnation{};
  if (too_old || (base != nullptr && attempt.overtaken)) {
    give_up();
    last_life_ = std::max(last_life_, reply.newer_than);
    ask_for_pin(std::move(owned), now);
    return;
  }
  if (base == nullptr) {
    respond_error(attempt.request, reply.error);
    return;
  }
  wire::Body body;
  const ErrorCode bad_body = wire::check_body(attempt.body, base->content_type,
                                              wire::EmptyArray::kAllowed, scratch_.elements, body);
  if (bad_body != ErrorCode::kNone) {
    give_up();
    respond_error(attempt.request, bad_body);
    return;
  }
  const ErrorCode refused = take_room();
  if (refused != ErrorCode::kNone) {
    give_up();
    respond_error(attempt.request, refused);
    return;
  }
  if (base->bytes != nullptr) base->index = cache_.adopt(base->index, *base->bytes);
  NewStream what = std::move(attempt.what);
  what.path = attempt.path;
  what.content_type = base->content_type;
  if (!what.ttl_seconds && !what.expires_at) {
    what.ttl_seconds = base->ttl_seconds;
    what.expires_at = base->expires_at;
  }
  stream::ForkOrigin origin;
  origin.source = base->source;
  origin.source_path_hash = base->source_path_hash;
  origin.source_path = attempt.source_path;
  origin.anchor = base->anchor;
  origin.sub_offset = attempt.sub_offset;
  origin.position = base->position;
  create_stream(attempt.request, std::move(what), body, attempt.child, std::move(origin), base,
                now);
}

void Engine::Impl::release_source(const stream::StreamState& child) {
  if (!child.config.fork) return;
  send_unpin(child.config.fork->source, child.config.fork->source_path_hash, child.id);
}

void Engine::Impl::send_unpin(Incarnation source, uint64_t source_path_hash, Incarnation child) {
  post(*out, source_path_hash, stream::Unpin{source, source_path_hash, child});
}

void Engine::Impl::on_peer(const PeerMessage& message, Instant now) {
  if (const auto* request = std::get_if<PinRequest>(&message.body)) {
    pin(*request, now);
  } else if (const auto* unpin_message = std::get_if<stream::Unpin>(&message.body)) {
    unpin(*unpin_message, now);
  } else {
    on_pin_reply(std::get<PinReply>(message.body), now);
  }
}

// --- The source's side
// ----------------------------------------------------------------------------

void Engine::Impl::refuse_pin(const PinRequest& request, ErrorCode code) {
  PinReply reply;
  reply.attempt = request.attempt;
  reply.error = code;
  post(*out, request.child_path_hash, std::move(reply));
}

void Engine::Impl::pin(PinRequest request, Instant now) {
  if (may_be_elsewhere(request.source_path)) {
    const std::string path = request.source_path;
    wait_for(path, std::make_unique<PinRequest>(std::move(request)), now);
    return;
  }
  StreamEntry* source = find_newest(request.source_path, now);
  if (source == nullptr) {
    refuse_pin(request, ErrorCode::kForkSourceNotFound);
    return;
  }
  if (source->pending.gone || source->pending.soft_deleted || source->pending.created) {
    // What there is to say depends on ops that are not durable yet, or is settled.
    Entry entry;
    if (source->pending.gone) {
      entry.pin_error = ErrorCode::kForkSourceNotFound;
    } else if (source->pending.soft_deleted) {
      entry.pin_error = ErrorCode::kForkSourceDeleted;
    }
    if (source->pending.ops == 0) {
      refuse_pin(request, entry.pin_error);
      return;
    }
    entry.pin = std::make_unique<PinRequest>(std::move(request));
    add_dependent(*source, std::move(entry));
    return;
  }
  const stream::StreamState& state = source->state;
  // Hosts whose engines hand out lives without knowing of each other may give two forks one life.
  const auto held = state.pins.find(request.child);
  const bool taken =
      held != state.pins.end() && held->second.child_path_hash != request.child_path_hash;
  if (taken || request.child <= state.life()) {
    PinReply reply;
    reply.attempt = request.attempt;
    reply.newer_than = std::max(request.child, state.life());
    post(*out, request.child_path_hash, std::move(reply));
    return;
  }
  if (!request.content_type.empty() &&
      !wire::same_media_type(request.content_type, state.config.content_type)) {
    refuse_pin(request, ErrorCode::kContentTypeMismatch);
    return;
  }
  // Committed state only: the tail that an answered append has reached is part of it.
  Position anchor = state.writer.tail;
  if (request.offset && *request.offset == Offset{}) {
    anchor = Position{0};
  } else if (request.offset) {
    const std::optional<Position> at =
        stream::resolve_offset(state.lives, *request.offset, state.writer.tail);
    if (!at) {
      refuse_pin(request, ErrorCode::kInvalidForkOffset);
      return;
    }
    if (request.offset->position > *at) {
      refuse_pin(request, ErrorCode::kForkOffsetBeyondTail);
      return;
    }
    anchor = *at;
  }
  if (anchor < state.earliest) {
    refuse_pin(request, ErrorCode::kInvalidForkOffset);
    return;
  }
  const bool sealed = anchor < state.index.begin();
  if (!sealed) {
    const size_t next = state.index.first_ending_after(anchor);
    const bool at_message_end = next == state.index.size() || state.index.start_of(next) == anchor;
    if (!at_message_end) {
      refuse_pin(request, ErrorCode::kInvalidForkOffset);
      return;
    }
    if (request.sub_offset == 0) {
      make_pin(*source, std::move(request), anchor, anchor, now);
      return;
    }
    if (next == state.index.size()) {
      refuse_pin(request, ErrorCode::kForkSubOffsetBeyondMessage);
      return;
    }
    ReadPlan message;
    message.first = next;
    message.last = next + 1;
    message.begin = anchor;
    message.end = state.index.at(next).end;
    if (state.config.kind != wire::ContentKind::kJson) {
      pin_inside(std::move(request), *source, message.begin, message.end, {}, now);
      return;
    }
    if (const std::optional<std::string> bytes = copy_bytes(state, message)) {
      pin_inside(std::move(request), *source, message.begin, message.end, *bytes, now);
      return;
    }
  }
  // The one message that begins at the anchor has to be looked at.
  ChunkRead read;
  read.kind = ChunkRead::Kind::kPin;
  read.boundary = anchor + 1;
  read.pin = std::make_unique<PinRequest>(request);
  if (!begin_read(*source, anchor, std::move(read), now)) {
    refuse_pin(request, ErrorCode::kOverloaded);
  }
}

void Engine::Impl::pin_after_read(ChunkRead read, Instant now) {
  PinRequest& request = *read.pin;
  // While the bytes were on their way the source may have gone, or another may have taken its
  // place.
  StreamEntry* source = find_newest(request.source_path, now);
  const bool usable = source != nullptr && source->state.id == read.stream &&
                      !source->pending.gone && !source->pending.soft_deleted &&
                      read.from >= source->state.earliest;
  if (!usable) {
    pin(std::move(request), now);
    return;
  }
  if (read.ends.empty() || read.begin != read.from) {
    refuse_pin(request, ErrorCode::kInvalidForkOffset);
    return;
  }
  if (request.sub_offset == 0) {
    make_pin(*source, std::move(request), read.from, read.from, now);
    return;
  }
  pin_inside(std::move(request), *source, read.begin, read.ends.front(), read.parts.front().bytes,
             now);
}

void Engine::Impl::pin_inside(PinRequest request, StreamEntry& source, Position begin, Position end,
                              std::string_view bytes, Instant now) {
  std::optional<uint64_t> prefix;
  if (source.state.config.kind == wire::ContentKind::kJson) {
    prefix = wire::stored_json_prefix(bytes.substr(0, static_cast<size_t>(end - begin)),
                                      request.sub_offset);
  } else if (request.sub_offset <= end - begin) {
    prefix = request.sub_offset;
  }
  if (!prefix) {
    refuse_pin(request, ErrorCode::kForkSubOffsetBeyondMessage);
    return;
  }
  make_pin(source, std::move(request), begin, begin + *prefix, now);
}

void Engine::Impl::make_pin(StreamEntry& source, PinRequest request, Position anchor,
                            Position position, Instant now) {
  Op op = op_for(source, OpType::kPin, now);
  op.pin = Op::Pin{request.child, request.child_path_hash, position};
  Entry entry;
  entry.pin = std::make_unique<PinRequest>(std::move(request));
  entry.pin_anchor = anchor;
  entry.pin_position = position;
  add_op(source, op, nullptr, std::move(entry));
}

void Engine::Impl::reply_pin(const PinRequest& request, const StreamEntry& source, Position anchor,
                             Position position) {
  const stream::StreamState& state = source.state;
  auto base = std::make_shared<stream::ForkBase>();
  base->source = state.id;
  base->source_path_hash = state.path_hash;
  base->anchor = anchor;
  base->position = position;
  base->lives = stream::lives_until(state.lives, position);
  base->content_type = state.config.content_type;
  base->ttl_seconds = state.config.ttl_seconds;
  base->expires_at = state.config.expires_at;
  base->earliest = std::min(state.earliest, position);
  base->index = state.index.clipped(position);
  if (!config_.can_load && request.child.value % kEnginesMax != index_) {
    // Nobody else will ever find them.
    ReadPlan all;
    all.first = base->index.first();
    all.last = base->index.size();
    all.end = position;
    std::optional<std::string> bytes = copy_bytes(state, all);
    DS_ASSERT(bytes.has_value());
    base->bytes = share(std::move(*bytes));
  }
  PinReply reply;
  reply.attempt = request.attempt;
  reply.base = std::move(base);
  post(*out, request.child_path_hash, std::move(reply));
}

void Engine::Impl::unpin(const stream::Unpin& message, Instant now) {
  if (may_be_elsewhere(message.source)) return wait_for(message.source, message, now);
  StreamEntry* source = find_by_id(message.source);
  if (source == nullptr || source->pending.gone) return;
  if (source->state.pins.count(message.child) == 0) return;
  Op op = op_for(*source, OpType::kUnpin, now);
  op.pin = Op::Pin{message.child, 0, Position{0}};
  add_op(*source, op, nullptr, Entry());
}

}  // namespace ds::engine
