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

wire::Response etag_answer(uint16_t status, const wire::Response& head) {
  wire::Response response = head;
  response.status = status;
  response.content_type = Slice();
  return response;
}

}  // namespace

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
  if (!state.index.empty()) {
    response.write_timestamp_ms = state.index.at(state.index.size() - 1).time_ms;
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
  if (plan.last > plan.first) response.write_timestamp_ms = stream::newest_write_ms(state, plan);
  response.etag =
      wire::ETag{state.life(), plan.begin, plan.end, response.up_to_date, response.closed};
  response.cache = stream::cache_policy(state, plan, names_life, stream.expiry(), now,
                                        {config_.cache_max_age_seconds, config_.cache_stale_seconds,
                                         config_.cache_start_max_age_seconds});
  return response;
}

void Engine::Impl::catch_up(RequestId id, StreamEntry& stream, const wire::ReadRequest& request,
                            Position from, Instant now) {
  const ReadPlan plan = stream::plan_read(stream.state, from, config_.max_chunk_bytes);
  wire::Response response = read_head(stream, plan, request.offset.names_life, now);
  if (request.offset.kind == OffsetParam::Kind::kNow) {
    response.etag.reset();
    response.cache = wire::CachePolicy();
  } else if (!request.if_none_match.empty() &&
             wire::if_none_match_matches(request.if_none_match, *response.etag)) {
    respond(id, etag_answer(304, response));
    return;
  }
  respond_with_body(id, stream.state, plan, std::move(response));
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
                                                          const ReadPlan& plan) {
  const bool json = state.config.kind == wire::ContentKind::kJson;
  if (plan.bytes() == 0) {
    std::vector<Slice> empty;
    if (json) empty.push_back(Slice::of_static("[]"));
    return empty;
  }
  const uint64_t messages = plan.last - plan.first;
  if (plan.bytes() <= kCopyBytesMax || plan.bytes() / messages < kSliceBytesMin) {
    std::string body;
    body.reserve(static_cast<size_t>(plan.bytes()) + 2);
    if (json) body.push_back('[');
    Position begin = plan.begin;
    for (size_t i = plan.first; i < plan.last; ++i) {
      const stream::MessageEntry& message = state.index.at(i);
      const Slice record = cache_.find(message.record);
      if (record.bytes.empty()) return std::nullopt;
      body.append(record.bytes.substr(stream::kRecordPayloadOffset,
                                      static_cast<size_t>(message.end - begin)));
      begin = message.end;
    }
    if (json) body.back() = ']';  // the last message's comma
    std::vector<Slice> one;
    one.emplace_back(share(std::move(body)));
    return one;
  }
  std::optional<std::vector<Slice>> slices = find_slices(state, plan);
  if (slices && json) {
    slices->insert(slices->begin(), Slice::of_static("["));
    slices->back().bytes.remove_suffix(1);
    slices->push_back(Slice::of_static("]"));
  }
  return slices;
}

void Engine::Impl::respond_with_body(RequestId id, const StreamState& state, const ReadPlan& plan,
                                     wire::Response response) {
  std::optional<std::vector<Slice>> body = find_body(state, plan);
  if (body) {
    stats_.cache_hits++;
    response.body = std::move(*body);
    respond(id, std::move(response));
    return;
  }
  stats_.cache_misses++;
  PendingLoad load;
  load.kind = PendingLoad::Kind::kRead;
  load.request = id;
  load.response = std::move(response);
  load.json = state.config.kind == wire::ContentKind::kJson;
  if (!start_load(state, plan, std::move(load))) respond_error(id, ErrorCode::kOverloaded);
}

std::optional<uint64_t> Engine::Impl::start_load(const StreamState& state, const ReadPlan& plan,
                                                 PendingLoad load) {
  if (loads_.size() >= config_.pending_loads_max || !config_.can_load) return std::nullopt;
  Load action;
  action.load_id = next_load_++;
  action.pieces.reserve(plan.last - plan.first);
  Position begin = plan.begin;
  for (size_t i = plan.first; i < plan.last; ++i) {
    const stream::MessageEntry& message = state.index.at(i);
    action.pieces.push_back(
        LoadPiece{message.record, 0, static_cast<uint32_t>(message.end - begin)});
    begin = message.end;
  }
  const uint64_t id = action.load_id;
  loads_.emplace(id, std::move(load));
  out->emplace_back(std::move(action));
  return id;
}

void Engine::Impl::on_loaded(uint64_t load_id, SharedBytes bytes, bool corrupt, Instant now) {
  const auto found = loads_.find(load_id);
  DS_ASSERT(found != loads_.end());
  PendingLoad load = std::move(found->second);
  loads_.erase(found);
  const ErrorCode failure = corrupt ? ErrorCode::kCorruptData : ErrorCode::kOverloaded;
  if (load.kind == PendingLoad::Kind::kPin) {
    if (bytes == nullptr) {
      refuse_pin(*load.pin, failure);
    } else {
      pin_with_bytes(std::move(*load.pin), load.stream, load.plan, *bytes, now);
    }
    return;
  }
  if (load.kind == PendingLoad::Kind::kSse) {
    Reader* reader = find_reader(load.request);
    const bool waits =
        reader != nullptr && reader->state == Reader::State::kLoading && reader->load == load_id;
    if (!waits) return;  // gone, or told to go back meanwhile
    if (bytes == nullptr) {
      // An SSE response cannot change its status any more: its client resumes from its last offset.
      out->emplace_back(EndSse{reader->id});
      drop_reader(*reader);
    } else {
      finish_load(*reader, load.plan, *bytes, now);
    }
    return;
  }
  if (bytes == nullptr) {
    respond_error(load.request, failure);
    return;
  }
  if (!load.json) {
    load.response.body.emplace_back(std::move(bytes));
  } else {
    const std::string_view messages(*bytes);
    load.response.body.push_back(Slice::of_static("["));
    load.response.body.emplace_back(bytes, messages.substr(0, messages.size() - 1));
    load.response.body.push_back(Slice::of_static("]"));
  }
  respond(load.request, std::move(load.response));
}

}  // namespace ds::engine
