// Reads of what is there: HEAD and catch-up (PROTOCOL §5.5, §5.6), and the bytes of every plan.
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"
#include "core/stream/op_record.h"

namespace ds::engine {

using stream::ReadPlan;
using stream::StreamState;
using wire::ErrorCode;
using wire::OffsetParam;

namespace {

// Bodies up to this size, and those of many small messages, are copied into one piece.
constexpr uint64_t kCopyBytesMax = 64 << 10;
constexpr uint64_t kSliceBytesMin = 4096;

}  // namespace

wire::Response Engine::Impl::not_modified(const wire::Response& head) {
  wire::Response response = head;
  response.status = 304;
  response.content_type = Slice();
  return response;
}

StreamEntry* Engine::Impl::readable_or_refuse(RequestId id, std::string_view path, Instant now) {
  StreamEntry* stream = find_readable(path, now);
  if (stream == nullptr) {
    respond_error(id, ErrorCode::kNotFound);
    return nullptr;
  }
  if (stream->state.soft_deleted) {
    respond_error(id, ErrorCode::kStreamDeleted);
    return nullptr;
  }
  if (expired(*stream, now)) {
    // Its expiry is an op on its way: an answer that tells of it waits until it is durable.
    answer_error(stream, id,
                 stream->pending.gone ? ErrorCode::kNotFound : ErrorCode::kStreamDeleted);
    return nullptr;
  }
  return stream;
}

void Engine::Impl::head(RequestId id, std::string_view path, Instant now) {
  StreamEntry* stream = readable_or_refuse(id, path, now);
  if (stream == nullptr) return;
  const StreamState& state = stream->state;
  wire::Response response;
  response.status = 200;
  response.content_type = Slice(stream->content_type);
  response.next_offset = state.tail_offset();
  response.tail_etag = state.tail_offset();
  response.closed = state.writer.closed;
  response.ttl_seconds = state.config.ttl_seconds;
  response.expires_at = state.config.expires_at;
  if (state.newest_ms > 0) response.write_timestamp_ms = state.newest_ms;
  response.max_age_seconds = state.config.retention.max_age_seconds;
  response.max_bytes = state.config.retention.max_bytes;
  if (state.earliest > Position{0}) {
    response.earliest_offset = stream::offset_at(state.lives, state.earliest);
  }
  respond(id, std::move(response));
}

void Engine::Impl::read(RequestId id, std::string_view path, const wire::ReadRequest& request,
                        Instant now) {
  StreamEntry* stream = readable_or_refuse(id, path, now);
  if (stream == nullptr) return;
  const std::optional<Position> from = stream::resolve(stream->state, request.offset);
  const bool saw_lost_writes = stream->owes_new_life &&
                               request.offset.kind == OffsetParam::Kind::kAt &&
                               request.offset.at.position > stream->state.writer.tail;
  if (!from || saw_lost_writes) {
    respond_error(id, ErrorCode::kOffsetGone);
    return;
  }
  if (*from < stream->state.earliest) {
    refuse_trimmed(id, stream->state);
    return;
  }
  touch(*stream, now);
  switch (request.live) {
    case wire::LiveMode::kCatchUp:
      catch_up(id, *stream, request, *from, now);
      return;
    case wire::LiveMode::kLongPoll:
      long_poll(id, *stream, request, *from, now);
      return;
    case wire::LiveMode::kSse:
      open_sse(id, *stream, request, *from, now);
      return;
  }
}

wire::Response Engine::Impl::read_head(const StreamEntry& stream, const ReadPlan& plan,
                                       bool names_life, Instant now) const {
  const StreamState& state = stream.state;
  wire::Response response;
  response.status = 200;
  response.content_type = Slice(stream.content_type);
  response.next_offset = stream::offset_at(state.lives, plan.end);
  response.up_to_date = plan.at_tail;
  response.closed = plan.at_tail && state.writer.closed;
  if (plan.bytes() > 0) response.write_timestamp_ms = plan.newest_ms;
  response.etag =
      wire::ETag{state.life(), plan.begin, plan.end, response.up_to_date, response.closed};
  response.cache = stream::cache_policy(state, plan, names_life, stream.expiry(), now,
                                        {config_.cache_max_age_seconds, config_.cache_stale_seconds,
                                         config_.cache_start_max_age_seconds});
  return response;
}

void Engine::Impl::refuse_trimmed(RequestId id, const StreamState& state) {
  wire::Response response = wire::error_response(ErrorCode::kOffsetTrimmed);
  response.earliest_offset = stream::offset_at(state.lives, state.earliest);
  respond(id, std::move(response));
}

void Engine::Impl::catch_up(RequestId id, StreamEntry& stream, const wire::ReadRequest& request,
                            Position from, Instant now) {
  const StreamState& state = stream.state;
  if (from >= state.index.begin()) {
    const ReadPlan plan = stream::plan_read(state, from, config_.max_chunk_bytes);
    wire::Response response = read_head(stream, plan, request.offset.names_life, now);
    if (request.offset.kind == OffsetParam::Kind::kNow) {
      response.etag.reset();
      response.cache = wire::CachePolicy();
    } else if (!request.if_none_match.empty() &&
               wire::if_none_match_matches(request.if_none_match, *response.etag)) {
      respond(id, not_modified(response));
      return;
    }
    if (std::optional<std::vector<Slice>> body = find_body(state, plan, true)) {
      stats_.cache_hits++;
      response.body = std::move(*body);
      respond(id, std::move(response));
      return;
    }
  }
  ChunkRead read;
  read.kind = ChunkRead::Kind::kCatchUp;
  read.request = id;
  read.cacheable = request.offset.names_life;
  read.if_none_match = request.if_none_match;
  if (!begin_read(stream, from, std::move(read), now)) respond_error(id, ErrorCode::kOverloaded);
}

std::optional<std::vector<Slice>> Engine::Impl::find_slices(const StreamState& state,
                                                            const ReadPlan& plan) {
  std::vector<Slice> slices;
  slices.reserve(plan.last - plan.first + 2);
  Position begin = plan.begin;
  for (size_t i = plan.first; i < plan.last; ++i) {
    const stream::MessageEntry& message = state.index.at(i);
    Slice record = cache_.find(message.record);
    if (record.bytes.empty()) return std::nullopt;
    record.bytes =
        record.bytes.substr(stream::kRecordPayloadOffset, static_cast<size_t>(message.end - begin));
    begin = message.end;
    slices.push_back(std::move(record));
  }
  return slices;
}

std::optional<std::string> Engine::Impl::copy_bytes(const StreamState& state,
                                                    const ReadPlan& plan) {
  const std::optional<std::vector<Slice>> slices = find_slices(state, plan);
  if (!slices) return std::nullopt;
  std::string bytes;
  bytes.reserve(static_cast<size_t>(plan.bytes()));
  for (const Slice& slice : *slices) bytes.append(slice.bytes);
  return bytes;
}

std::optional<std::vector<Slice>> Engine::Impl::find_body(const StreamState& state,
                                                          const ReadPlan& plan, bool keep) {
  const bool json = state.config.kind == wire::ContentKind::kJson;
  if (plan.bytes() == 0) {
    std::vector<Slice> empty;
    if (json) empty.push_back(Slice::of_static("[]"));
    return empty;
  }
  const uint64_t messages = plan.last - plan.first;
  if (plan.bytes() <= kCopyBytesMax || plan.bytes() / messages < kSliceBytesMin) {
    SharedBytes body = keep && messages >= config_.kept_messages_min ? find_joined(state, plan)
                                                                     : join_messages(state, plan);
    if (body == nullptr) return std::nullopt;
    std::vector<Slice> one;
    one.emplace_back(std::move(body));
    return one;
  }
  std::optional<std::vector<Slice>> slices = find_slices(state, plan);
  if (!slices) return std::nullopt;
  return framed_body(state, std::move(*slices));
}

SharedBytes Engine::Impl::find_joined(const StreamState& state, const ReadPlan& plan) {
  const BodyCache::Place place{state.id, plan.begin};
  SharedBytes body = bodies_.find(place, plan.end);
  if (body != nullptr) return body;
  body = join_messages(state, plan);
  if (body == nullptr) return nullptr;
  bodies_.put(place, plan.end, body, bodies_budget());
  cache_.shrink(records_budget());
  return body;
}

// Null if something is not in the cache.
SharedBytes Engine::Impl::join_messages(const StreamState& state, const ReadPlan& plan) const {
  const bool json = state.config.kind == wire::ContentKind::kJson;
  std::string body;
  body.reserve(static_cast<size_t>(plan.bytes()) + 2);
  if (json) body.push_back('[');
  RecordCache::Walk walk(cache_);
  Position begin = plan.begin;
  for (size_t i = plan.first; i < plan.last; ++i) {
    const stream::MessageEntry& message = state.index.at(i);
    const std::string_view record = walk.find(message.record);
    if (record.empty()) return nullptr;
    body.append(
        record.substr(stream::kRecordPayloadOffset, static_cast<size_t>(message.end - begin)));
    begin = message.end;
  }
  if (json) body.back() = ']';  // the last message's comma
  return share(std::move(body));
}

// The stored bytes as a body: JSON messages become an array, without the last comma.
std::vector<Slice> Engine::Impl::framed_body(const StreamState& state, std::vector<Slice> slices) {
  if (state.config.kind != wire::ContentKind::kJson) return slices;
  slices.insert(slices.begin(), Slice::of_static("["));
  if (slices.size() > 1) slices.back().bytes.remove_suffix(1);
  slices.push_back(Slice::of_static("]"));
  return slices;
}

}  // namespace ds::engine
