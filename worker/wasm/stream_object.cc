#include "worker/wasm/stream_object.h"

#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/snapshot.h"
#include "core/wire/stream_path.h"
#include "worker/wasm/reader_token.h"

namespace ds::worker {

using engine::Batch;
using engine::CommitOutcome;
using engine::LoadOutcome;
using engine::RequestId;
using wire::ErrorCode;

namespace {

constexpr uint64_t kCacheBytes = 4 << 20;
constexpr uint64_t kWatchedBytes = 256 << 10;

engine::EngineConfig engine_config(const Options& options) {
  engine::EngineConfig config;
  config.max_chunk_bytes = options.max_chunk_bytes;
  config.tail_cache_bytes = kCacheBytes;
  config.memory_bytes = 8 * kCacheBytes;
  config.long_poll_timeout = options.long_poll_timeout;
  config.sse_lifetime = options.sse_lifetime;
  config.sse_heartbeat = options.sse_lifetime;
  return config;
}

}  // namespace

StreamObject::StreamObject(Host& host, const Options& options)
    : host_(host),
      options_(options),
      engine_(engine_config(options), static_cast<uint32_t>(options.seed.k0 % engine::kEnginesMax),
              options.seed),
      journal_(host),
      calls_(host),
      history_(journal_, calls_),
      links_(host, calls_, options_),
      mover_(host, journal_, calls_, options_) {}

// --- Waking -------------------------------------------------------------------------------------

void StreamObject::start(Instant now) {
  now_ = now;
  damaged_ = !journal_.open();
  if (damaged_) return;
  Incarnation known;
  if (!journal_.snapshot().empty()) {
    const auto state = stream::decode_snapshot(journal_.snapshot());
    damaged_ = !state.has_value();
    if (damaged_) return;
    path_ = state->path;
    known = state->id;
  }
  std::string records;
  LogPosition first;
  const bool replayed = journal_.replay([&](std::string_view record, LogPosition at) {
    const auto op = stream::decode_record(record);
    if (!op) return false;
    if (op->create) path_ = op->create->path;
    if (records.empty()) first = at;
    records.append(record);
    return engine_.replay(record, at, *this);
  });
  damaged_ = !replayed;
  if (damaged_) return;
  if (known != Incarnation{}) engine_.recover_stream(known, *this);
  if (!records.empty()) engine_.recover_cache(first, share(std::move(records)));
  engine_.finish_replay(now, journal_.highest_life(), Incarnation{}, journal_.closed_through(),
                        *this, actions_);
  journal_.release_snapshot();
  if (const stream::StreamState* state = engine_.committed(path_)) adopt(*state);
  watch_storage(kWatchedBytes);
  settle();
}

std::optional<std::string> StreamObject::sealed_snapshot(Incarnation stream) {
  // Whether a fork has come to be is found out by asking it: until then it counts as there.
  if (links_.has_child(stream)) return std::string();
  if (journal_.snapshot().empty()) return std::nullopt;
  return journal_.snapshot();
}

void StreamObject::adopt(const stream::StreamState& state) {
  stream_ = state.id;
  std::string source;
  if (state.config.fork) {
    source = state.config.fork->source_path;
    links_.note_source(state.config.fork->source_path_hash, source);
  }
  history_.set_owner(state.id, std::move(source));
}

// --- Requests -----------------------------------------------------------------------------------

void StreamObject::refuse(uint64_t id, ErrorCode code, std::string_view request_id) {
  const wire::Response response = wire::error_response(code);
  std::string head;
  append_head(head, response, request_id);
  host_.respond(id, response.status, head, body_of(response));
}

void StreamObject::refuse_body(uint64_t id, std::string_view head) {
  const IncomingRequest request = decode_request(head, {});
  refuse(id, ErrorCode::kBodyTooLarge, request.request_id);
}

void StreamObject::on_request(uint64_t id, std::string_view head, std::string_view body,
                              Instant now) {
  now_ = now;
  IncomingRequest request = decode_request(head, body);
  Open open;
  open.request_id = request.request_id;
  if (open.request_id.empty()) {
    open.request_id = make_request_id(options_.seed.k1, ++request_ids_);
  }
  open.head_only = request.text.method == wire::Method::kHead;
  std::string scratch;
  const auto path = wire::parse_stream_path(request.text.raw_path, scratch);
  if (!path.ok()) return refuse(id, path.error(), open.request_id);
  if (request.text.method == wire::Method::kOther) {
    return refuse(id, ErrorCode::kMethodNotAllowed, open.request_id);
  }
  if (damaged_) return refuse(id, ErrorCode::kCorruptData, open.request_id);
  if (stream_ == Incarnation{}) path_ = *path;
  if (path_ != *path) return refuse(id, ErrorCode::kInternal, open.request_id);
  if (!request.reader.empty()) {
    host_.open_sse(id, {}, request.reader, request.reader_at);
    return on_reader_back(id, request.reader, request.reader_at, false, now);
  }
  if (refusing_) watch_storage(kWatchedBytes);
  request.text.path = *path;
  open_.emplace(id, std::move(open));
  engine_.on_request(RequestId{id}, request.text, now_, actions_);
  settle();
}

void StreamObject::on_disconnect(uint64_t id) {
  open_.erase(id);
  engine_.on_disconnect(RequestId{id});
}

void StreamObject::on_reader_back(uint64_t id, std::string_view reader, Position at, bool pulling,
                                  Instant now) {
  now_ = now;
  const std::optional<ReaderToken> token = ReaderToken::decode(reader);
  if (!token || damaged_) return host_.end_sse(id);
  engine_.on_reader_back(RequestId{id}, token->stream, at, token->cursor, pulling, now, actions_);
  settle();
}

void StreamObject::on_reader_ready(uint64_t id, Instant now) {
  now_ = now;
  engine_.on_reader_ready(RequestId{id}, now, actions_);
  settle();
}

void StreamObject::on_time(Instant now) {
  now_ = now;
  engine_.on_time(now, actions_);
  settle();
}

void StreamObject::on_alarm(Instant now) {
  alarm_ = kNever;
  if (damaged_) return;
  now_ = now;
  engine_.on_time(now, actions_);
  garbage_ = journal_.collect();
  mover_.sweep(stream_);
  look_after_links();
  settle();
}

void StreamObject::on_object(Token token, ObjectOutcome outcome, std::string_view bytes,
                             Instant now) {
  now_ = now;
  calls_.on_object(token, outcome, bytes);
  settle();
}

// --- What the engine asks for -------------------------------------------------------------------

void StreamObject::settle() {
  for (;;) {
    while (!actions_.empty()) {
      engine::Actions working = std::move(actions_);
      actions_.clear();
      for (engine::Action& action : working) carry_out(action);
    }
    const std::optional<Batch> batch = engine_.take_batch();
    if (!batch) break;
    commit(*batch);
  }
  if (links_.next_due() <= now_) look_after_links();
  set_alarm();
}

void StreamObject::carry_out(engine::Action& action) {
  std::visit([this](auto& one) { carry_out(one); }, action);
}

void StreamObject::carry_out(engine::Respond& action) {
  const auto found = open_.find(action.to.value);
  if (found == open_.end()) return;
  std::string head;
  append_head(head, action.response, found->second.request_id);
  std::string body;
  if (!found->second.head_only) body = body_of(action.response);
  open_.erase(found);
  host_.respond(action.to.value, action.response.status, head, body);
}

void StreamObject::carry_out(engine::OpenSse& action) {
  const auto found = open_.find(action.to.value);
  if (found == open_.end()) return;
  std::string head;
  append_head(head, action.head, found->second.request_id);
  open_.erase(found);
  host_.open_sse(action.to.value, head, ReaderToken{stream_, action.cursor}.encode(),
                 action.position);
}

void StreamObject::carry_out(engine::SendSse& action) {
  std::vector<uint64_t> ids;
  ids.reserve(action.to.size());
  for (const RequestId id : action.to) ids.push_back(id.value);
  host_.send_sse(ids, action.begin, action.end, action.pulled, action.frame.bytes);
}

void StreamObject::carry_out(engine::EndSse& action) { host_.end_sse(action.to.value); }

void StreamObject::carry_out(engine::Load& action) {
  std::string bytes;
  size_t next = 0;
  bool intact = true;
  const bool scanned = journal_.read_generation(
      journal_.open_generation(), [&](std::string_view record, LogPosition at) {
        if (at != action.pieces[next].record) return true;
        const engine::LoadPiece& piece = action.pieces[next];
        intact = stream::record_intact(record);
        if (intact) bytes.append(stream::record_payload(record).substr(piece.skip, piece.bytes));
        return intact && ++next < action.pieces.size();
      });
  LoadOutcome outcome = next == action.pieces.size() ? LoadOutcome::kDone : LoadOutcome::kGone;
  if (!scanned || !intact) outcome = LoadOutcome::kCorrupt;
  engine_.on_loaded(action.load_id, outcome, share(std::move(bytes)), now_, actions_);
}

void StreamObject::carry_out(engine::ReadSealed& action) {
  const uint64_t id = action.load_id;
  history_.read(std::move(action.read),
                [this, id](LoadOutcome outcome, segment::SealedChunk chunk) {
                  engine_.on_sealed_read(id, outcome, std::move(chunk), now_, actions_);
                });
}

void StreamObject::carry_out(engine::Find& action) {
  // All that there is has been in memory from the start.
  engine_.on_found(action.find_id, engine::Engine::Found::kNo, {}, now_, actions_);
}

// --- Commits ------------------------------------------------------------------------------------

void StreamObject::commit(const Batch& batch) {
  const Journal::Appended appended = journal_.append(*batch.records, batch.op_count);
  CommitOutcome outcome = CommitOutcome::kDurable;
  if (appended.stored == Stored::kFull) outcome = CommitOutcome::kDiskFull;
  if (appended.stored == Stored::kFailed) outcome = CommitOutcome::kFailed;
  engine_.on_commit(batch.batch_id, outcome, appended.at, now_, actions_);
  if (outcome != CommitOutcome::kDurable) return;
  watch_storage(batch.records->size());
  after_commit();
}

void StreamObject::after_commit() {
  const stream::StreamState* state = engine_.committed(path_);
  if (state == nullptr) {
    if (stream_ != Incarnation{}) stream_gone();
    return;
  }
  bool due = journal_.open_ops() >= options_.checkpoint_ops ||
             journal_.open_bytes() >= options_.checkpoint_bytes;
  if (state->id != stream_) {
    const auto& fork = state->config.fork;
    const Position begin = fork ? fork->position : Position{};
    if (stream_ != Incarnation{}) {
      // One has expired and another was created in one batch.
      journal_.replace_stream(begin);
      due = true;
    } else {
      journal_.begin_stream(begin);
    }
    adopt(*state);
    if (mover_.owes()) mover_.sweep(stream_);
    // Waking could not replay its creation without its source.
    due = due || fork;
  }
  if (due) checkpoint(*state);
}

void StreamObject::checkpoint(const stream::StreamState& state) {
  const uint32_t generation = journal_.open_generation();
  journal_.close_generation(state, engine_.highest_life());
  engine_.on_sealed(generation, {&stream_, 1}, true, now_);
  trim(state);
  mover_.move(path_, stream_);
}

// Retention works by parts.
void StreamObject::trim(const stream::StreamState& state) {
  const stream::Retention& retention = state.config.retention;
  if (!retention.max_age_seconds && !retention.max_bytes && state.earliest == Position{}) return;
  const Position dropped = journal_.drop_parts([&](const Part& part) {
    if (stream::needs(state, part.begin, part.end)) return false;
    if (!part.object.empty()) mover_.remove(part.object);
    return true;
  });
  if (dropped > Position{}) garbage_ = journal_.collect();
  Position earliest = state.earliest;
  journal_.parts([&](const Part& part) {
    const bool beyond = retention.max_bytes && state.writer.tail - part.end >= *retention.max_bytes;
    const bool old =
        retention.max_age_seconds &&
        part.newest_ms + *retention.max_age_seconds * 1000 < static_cast<uint64_t>(now_.us / 1000);
    if (beyond || old) earliest = std::max(earliest, part.end);
    return beyond || old;
  });
  if (earliest > state.earliest) engine_.on_trim(state.id, earliest, now_, actions_);
}

void StreamObject::stream_gone() {
  stream_ = Incarnation{};
  journal_.clear(engine_.highest_life());
  garbage_ = journal_.collect();
  history_.set_owner(Incarnation{}, {});
  mover_.sweep(Incarnation{});
}

void StreamObject::watch_storage(uint64_t written) {
  unwatched_bytes_ += written;
  if (unwatched_bytes_ < kWatchedBytes) return;
  unwatched_bytes_ = 0;
  refusing_ = host_.stored_bytes() >= options_.storage_bytes_max;
  engine_.set_storage(refusing_ ? ErrorCode::kStorageFull : ErrorCode::kNone);
}

void StreamObject::set_alarm() {
  Instant wanted = std::min(engine_.expiry(path_), links_.next_due());
  if (garbage_ || mover_.owes()) wanted = std::min(wanted, now_ + options_.retry_after);
  // One that is too early sets the next.
  if (wanted >= alarm_) return;
  alarm_ = wanted;
  host_.set_alarm(wanted);
}

}  // namespace ds::worker
