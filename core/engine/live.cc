// Live readers: long-poll and SSE (PROTOCOL §5.7, §5.8).
#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/engine/engine_impl.h"
#include "core/wire/cursor.h"
#include "core/wire/sse.h"
#include "core/wire/utf8.h"

namespace ds::engine {

using stream::ReadPlan;
using stream::StreamState;
using wire::ErrorCode;
using wire::OffsetParam;

namespace {

// How much may follow an append that ends inside a character before it is sent as it is.
constexpr uint64_t kHeldBackChunksMax = 4;

}  // namespace

Reader* Engine::Impl::find_reader(RequestId id) {
  const auto found = readers_.find(id.value);
  return found == readers_.end() ? nullptr : &found->second;
}

Reader* Engine::Impl::add_reader(RequestId id, StreamEntry& stream, Reader reader) {
  if (readers_.size() >= config_.live_readers_max) {
    respond_error(id, ErrorCode::kTooManyReaders);
    return nullptr;
  }
  reader.id = id;
  reader.stream = &stream;
  reader.slot = static_cast<uint32_t>(stream.readers.size());
  const auto [at, added] = readers_.emplace(id.value, reader);
  DS_ASSERT(added);
  stream.readers.push_back(&at->second);
  (reader.mode == Reader::Mode::kSse ? stats_.sse_readers : stats_.parked_long_polls)++;
  return &at->second;
}

void Engine::Impl::drop_reader(Reader& reader) {
  std::vector<Reader*>& list = reader.stream->readers;
  DS_ASSERT(list[reader.slot] == &reader);
  list[reader.slot] = list.back();
  list[reader.slot]->slot = reader.slot;
  list.pop_back();
  (reader.mode == Reader::Mode::kSse ? stats_.sse_readers : stats_.parked_long_polls)--;
  StreamEntry& stream = *reader.stream;
  const uint64_t key = reader.id.value;
  readers_.erase(key);
  note_idle(stream);
}

void Engine::Impl::on_disconnect(RequestId id) {
  if (Reader* reader = find_reader(id)) drop_reader(*reader);
  waiting_requests_.erase(id.value);
}

// --- Long-poll
// ------------------------------------------------------------------------------------

wire::Response Engine::Impl::poll_timeout(const StreamEntry& stream, std::optional<uint64_t> cursor,
                                          Instant now) const {
  wire::Response response;
  response.status = 204;
  response.next_offset = stream.state.tail_offset();
  response.up_to_date = true;
  response.closed = stream.state.writer.closed;
  if (!response.closed) response.cursor = wire::cursor_at(now, cursor);
  return response;
}

void Engine::Impl::long_poll(RequestId id, StreamEntry& stream, const wire::ReadRequest& request,
                             Position from, Instant now) {
  // An offset beyond the tail means the tail of the moment, so its URL names no place in the
  // stream.
  const bool names_place = request.offset.names_life && request.offset.at.position == from;
  if (from == stream.state.writer.tail) {
    if (stream.state.writer.closed) {
      respond(id, poll_timeout(stream, request.cursor, now));
      return;
    }
    Reader reader;
    reader.mode = Reader::Mode::kLongPoll;
    reader.at = from;
    reader.cursor = request.cursor;
    reader.names_place = names_place;
    reader.ends = now + config_.long_poll_timeout;
    if (add_reader(id, stream, reader) != nullptr) {
      timers_.arm(reader.ends, Timer::Kind::kLongPoll, id.value);
    }
    return;
  }
  poll_with_data(id, stream, from, request.cursor, names_place, now);
}

// What follows an offset never changes, and the cursor keeps a later poll from meeting this answer:
// it may be shared by everybody who polls the same URL.
void Engine::Impl::share_poll_answer(wire::Response& response, bool names_place) const {
  response.cache = wire::CachePolicy();
  if (!names_place) return;
  response.cache.kind = wire::CachePolicy::Kind::kPublic;
  response.cache.max_age_seconds = config_.cache_start_max_age_seconds;
}

void Engine::Impl::poll_with_data(RequestId id, StreamEntry& stream, Position from,
                                  std::optional<uint64_t> cursor, bool names_place, Instant now) {
  const StreamState& state = stream.state;
  if (from >= state.index.begin()) {
    const ReadPlan plan = stream::plan_read(state, from, config_.max_chunk_bytes);
    // Chunks on the way to the tail are what others ask for, too; what is new is shared by those
    // who wait for it now.
    if (std::optional<std::vector<Slice>> body = find_body(state, plan, !plan.at_tail)) {
      stats_.cache_hits++;
      wire::Response response = read_head(stream, plan, names_place, now);
      response.cursor = wire::cursor_at(now, cursor);
      share_poll_answer(response, names_place);
      response.body = std::move(*body);
      respond(id, std::move(response));
      return;
    }
  }
  ChunkRead read;
  read.kind = ChunkRead::Kind::kLongPoll;
  read.request = id;
  read.cacheable = names_place;
  read.cursor = cursor;
  if (!begin_read(stream, from, std::move(read), now)) respond_error(id, ErrorCode::kOverloaded);
}

void Engine::Impl::answer_polls(StreamEntry& stream, const std::vector<Reader*>& polls,
                                Instant now) {
  // Nearly always all of them stand at one place: its body is made once and shared.
  Position shared_at;
  ReadPlan plan;
  std::optional<std::vector<Slice>> body;
  bool made = false;
  for (Reader* reader : polls) {
    const RequestId id = reader->id;
    const Position at = reader->at;
    const std::optional<uint64_t> cursor = reader->cursor;
    const bool names_place = reader->names_place;
    drop_reader(*reader);
    if (at == stream.state.writer.tail) {
      respond(id, poll_timeout(stream, cursor, now));
      continue;
    }
    if (!made || shared_at != at) {
      plan = stream::plan_read(stream.state, at, config_.max_chunk_bytes);
      body = find_body(stream.state, plan, !plan.at_tail);
      shared_at = at;
      made = true;
    }
    if (!body) {
      poll_with_data(id, stream, at, cursor, names_place, now);
      continue;
    }
    wire::Response response = read_head(stream, plan, names_place, now);
    response.cursor = wire::cursor_at(now, cursor);
    share_poll_answer(response, names_place);
    response.body = *body;
    respond(id, std::move(response));
  }
}

// --- SSE
// ------------------------------------------------------------------------------------------

// Its end and its heartbeats.
void Engine::Impl::arm_sse(Reader& reader, Instant now) {
  // Spread over a fifth of the lifetime, so that readers that came together do not return together.
  const uint64_t spread = static_cast<uint64_t>(config_.sse_lifetime.us) / 5 + 1;
  const RequestId id = reader.id;
  const uint64_t draw = siphash13(std::string_view(reinterpret_cast<const char*>(&id), sizeof(id)),
                                  HashKey{key_.k0, static_cast<uint64_t>(now.us)});
  reader.ends = now + Duration{config_.sse_lifetime.us - config_.sse_lifetime.us / 10 +
                               static_cast<int64_t>(draw % spread)};
  reader.last_sent = now;
  arm_heartbeat(reader, now + config_.sse_heartbeat);
}

// One timer for each reader: its next heartbeat, or its end if that comes first.
void Engine::Impl::arm_heartbeat(const Reader& reader, Instant due) {
  timers_.arm(std::min(due, reader.ends), Timer::Kind::kSse, reader.id.value);
}

void Engine::Impl::open_sse(RequestId id, StreamEntry& stream, const wire::ReadRequest& request,
                            Position from, Instant now) {
  Reader reader;
  reader.mode = Reader::Mode::kSse;
  reader.state = Reader::State::kPulling;
  reader.at = from;
  reader.cursor = request.cursor;
  Reader* added = add_reader(id, stream, reader);
  if (added == nullptr) return;
  arm_sse(*added, now);
  wire::Response head;
  head.status = 200;
  head.sse = true;
  head.sse_base64 = stream.state.config.kind == wire::ContentKind::kBinary;
  head.cache.kind = wire::CachePolicy::Kind::kNoCache;
  out->emplace_back(OpenSse{id, std::move(head), from, request.cursor});
  pull(*added, now);
}

Engine::Impl::Step Engine::Impl::make_step(
    const StreamEntry& stream, Position begin, Position end, std::string_view bytes,
    const std::function<std::vector<Position>()>& message_ends) {
  Step step;
  step.end = end;
  const StreamState& state = stream.state;
  const bool more_may_come = end < state.writer.tail || !state.writer.closed;
  const bool text = state.config.kind == wire::ContentKind::kText;
  if (text && more_may_come && wire::utf8_incomplete_suffix(bytes) > 0) {
    // An append that ends inside a character waits for the rest of it.
    const std::vector<Position> ends = message_ends();
    size_t last = ends.size();
    while (last > 0 && wire::utf8_incomplete_suffix(
                           bytes.substr(0, static_cast<size_t>(ends[last - 1] - begin))) > 0) {
      --last;
    }
    if (last == 0) {
      // All of it: nothing to send yet. But who never ends a character cannot hold back everything.
      const uint64_t followed = end - ends.front();
      if (followed <= kHeldBackChunksMax * config_.max_chunk_bytes) return step;
      last = ends.size();
    }
    step.end = ends[last - 1];
    bytes = bytes.substr(0, static_cast<size_t>(step.end - begin));
  }
  step.kind = Step::Kind::kFrame;
  wire::append_sse_data(step.data, state.config.kind, bytes);
  return step;
}

Engine::Impl::Step Engine::Impl::next_step(const StreamEntry& stream, Position from) {
  const StreamState& state = stream.state;
  Step step;
  step.kind = Step::Kind::kLoad;
  step.from = from;
  if (from < state.index.begin()) return step;
  ReadPlan plan = stream::plan_read(state, from, config_.max_chunk_bytes);
  for (;;) {
    if (plan.bytes() == 0) return Step();
    const std::optional<std::string> bytes = copy_bytes(state, plan);
    if (!bytes) return step;
    const Step made = make_step(stream, plan.begin, plan.end, *bytes, [&] {
      std::vector<Position> ends;
      for (size_t i = plan.first; i < plan.last; ++i) ends.push_back(state.index.at(i).end);
      return ends;
    });
    if (made.kind == Step::Kind::kFrame || plan.at_tail) return made;
    plan = stream::plan_read_to(state, from,
                                segment::chunk_boundary(plan.end, config_.max_chunk_bytes));
  }
}

void Engine::Impl::send_step(StreamEntry& stream, const std::vector<Reader*>& readers,
                             const Step& step, Instant now) {
  const StreamState& state = stream.state;
  wire::SseControl control;
  control.next_offset = stream::offset_at(state.lives, step.end);
  control.up_to_date = step.end == state.writer.tail;
  control.closed = control.up_to_date && state.writer.closed;
  // One frame for all who are given the same cursor: nearly always everybody.
  std::vector<SendSse> frames;
  std::vector<std::optional<uint64_t>> cursors;
  for (Reader* reader : readers) {
    std::optional<uint64_t> cursor;
    if (!control.closed) cursor = wire::cursor_at(now, reader->cursor);
    const bool pulled = reader->state != Reader::State::kParked && !control.up_to_date;
    size_t i = 0;
    while (i < frames.size() && (cursors[i] != cursor || frames[i].pulled != pulled)) ++i;
    if (i == frames.size()) {
      control.cursor = cursor;
      std::string bytes;
      bytes.reserve(step.data.size() + 160);
      bytes.append(step.data);
      wire::append_sse_control(bytes, control);
      frames.push_back(
          SendSse{{}, Slice(share(std::move(bytes))), reader->at, step.end, pulled, state.id});
      cursors.push_back(cursor);
    }
    frames[i].to.push_back(reader->id);
    reader->at = step.end;
    reader->last_sent = now;
    reader->greeted = true;
    reader->state = pulled ? Reader::State::kPulling : Reader::State::kParked;
  }
  for (SendSse& frame : frames) out->emplace_back(std::move(frame));
  if (!control.closed) return;
  for (Reader* reader : readers) {
    out->emplace_back(EndSse{reader->id});
    drop_reader(*reader);
  }
}

void Engine::Impl::park(Reader& reader, Instant now) {
  reader.state = Reader::State::kParked;
  const StreamState& state = reader.stream->state;
  const bool at_end = state.writer.closed && reader.at == state.writer.tail;
  if (reader.greeted && !at_end) return;
  // A control event without data: where it stands, or that there is no more.
  Step nothing;
  nothing.end = reader.at;
  send_step(*reader.stream, {&reader}, nothing, now);
}

void Engine::Impl::pull(Reader& reader, Instant now) {
  take_step(reader, next_step(*reader.stream, reader.at), now);
}

void Engine::Impl::take_step(Reader& reader, const Step& step, Instant now) {
  switch (step.kind) {
    case Step::Kind::kFrame:
      send_step(*reader.stream, {&reader}, step, now);
      return;
    case Step::Kind::kNothing:
      park(reader, now);
      return;
    case Step::Kind::kLoad: {
      ChunkRead read;
      read.kind = ChunkRead::Kind::kSse;
      read.request = reader.id;
      const std::optional<uint64_t> id =
          begin_read(*reader.stream, step.from, std::move(read), now);
      if (!id) {
        // Too busy to read for it now: it resumes from its last offset.
        out->emplace_back(EndSse{reader.id});
        drop_reader(reader);
        return;
      }
      reader.state = Reader::State::kLoading;
      reader.load = *id;
      return;
    }
  }
}

void Engine::Impl::on_reader_lagging(RequestId id, Position accepted) {
  Reader* reader = find_reader(id);
  if (reader == nullptr || reader->mode != Reader::Mode::kSse) return;
  reader->at = accepted;
  reader->state = Reader::State::kLagging;
  stats_.lagging_readers++;
}

void Engine::Impl::on_reader_ready(RequestId id, Instant now) {
  Reader* reader = find_reader(id);
  if (reader == nullptr) return;
  if (reader->state != Reader::State::kPulling && reader->state != Reader::State::kLagging) return;
  pull(*reader, now);
}

void Engine::Impl::on_reader_back(RequestId id, Incarnation stream_id, Position at,
                                  std::optional<uint64_t> cursor, bool pulling, Instant now) {
  StreamEntry* stream = find_by_id(stream_id);
  const bool readable = stream != nullptr && stream->readable() && at <= stream->state.writer.tail;
  if (!readable || at < stream->state.earliest || readers_.size() >= config_.live_readers_max) {
    out->emplace_back(EndSse{id});
    return;
  }
  Reader reader;
  reader.mode = Reader::Mode::kSse;
  reader.state = pulling ? Reader::State::kPulling : Reader::State::kParked;
  reader.greeted = true;
  reader.at = at;
  reader.cursor = cursor;
  Reader* added = add_reader(id, *stream, reader);
  arm_sse(*added, now);
  if (!pulling) pull(*added, now);
}

// --- Waking
// ---------------------------------------------------------------------------------------

void Engine::Impl::mark_for_wake(StreamEntry& stream) {
  if (stream.readers.empty() || stream.wake_pending) return;
  stream.wake_pending = true;
  woken_.push_back(&stream);
}

void Engine::Impl::wake_marked(Instant now) {
  while (!woken_.empty()) {
    StreamEntry* stream = woken_.back();
    woken_.pop_back();
    stream->wake_pending = false;
    wake(*stream, now);
  }
}

void Engine::Impl::wake(StreamEntry& stream, Instant now) {
  const StreamState& state = stream.state;
  std::vector<Reader*> polls;
  std::vector<Reader*> events;
  for (Reader* reader : stream.readers) {
    if (reader->state != Reader::State::kParked) continue;
    if (reader->at == state.writer.tail && !state.writer.closed) continue;
    (reader->mode == Reader::Mode::kLongPoll ? polls : events).push_back(reader);
  }
  answer_polls(stream, polls, now);
  // SSE readers, one place at a time; nearly always there is only one.
  while (!events.empty()) {
    const Position at = events.back()->at;
    std::vector<Reader*> here;
    std::erase_if(events, [&](Reader* reader) {
      if (reader->at != at) return false;
      here.push_back(reader);
      return true;
    });
    for (Position from = at; !here.empty();) {
      const Step step = next_step(stream, from);
      if (step.kind == Step::Kind::kFrame) {
        const bool ends = step.end == state.writer.tail;
        send_step(stream, here, step, now);
        if (ends) break;
        from = step.end;
        continue;
      }
      if (step.kind == Step::Kind::kLoad) {
        for (Reader* reader : here) pull(*reader, now);
      } else if (state.writer.closed && from == state.writer.tail) {
        Step nothing;
        nothing.end = from;
        send_step(stream, here, nothing, now);
      }
      break;
    }
  }
}

void Engine::Impl::heartbeat(Reader& reader, Instant now) {
  const Instant due = reader.last_sent + config_.sse_heartbeat;
  if (due > now) {
    arm_heartbeat(reader, due);
    return;
  }
  if (reader.state == Reader::State::kParked) {
    out->emplace_back(SendSse{
        {reader.id}, Slice::of_static(wire::kSseHeartbeat), reader.at, reader.at, false, {}});
  }
  reader.last_sent = now;
  arm_heartbeat(reader, now + config_.sse_heartbeat);
}

void Engine::Impl::end_readers(StreamEntry& stream, ErrorCode code) {
  while (!stream.readers.empty()) {
    Reader& reader = *stream.readers.back();
    if (reader.mode == Reader::Mode::kLongPoll) {
      respond_error(reader.id, code);
    } else {
      out->emplace_back(EndSse{reader.id});
    }
    drop_reader(reader);
  }
}

void Engine::Impl::end_live_readers(Instant now) {
  while (!readers_.empty()) {
    Reader& reader = readers_.begin()->second;
    if (reader.mode == Reader::Mode::kLongPoll) {
      respond(reader.id, poll_timeout(*reader.stream, reader.cursor, now));
    } else {
      out->emplace_back(EndSse{reader.id});
    }
    drop_reader(reader);
  }
}

}  // namespace ds::engine
