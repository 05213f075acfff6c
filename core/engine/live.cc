// Live readers: long-poll and SSE (PROTOCOL §5.7, §5.8, DESIGN §6).
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
  reader.slot = stream.readers.size();
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
  const uint64_t key = reader.id.value;
  readers_.erase(key);
}

void Engine::Impl::on_disconnect(RequestId id) {
  if (Reader* reader = find_reader(id)) drop_reader(*reader);
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
  const ReadPlan plan = stream::plan_read(stream.state, from, config_.max_chunk_bytes);
  wire::Response response = read_head(stream, plan, request.offset.names_life, now);
  response.cursor = wire::cursor_at(now, request.cursor);
  // What follows an offset never changes, and the cursor keeps a later poll from meeting this
  // answer: it may be shared by everybody who polls the same URL.
  if (names_place) {
    response.cache.kind = wire::CachePolicy::Kind::kPublic;
    response.cache.max_age_seconds = config_.cache_start_max_age_seconds;
    response.cache.stale_while_revalidate_seconds = 0;
  } else {
    response.cache = wire::CachePolicy();
  }
  respond_with_body(id, stream.state, plan, std::move(response));
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
      body = find_body(stream.state, plan);
      shared_at = at;
      made = true;
    }
    wire::Response response = read_head(stream, plan, names_place, now);
    response.cursor = wire::cursor_at(now, cursor);
    response.cache = wire::CachePolicy();
    if (names_place) {
      response.cache.kind = wire::CachePolicy::Kind::kPublic;
      response.cache.max_age_seconds = config_.cache_start_max_age_seconds;
    }
    if (!body) {
      respond_with_body(id, stream.state, plan, std::move(response));
      continue;
    }
    response.body = *body;
    respond(id, std::move(response));
  }
}

// --- SSE
// ------------------------------------------------------------------------------------------

void Engine::Impl::open_sse(RequestId id, StreamEntry& stream, const wire::ReadRequest& request,
                            Position from, Instant now) {
  Reader reader;
  reader.mode = Reader::Mode::kSse;
  reader.state = Reader::State::kPulling;
  reader.at = from;
  reader.cursor = request.cursor;
  // Spread over a fifth of the lifetime, so that readers that came together do not return together.
  const uint64_t spread = static_cast<uint64_t>(config_.sse_lifetime.us) / 5 + 1;
  const uint64_t draw = siphash13(std::string_view(reinterpret_cast<const char*>(&id), sizeof(id)),
                                  HashKey{key_.k0, static_cast<uint64_t>(now.us)});
  reader.ends = now + Duration{config_.sse_lifetime.us - config_.sse_lifetime.us / 10 +
                               static_cast<int64_t>(draw % spread)};
  reader.last_sent = now;
  Reader* added = add_reader(id, stream, reader);
  if (added == nullptr) return;
  timers_.arm(reader.ends, Timer::Kind::kSseEnd, id.value);
  timers_.arm(now + config_.sse_heartbeat, Timer::Kind::kHeartbeat, id.value);
  wire::Response head;
  head.status = 200;
  head.sse = true;
  head.sse_base64 = stream.state.config.kind == wire::ContentKind::kBinary;
  head.cache.kind = wire::CachePolicy::Kind::kNoCache;
  out->emplace_back(OpenSse{id, std::move(head), from});
  pull(*added, now);
}

Engine::Impl::Step Engine::Impl::make_step(const StreamEntry& stream, const ReadPlan& plan,
                                           std::string_view bytes) {
  Step step;
  step.plan = plan;
  step.end = plan.end;
  const StreamState& state = stream.state;
  const bool more_may_come = plan.end < state.writer.tail || !state.writer.closed;
  if (state.config.kind == wire::ContentKind::kText && more_may_come) {
    // An append that ends inside a character waits for the rest of it.
    size_t last = plan.last;
    while (last > plan.first &&
           wire::utf8_incomplete_suffix(bytes.substr(
               0, static_cast<size_t>(state.index.at(last - 1).end - plan.begin))) > 0) {
      --last;
    }
    if (last == plan.first) {
      // All of it: nothing to send yet. But who never ends a character cannot hold back everything.
      const uint64_t followed = plan.end - state.index.at(plan.first).end;
      if (followed <= kHeldBackChunksMax * config_.max_chunk_bytes) return step;
      last = plan.last;
    }
    step.end = state.index.at(last - 1).end;
    bytes = bytes.substr(0, static_cast<size_t>(step.end - plan.begin));
  }
  step.kind = Step::Kind::kFrame;
  wire::append_sse_data(step.data, state.config.kind, bytes);
  return step;
}

Engine::Impl::Step Engine::Impl::next_step(const StreamEntry& stream, Position from) {
  return next_step(stream, stream::plan_read(stream.state, from, config_.max_chunk_bytes));
}

Engine::Impl::Step Engine::Impl::next_step(const StreamEntry& stream, ReadPlan plan) {
  for (;;) {
    if (plan.bytes() == 0) return Step();
    const std::optional<std::string> bytes = copy_bytes(stream.state, plan);
    if (!bytes) {
      Step step;
      step.kind = Step::Kind::kLoad;
      step.plan = plan;
      return step;
    }
    Step step = make_step(stream, plan, *bytes);
    if (step.kind == Step::Kind::kFrame || plan.at_tail) return step;
    plan = grown(stream.state, plan);
  }
}

ReadPlan Engine::Impl::grown(const StreamState& state, const ReadPlan& plan) const {
  ReadPlan longer = stream::plan_read(state, plan.end, config_.max_chunk_bytes);
  longer.first = plan.first;
  longer.begin = plan.begin;
  return longer;
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
      frames.push_back(SendSse{{}, Slice(share(std::move(bytes))), reader->at, step.end, pulled});
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
      PendingLoad load;
      load.kind = PendingLoad::Kind::kSse;
      load.request = reader.id;
      load.plan = step.plan;
      stats_.cache_misses++;
      const std::optional<uint64_t> id =
          start_load(reader.stream->state, step.plan, std::move(load));
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

void Engine::Impl::finish_load(Reader& reader, const ReadPlan& plan, std::string_view bytes,
                               Instant now) {
  StreamEntry& stream = *reader.stream;
  Step step = make_step(stream, plan, bytes);
  if (step.kind == Step::Kind::kNothing && plan.end < stream.state.writer.tail) {
    step = next_step(stream, grown(stream.state, plan));
  }
  take_step(reader, step, now);
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
        send_step(stream, here, Step{Step::Kind::kFrame, {}, {}, from}, now);
      }
      break;
    }
  }
}

void Engine::Impl::heartbeat(Reader& reader, Instant now) {
  const Instant due = reader.last_sent + config_.sse_heartbeat;
  if (due > now) {
    timers_.arm(due, Timer::Kind::kHeartbeat, reader.id.value);
    return;
  }
  if (reader.state == Reader::State::kParked) {
    out->emplace_back(
        SendSse{{reader.id}, Slice::of_static(wire::kSseHeartbeat), reader.at, reader.at, false});
  }
  reader.last_sent = now;
  timers_.arm(now + config_.sse_heartbeat, Timer::Kind::kHeartbeat, reader.id.value);
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
