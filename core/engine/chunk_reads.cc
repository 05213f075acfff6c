// Reads whose bytes are not all in memory: a chunk is put together from sealed messages, the log
// and the cache, part by part, until it reaches its boundary or the tail.
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"
#include "core/wire/cursor.h"

namespace ds::engine {

using stream::ReadPlan;
using stream::StreamState;
using wire::ErrorCode;

namespace {

// How often a part may turn out to have been sealed or merged away while it was on its way.
constexpr uint32_t kTriesMax = 4;

}  // namespace

std::optional<uint64_t> Engine::Impl::begin_read(StreamEntry& stream, Position from, ChunkRead read,
                                                 Instant now) {
  if (reads_.size() >= config_.pending_loads_max || !config_.can_load) return std::nullopt;
  stats_.cache_misses++;
  const uint64_t id = next_load_++;
  read.stream = stream.state.id;
  read.from = from;
  stream.reads_under_way++;
  reads_.emplace(id, std::move(read));
  continue_read(id, stream, now);
  return id;
}

// Takes what there is in memory and asks for the next part that is not, or ends the read.
void Engine::Impl::continue_read(uint64_t id, StreamEntry& stream, Instant now) {
  ChunkRead& read = reads_.at(id);
  const StreamState& state = stream.state;
  for (;;) {
    const Position at = read.begun ? read.end : read.from;
    const bool whole = read.begun && read.end >= read.boundary;
    if (whole || at == state.writer.tail) {
      if (!read.begun) read.begin = read.end = at;
      if (read.kind == ChunkRead::Kind::kSse && at < state.writer.tail &&
          chunk_step(stream, read).kind == Step::Kind::kNothing) {
        // Nothing of it can be sent yet: it needs what follows.
        read.boundary = segment::chunk_boundary(read.end, config_.max_chunk_bytes);
        continue;
      }
      return end_read(id, stream, now);
    }
    if (at < state.index.begin()) {
      read.part_ends.clear();
      out->emplace_back(ReadSealed{
          id, {stream::sealed_pieces(state, at), config_.max_chunk_bytes, read.boundary}});
      return;
    }
    read.part = read.boundary == Position{} ? stream::plan_read(state, at, config_.max_chunk_bytes)
                                            : stream::plan_read_to(state, at, read.boundary);
    read.part_ends.clear();
    for (size_t i = read.part.first; i < read.part.last; ++i) {
      read.part_ends.push_back(state.index.at(i).end);
    }
    if (std::optional<std::vector<Slice>> slices = find_slices(state, read.part)) {
      take_part(read, std::move(*slices));
      continue;
    }
    Load action;
    action.load_id = id;
    action.pieces.reserve(read.part_ends.size());
    Position begin = read.part.begin;
    for (size_t i = read.part.first; i < read.part.last; ++i) {
      const stream::MessageEntry& message = state.index.at(i);
      action.pieces.push_back(
          LoadPiece{message.record, 0, static_cast<uint32_t>(message.end - begin)});
      begin = message.end;
    }
    out->emplace_back(std::move(action));
    return;
  }
}

void Engine::Impl::take_part(ChunkRead& read, std::vector<Slice> slices) {
  if (!read.begun) {
    read.begun = true;
    read.begin = read.part.begin;
    if (read.boundary == Position{}) {
      read.boundary = segment::chunk_boundary(read.begin, config_.max_chunk_bytes);
    }
  }
  read.end = read.part.end;
  read.newest_ms = read.part.newest_ms;
  read.ends.insert(read.ends.end(), read.part_ends.begin(), read.part_ends.end());
  for (Slice& slice : slices) read.parts.push_back(std::move(slice));
}

void Engine::Impl::on_loaded(uint64_t load_id, LoadOutcome outcome, SharedBytes bytes,
                             Instant now) {
  const auto found = reads_.find(load_id);
  DS_ASSERT(found != reads_.end());
  if (outcome == LoadOutcome::kDone) {
    std::vector<Slice> slices;
    slices.emplace_back(std::move(bytes));
    take_part(found->second, std::move(slices));
  }
  go_on(load_id, outcome, now);
}

void Engine::Impl::on_sealed_read(uint64_t load_id, LoadOutcome outcome, segment::SealedChunk chunk,
                                  Instant now) {
  const auto found = reads_.find(load_id);
  DS_ASSERT(found != reads_.end());
  if (outcome == LoadOutcome::kDone) {
    ChunkRead& read = found->second;
    read.part = ReadPlan();
    read.part.begin = chunk.begin;
    read.part.end = chunk.end;
    read.part.newest_ms = chunk.newest_ms;
    read.part_ends = std::move(chunk.ends);
    std::vector<Slice> slices;
    slices.emplace_back(std::move(chunk.bytes));
    take_part(read, std::move(slices));
  }
  go_on(load_id, outcome, now);
}

void Engine::Impl::go_on(uint64_t id, LoadOutcome outcome, Instant now) {
  ChunkRead& read = reads_.at(id);
  StreamEntry* stream = find_by_id(read.stream);
  if (stream == nullptr) {
    if (read.kind != ChunkRead::Kind::kPin) return fail_read(id, nullptr, ErrorCode::kNotFound);
    // Perhaps another has taken its place.
    const ChunkRead taken = take_read(id, nullptr);
    return pin(std::move(*taken.pin), now);
  }
  if (stream->state.soft_deleted) {
    // Nothing is told of it any more; and what its forks do not share may be gone, not damaged.
    if (read.kind != ChunkRead::Kind::kPin) {
      return fail_read(id, stream, ErrorCode::kStreamDeleted);
    }
    const ChunkRead taken = take_read(id, stream);
    return pin(std::move(*taken.pin), now);
  }
  if (outcome == LoadOutcome::kDone) return continue_read(id, *stream, now);
  if (outcome == LoadOutcome::kGone && ++read.tries < kTriesMax) {
    return continue_read(id, *stream, now);
  }
  const Position at = read.begun ? read.end : read.from;
  const bool of_one_message = read.part_ends.size() == 1 || read.boundary == at + 1;
  if (outcome == LoadOutcome::kCorrupt && !read.careful && !of_one_message) {
    // Perhaps only a later message is damaged: give what is before it, if need be one by one.
    read.careful = true;
    read.cacheable = false;
    read.boundary = read.begun ? read.end : at + 1;
    return continue_read(id, *stream, now);
  }
  fail_read(id, stream,
            outcome == LoadOutcome::kCorrupt ? ErrorCode::kCorruptData : ErrorCode::kOverloaded);
}

Engine::Impl::ChunkRead Engine::Impl::take_read(uint64_t id, StreamEntry* stream) {
  const auto found = reads_.find(id);
  ChunkRead read = std::move(found->second);
  reads_.erase(found);
  if (stream != nullptr) {
    stream->reads_under_way--;
    note_idle(*stream);
  }
  return read;
}

// The reader that waits for this read, unless it is gone or was told to go back meanwhile.
Reader* Engine::Impl::waiting_reader(uint64_t id, const ChunkRead& read) {
  Reader* reader = find_reader(read.request);
  const bool waits =
      reader != nullptr && reader->state == Reader::State::kLoading && reader->load == id;
  return waits ? reader : nullptr;
}

void Engine::Impl::fail_read(uint64_t id, StreamEntry* stream, ErrorCode code) {
  ChunkRead read = take_read(id, stream);
  switch (read.kind) {
    case ChunkRead::Kind::kPin:
      if (stream == nullptr) {
        code = ErrorCode::kForkSourceNotFound;
      } else if (read.from < stream->state.earliest) {
        code = ErrorCode::kInvalidForkOffset;  // dropped meanwhile
      }
      refuse_pin(*read.pin, code);
      return;
    case ChunkRead::Kind::kSse:
      // An SSE response cannot change its status any more: its client resumes from its last offset.
      if (Reader* reader = waiting_reader(id, read)) {
        out->emplace_back(EndSse{reader->id});
        drop_reader(*reader);
      }
      return;
    case ChunkRead::Kind::kCatchUp:
    case ChunkRead::Kind::kLongPoll:
      if (stream != nullptr && read.from < stream->state.earliest) {
        refuse_trimmed(read.request, stream->state);
      } else {
        respond_error(read.request, code);
      }
      return;
  }
}

void Engine::Impl::end_read(uint64_t id, StreamEntry& stream, Instant now) {
  const StreamState& state = stream.state;
  ChunkRead read = take_read(id, &stream);
  if (read.kind == ChunkRead::Kind::kPin) return pin_after_read(std::move(read), now);
  if (read.kind == ChunkRead::Kind::kSse) {
    Reader* reader = waiting_reader(id, read);
    if (reader != nullptr) take_step(*reader, chunk_step(stream, read), now);
    return;
  }
  ReadPlan plan;
  plan.begin = read.begin;
  plan.end = read.end;
  plan.newest_ms = read.newest_ms;
  plan.at_tail = plan.end == state.writer.tail;
  wire::Response response = read_head(stream, plan, read.cacheable, now);
  if (read.careful) response.cache = wire::CachePolicy();
  if (read.kind == ChunkRead::Kind::kLongPoll) {
    response.cursor = wire::cursor_at(now, read.cursor);
    share_poll_answer(response, read.cacheable);
  } else if (!read.if_none_match.empty() &&
             wire::if_none_match_matches(read.if_none_match, *response.etag)) {
    respond(read.request, not_modified(response));
    return;
  }
  response.body = framed_body(state, std::move(read.parts));
  respond(read.request, std::move(response));
}

Engine::Impl::Step Engine::Impl::chunk_step(const StreamEntry& stream, const ChunkRead& read) {
  std::string joined;
  std::string_view bytes;
  if (read.parts.size() == 1) {
    bytes = read.parts.front().bytes;
  } else {
    for (const Slice& part : read.parts) joined.append(part.bytes);
    bytes = joined;
  }
  return make_step(stream, read.begin, read.end, bytes, [&read] { return read.ends; });
}

}  // namespace ds::engine
