#include "tests/vectors/virtual_host.h"

#include <algorithm>
#include <set>
#include <variant>

#include "core/base/crc32c.h"
#include "core/base/hash.h"
#include "core/stream/op_record.h"
#include "core/wire/response.h"
#include "core/wire/stream_path.h"
#include "core/wire/text.h"
#include "tests/vectors/escape.h"

namespace ds::vectors {
namespace {

constexpr size_t kShownBytesMax = 400;
constexpr int kStepsMax = 100000;

std::string decimal(uint64_t value) {
  std::string out;
  wire::append_decimal(out, value);
  return out;
}

// `bytes` escaped; long ones show as their checksum.
std::string shown(std::string_view bytes) {
  if (bytes.size() <= kShownBytesMax) return escape(bytes);
  return "(" + decimal(bytes.size()) + " bytes, crc32c " + decimal(crc32c(bytes)) + ")";
}

// The lines of an SSE frame, each with `prefix` before it.
std::string lines_of(std::string_view frame, const std::string& prefix) {
  if (frame.size() > 4 * kShownBytesMax) return prefix + shown(frame) + "\n";
  std::string out;
  while (!frame.empty()) {
    const size_t end = frame.find('\n');
    out += prefix + escape(frame.substr(0, end));
    if (end == std::string_view::npos) return out + " (no end of line)\n";
    out += '\n';
    frame = frame.substr(end + 1);
  }
  return out;
}

std::string body_of(const wire::Response& response) {
  std::string body;
  for (const Slice& slice : response.body) body += slice.bytes;
  return body;
}

Remembered remember(const std::string& headers) {
  Remembered out;
  const auto value = [&](std::string_view name) -> std::string {
    const size_t at = headers.find(name);
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size();
    return headers.substr(begin, headers.find("\r\n", begin) - begin);
  };
  out.next_offset = value("Stream-Next-Offset: ");
  out.etag = value("ETag: ");
  out.cursor = value("Stream-Cursor: ");
  return out;
}

}  // namespace

std::string response_text(const wire::Response& response) {
  std::string headers;
  wire::append_headers(headers, response);
  std::string out = decimal(response.status) + "\n";
  for (size_t at = 0; at < headers.size();) {
    const size_t end = headers.find("\r\n", at);
    out += headers.substr(at, end - at) + "\n";
    at = end + 2;
  }
  // The sentence of an error may be put better one day; its code is for ever.
  if (response.error != wire::ErrorCode::kNone) {
    return out + "| error " + std::string(wire::error_info(response.error).code) + "\n";
  }
  const std::string body = body_of(response);
  if (!body.empty()) out += "| " + shown(body) + "\n";
  return out;
}

VirtualHost::VirtualHost(const engine::EngineConfig& config, uint32_t engines, std::string* out)
    : config_(config), engine_count_(engines), out_(out) {
  build_engines(false);
}

VirtualHost::~VirtualHost() = default;

engine::Engine& VirtualHost::owner_of(uint64_t path_hash) { return *engines_[index_of(path_hash)]; }

size_t VirtualHost::index_of(uint64_t path_hash) const {
  return static_cast<size_t>(path_hash % engine_count_);
}

void VirtualHost::line(const std::string& text) {
  if (out_ == nullptr) return;
  *out_ += "< " + text + "\n";
}

bool VirtualHost::replay_log() {
  for (const auto& [at, record] : log_) {
    if (!owner_of(stream::record_path_hash(record)).replay(record, at, *this)) return false;
  }
  return true;
}

void VirtualHost::build_engines(bool lost_writes) {
  engines_.clear();
  for (uint32_t i = 0; i < engine_count_; ++i) {
    engines_.push_back(std::make_unique<engine::Engine>(config_, i, HashKey{1, 2}));
  }
  if (!replay_log()) line("replay refused");
  Incarnation highest;
  for (const auto& engine : engines_) highest = std::max(highest, engine->highest_life());
  if (lost_writes) highest = lost_life_ = Incarnation{highest.value + 1};
  for (size_t i = 0; i < engines_.size(); ++i) {
    engine::Actions actions;
    engines_[i]->finish_replay(now_, std::max(highest, lost_life_), lost_life_, 0, *this, actions);
    todo_.emplace_back(i, std::move(actions));
  }
  settle(0, {});
}

// --- Requests -----------------------------------------------------------------------------------

void VirtualHost::deliver(uint64_t id, const RequestInput& input, engine::Actions& actions,
                          size_t* engine) {
  *engine = 0;
  const std::string_view target = input.target;
  const size_t question = target.find('?');
  wire::RequestText text;
  text.method = input.method;
  text.raw_path = target.substr(0, question);
  if (question != std::string_view::npos) text.query = target.substr(question + 1);
  text.body = input.body;
  text.origin = "http://localhost:4437";

  std::string scratch;
  const auto path = wire::parse_stream_path(text.raw_path, scratch);
  if (!path.ok()) {
    actions.push_back(engine::Respond{engine::RequestId{id}, wire::error_response(path.error())});
    return;
  }
  text.path = *path;
  paths_[std::string(text.raw_path)] = true;

  std::array<std::string, wire::kHeaderCount> values;
  for (const auto& [name, value] : input.headers) {
    const auto known = wire::header_id(name);
    if (!known) continue;
    const auto slot = static_cast<size_t>(*known);
    if (!text.headers[slot]) {
      values[slot] = value;
    } else if (*known == wire::HeaderId::kIfNoneMatch) {
      values[slot] += ", " + value;
    } else {
      text.repeated_header = true;
    }
    text.headers[slot] = values[slot];
  }
  *engine = index_of(path_hash(text.path));
  engines_[*engine]->on_request(engine::RequestId{id}, text, now_, actions);
}

uint64_t VirtualHost::request(const RequestInput& input) {
  const uint64_t id = ++last_id_;
  engine::Actions actions;
  size_t engine = 0;
  open_[id] = OpenRequest{};
  deliver(id, input, actions, &engine);
  open_[id].engine = engine;
  settle(engine, std::move(actions));
  if (open_.count(id) != 0 && !open_[id].sse) line(decimal(id) + " waits");
  return id;
}

void VirtualHost::disconnect(uint64_t id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  engines_[found->second.engine]->on_disconnect(engine::RequestId{id});
  open_.erase(found);
  settle(0, {});
}

void VirtualHost::answer(uint64_t id, const wire::Response& response) {
  if (open_.erase(id) == 0) return;
  const std::string text = response_text(response);
  if (captured_) {
    captured_ = text;
    captured_response_ = response;
    return;
  }
  std::string headers;
  wire::append_headers(headers, response);
  remembered_[id] = remember(headers);
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    line(decimal(id) + (text[at] == '|' ? "" : ": ") + text.substr(at, end - at));
    at = end + 1;
  }
}

// --- Live readers -------------------------------------------------------------------------------

void VirtualHost::send_frame(engine::SendSse& send) {
  std::string to;
  for (const engine::RequestId id : send.to) {
    const auto found = open_.find(id.value);
    if (found == open_.end()) continue;
    OpenRequest& reader = found->second;
    if (reader.stalled || (reader.lagging && reader.accepted != send.begin)) {
      if (!reader.lagging) {
        reader.lagging = true;
        line(decimal(id.value) + " lags at " + decimal(reader.accepted.value));
        engines_[reader.engine]->on_reader_lagging(id, reader.accepted);
      }
      continue;
    }
    if (reader.accepted != send.begin) line(decimal(id.value) + " got a frame out of place");
    reader.lagging = false;
    reader.accepted = send.end;
    to += (to.empty() ? "" : ",") + decimal(id.value);
    if (send.pulled) drained_.push_back(id.value);
  }
  if (to.empty() || out_ == nullptr) return;
  line(to + " [" + decimal(send.begin.value) + "," + decimal(send.end.value) + ")" +
       (send.pulled ? " pulled" : ""));
  *out_ += lines_of(send.frame.bytes, "< " + to + "| ");
}

void VirtualHost::stall(uint64_t id) { open_[id].stalled = true; }

void VirtualHost::drain(uint64_t id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  found->second.stalled = false;
  drained_.push_back(id);
  settle(0, {});
}

void VirtualHost::end_live_readers() {
  for (size_t i = 0; i < engines_.size(); ++i) {
    engine::Actions actions;
    engines_[i]->end_live_readers(now_, actions);
    settle(i, std::move(actions));
  }
}

// --- Actions ------------------------------------------------------------------------------------

void VirtualHost::perform(size_t engine, engine::Action& action) {
  if (auto* respond = std::get_if<engine::Respond>(&action)) {
    answer(respond->to.value, respond->response);
  } else if (auto* open = std::get_if<engine::OpenSse>(&action)) {
    const auto found = open_.find(open->to.value);
    if (found == open_.end()) return;
    found->second.sse = true;
    found->second.accepted = open->position;
    const std::string label = decimal(open->to.value) + ": ";
    const std::string text = response_text(open->head);
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      line(label + text.substr(at, end - at));
      at = end + 1;
    }
  } else if (auto* send = std::get_if<engine::SendSse>(&action)) {
    send_frame(*send);
  } else if (auto* end = std::get_if<engine::EndSse>(&action)) {
    if (open_.erase(end->to.value) != 0) line(decimal(end->to.value) + " ends");
  } else if (auto* load = std::get_if<engine::Load>(&action)) {
    loads_.push_back(Waiting{engine, std::move(*load)});
    if (load_by_hand_) line("load of " + decimal(loads_.back().load.pieces.size()) + " pieces");
  } else if (auto* message = std::get_if<engine::PeerMessage>(&action)) {
    const size_t peer = index_of(message->to_path_hash);
    engine::Actions actions;
    engines_[peer]->on_peer(*message, now_, actions);
    todo_.emplace_back(peer, std::move(actions));
  }
}

void VirtualHost::settle(size_t engine, engine::Actions actions) {
  todo_.emplace_back(engine, std::move(actions));
  for (int steps = 0; steps < kStepsMax; ++steps) {
    if (!todo_.empty()) {
      auto [index, list] = std::move(todo_.front());
      todo_.pop_front();
      for (engine::Action& action : list) perform(index, action);
    } else if (!drained_.empty()) {
      const uint64_t id = drained_.front();
      drained_.pop_front();
      const auto found = open_.find(id);
      if (found == open_.end() || found->second.stalled) continue;
      engine::Actions more;
      engines_[found->second.engine]->on_reader_ready(engine::RequestId{id}, now_, more);
      todo_.emplace_back(found->second.engine, std::move(more));
    } else if (!loads_.empty() && !load_by_hand_) {
      finish_load(LoadResult::kOk);
    } else if (commit_by_hand_ || !settle_commits()) {
      return;
    }
  }
  line("no end of actions");
}

// --- Commits ------------------------------------------------------------------------------------

bool VirtualHost::settle_commits() {
  for (size_t i = 0; i < engines_.size(); ++i) {
    if (auto batch = engines_[i]->take_batch()) taken_.push_back(Taken{i, std::move(*batch)});
  }
  if (taken_.empty()) return false;
  finish_batch(engine::CommitOutcome::kDurable);
  return true;
}

LogPosition VirtualHost::append_to_log(const engine::Batch& batch) {
  const LogPosition first = log_end_;
  std::string_view rest = *batch.records;
  uint32_t ops = 0;
  while (!rest.empty()) {
    const auto size = stream::peek_record_size(rest);
    if (!size || *size > rest.size() || !stream::record_intact(rest.substr(0, *size))) {
      line("a record of the batch is broken");
      break;
    }
    log_[log_end_] = std::string(rest.substr(0, *size));
    log_end_ = log_end_ + *size;
    rest = rest.substr(*size);
    ++ops;
  }
  if (ops != batch.op_count) line("the batch counts its ops wrongly");
  return first;
}

void VirtualHost::finish_batch(engine::CommitOutcome outcome) {
  const Taken taken = std::move(taken_.front());
  taken_.pop_front();
  LogPosition first;
  if (outcome == engine::CommitOutcome::kDurable) {
    first = append_to_log(taken.batch);
  } else {  // what this engine has sent after it is void
    std::deque<Taken> kept;
    for (Taken& later : taken_) {
      if (later.engine != taken.engine) kept.push_back(std::move(later));
    }
    taken_ = std::move(kept);
  }
  engine::Actions actions;
  engines_[taken.engine]->on_commit(taken.batch.batch_id, outcome, first, now_, actions);
  todo_.emplace_back(taken.engine, std::move(actions));
}

void VirtualHost::take() {
  for (size_t i = 0; i < engines_.size(); ++i) {
    if (auto batch = engines_[i]->take_batch()) {
      line("takes " + decimal(batch->op_count) + (batch->op_count == 1 ? " op" : " ops"));
      taken_.push_back(Taken{i, std::move(*batch)});
    }
  }
}

void VirtualHost::commit(engine::CommitOutcome outcome) {
  if (taken_.empty()) take();
  if (taken_.empty()) {
    line("nothing to commit");
    return;
  }
  finish_batch(outcome);
  settle(0, {});
}

// --- Loads --------------------------------------------------------------------------------------

void VirtualHost::finish_load(LoadResult result) {
  const Waiting waiting = std::move(loads_.front());
  loads_.pop_front();
  std::string bytes;
  bool missing = false;
  for (const engine::LoadPiece& piece : waiting.load.pieces) {
    const auto record = log_.find(piece.record);
    if (record == log_.end()) {
      line("a load names no record");
      missing = true;
      break;
    }
    const std::string_view payload = stream::record_payload(record->second);
    if (uint64_t{piece.skip} + piece.bytes > payload.size()) {
      line("a load leaves its record");
      missing = true;
      break;
    }
    bytes += payload.substr(piece.skip, piece.bytes);
  }
  const bool ok = result == LoadResult::kOk && !missing;
  engine::Actions actions;
  const engine::LoadOutcome outcome = ok ? engine::LoadOutcome::kDone
                                      : result == LoadResult::kCorrupt
                                          ? engine::LoadOutcome::kCorrupt
                                          : engine::LoadOutcome::kFailed;
  engines_[waiting.engine]->on_loaded(waiting.load.load_id, outcome,
                                      ok ? share(std::move(bytes)) : SharedBytes{}, now_, actions);
  todo_.emplace_back(waiting.engine, std::move(actions));
}

void VirtualHost::load(LoadResult result) {
  if (loads_.empty()) {
    line("nothing to load");
    return;
  }
  finish_load(result);
  settle(0, {});
}

// --- Time ---------------------------------------------------------------------------------------

void VirtualHost::set_time(Instant now) {
  if (now > now_) advance(now - now_);
}

void VirtualHost::advance(Duration duration) {
  const Instant target = now_ + duration;
  for (int steps = 0; steps < kStepsMax; ++steps) {
    Instant next = target;
    for (const auto& engine : engines_) next = std::min(next, engine->next_deadline());
    now_ = std::max(now_, next);
    for (size_t i = 0; i < engines_.size(); ++i) {
      engine::Actions actions;
      engines_[i]->on_time(now_, actions);
      settle(i, std::move(actions));
    }
    bool due = false;
    for (const auto& engine : engines_) due = due || engine->next_deadline() <= target;
    if (!due) {
      now_ = target;
      return;
    }
  }
  line("no end of deadlines");
}

// --- Recovery -----------------------------------------------------------------------------------

void VirtualHost::restart(bool lost_writes) {
  todo_.clear();
  taken_.clear();
  loads_.clear();
  drained_.clear();
  open_.clear();
  build_engines(lost_writes);
}

std::string VirtualHost::ask(wire::Method method, const std::string& target) {
  RequestInput input;
  input.method = method;
  input.target = target;
  std::string* const out = out_;
  const uint64_t last_id = last_id_;
  last_id_ = uint64_t{1} << 60;
  out_ = nullptr;
  captured_ = std::string();
  const uint64_t id = request(input);
  open_.erase(id);
  std::string text = std::move(*captured_);
  captured_.reset();
  out_ = out;
  last_id_ = last_id;
  return text;
}

std::string VirtualHost::everything_about(const std::string& path) {
  std::string all = "HEAD " + ask(wire::Method::kHead, path);
  std::string offset = "-1";
  for (int chunks = 0; chunks < 10000; ++chunks) {
    all += "GET " + ask(wire::Method::kGet, path + "?offset=" + offset);
    if (!captured_response_.next_offset || captured_response_.up_to_date) break;
    std::string next;
    wire::append_offset(next, *captured_response_.next_offset);
    if (next == offset) break;
    offset = next;
  }
  return all;
}

void VirtualHost::check_replay() {
  commit_by_hand_ = false;
  load_by_hand_ = false;
  settle(0, {});
  VirtualHost other(config_, engine_count_, nullptr);
  other.now_ = now_;
  other.log_ = log_;
  other.log_end_ = log_end_;
  other.build_engines(false);
  size_t streams = 0;
  for (const auto& [path, named] : paths_) {
    const std::string ours = everything_about(path);
    const std::string theirs = other.everything_about(path);
    if (ours != theirs) {
      line("replay differs at " + path);
      line("live:   " + escape(ours));
      line("replay: " + escape(theirs));
    }
    if (ours.substr(0, 8) == "HEAD 200") ++streams;
  }
  line("replay agrees on " + decimal(streams) + (streams == 1 ? " stream" : " streams") + " at " +
       decimal(paths_.size()) + (paths_.size() == 1 ? " path" : " paths"));
}

void VirtualHost::print_log() {
  static constexpr char kHex[] = "0123456789abcdef";
  for (const auto& [at, record] : log_) {
    std::string hex;
    for (const char c : record) {
      const auto byte = static_cast<unsigned char>(c);
      hex += kHex[byte >> 4];
      hex += kHex[byte & 15];
    }
    line("record at " + decimal(at.byte_offset()));
    for (size_t i = 0; i < hex.size(); i += 64) line("  " + hex.substr(i, 64));
  }
}

void VirtualHost::print_stats() {
  engine::Engine::Stats sum;
  for (const auto& engine : engines_) {
    const engine::Engine::Stats stats = engine->stats();
    sum.streams += stats.streams;
    sum.parked_long_polls += stats.parked_long_polls;
    sum.sse_readers += stats.sse_readers;
    sum.pending_ops += stats.pending_ops;
    sum.expired_streams += stats.expired_streams;
    sum.lagging_readers += stats.lagging_readers;
  }
  line("streams " + decimal(sum.streams) + ", long-polls " + decimal(sum.parked_long_polls) +
       ", sse readers " + decimal(sum.sse_readers) + ", pending ops " + decimal(sum.pending_ops) +
       ", expired " + decimal(sum.expired_streams) + ", lagging " + decimal(sum.lagging_readers));
}

}  // namespace ds::vectors
