// For the engine's tests: a host in which the test decides when and how each commit, load, message
// between engines and delivery to a socket ends. One thread, a clock that stands still, a log in
// memory. What an engine must never ask of a host is a test failure here.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/hash.h"
#include "core/engine/engine.h"
#include "core/engine/test_catalog.h"
#include "core/engine/test_request.h"
#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/wire/offset_text.h"
#include "core/wire/response.h"

namespace ds::engine::test {

// An SSE response as the client of it sees it.
struct Frame {
  Position begin;
  Position end;
  std::string bytes;
};
struct Socket {
  size_t engine = 0;
  wire::Response head;
  Position start;
  Position accepted;
  std::vector<Frame> frames;
  bool ended = false;

  // The host's side of flow control.
  bool full = false;      // takes nothing at present
  bool dropping = false;  // until a frame begins where it stands
  struct End {};
  std::deque<std::variant<Frame, End>> inbox;  // from the engine, not yet at the socket
  std::deque<std::optional<Position>> outbox;  // to the engine: lagging there, or ready
  std::deque<bool> inbox_pulled;               // of the inbox's frames

  std::string all() const {
    std::string out;
    for (const Frame& frame : frames) out += frame.bytes;
    return out;
  }
};

// --- The host -----------------------------------------------------------------------------------

class TestHost : public Engine::Peers {
 public:
  enum class When : uint8_t { kAtOnce, kByHand };

  explicit TestHost(EngineConfig config = {}, uint32_t engines = 1) : config_(config) {
    rebuild(engines);
  }
  ~TestHost() override = default;

  // Who ends commits, loads, messages between engines, and the ways to and from sockets.
  When commits = When::kAtOnce;
  When loads = When::kAtOnce;
  When peers = When::kAtOnce;
  When finds = When::kAtOnce;
  When sockets = When::kAtOnce;

  // --- Requests

  // Sends it; what follows at once happens. Returns its number.
  uint64_t send(const Request& request) {
    const uint64_t id = ++last_id_;
    const size_t engine = index_of(path_hash(request.path));
    wire::RequestText text;
    text.method = request.method;
    text.path = request.path;
    text.query = request.query;
    text.body = request.body;
    text.origin = "http://localhost";
    const std::string raw_path = "/v1/stream/" + request.path;
    text.raw_path = raw_path;
    for (size_t i = 0; i < wire::kHeaderCount; ++i) {
      if (request.headers[i]) text.headers[i] = *request.headers[i];
    }
    open_[id] = engine;
    Actions actions;
    engines_[engine]->on_request(RequestId{id}, text, now_, actions);
    run(engine, std::move(actions));
    return id;
  }

  // The answer, or null as long as there is none.
  const wire::Response* answer(uint64_t id) const {
    const auto found = answers_.find(id);
    return found == answers_.end() ? nullptr : &found->second;
  }
  bool waits(uint64_t id) const { return answer(id) == nullptr; }
  // 0 as long as there is none.
  int status(uint64_t id) const { return waits(id) ? 0 : answer(id)->status; }
  ErrorCode error(uint64_t id) const { return waits(id) ? ErrorCode::kNone : answer(id)->error; }
  std::string body(uint64_t id) const { return waits(id) ? "(waits)" : body_of(*answer(id)); }
  std::string next(uint64_t id) const {
    const wire::Response* response = answer(id);
    return response != nullptr && response->next_offset ? text(*response->next_offset) : "(none)";
  }

  // Sends it and returns the answer that must be there at once.
  wire::Response ask(const Request& request) {
    const uint64_t id = send(request);
    if (waits(id)) {
      ADD_FAILURE() << "no answer to the request for " << request.path;
      return wire::Response();
    }
    return *answer(id);
  }
  int ask_status(const Request& request) { return ask(request).status; }
  std::string read(const std::string& path, const std::string& query = "") {
    return body_of(ask(get(path, query)));
  }
  std::string tail(const std::string& path) {
    const wire::Response response = ask(head(path));
    return response.next_offset ? text(*response.next_offset) : "(none)";
  }

  void disconnect(uint64_t id) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    engines_[found->second]->on_disconnect(RequestId{id});
    open_.erase(found);
    sockets_.erase(id);
  }

  // --- Time

  Instant now() const { return now_; }
  void advance(Duration by) {
    const Instant until = now_ + by;
    for (;;) {
      Instant due = kNever;
      for (const auto& engine : engines_) due = std::min(due, engine->next_deadline());
      now_ = std::max(now_, std::min(due, until));
      for (size_t i = 0; i < engines_.size(); ++i) {
        Actions actions;
        engines_[i]->on_time(now_, actions);
        run(i, std::move(actions));
      }
      if (due >= until) return;
    }
  }

  // The same with timers that are late: nothing fires.
  void pass(Duration by) { now_ = now_ + by; }

  // --- Commits

  size_t engines() const { return engines_.size(); }
  Engine& engine(size_t i = 0) { return *engines_[i]; }
  size_t taken(size_t i = 0) const { return taken_[i].size(); }

  // Hands the open batch of an engine to the log. False if there is none.
  bool take(size_t i = 0) {
    std::optional<Batch> batch = engines_[i]->take_batch();
    if (!batch) return false;
    taken_[i].push_back(std::move(*batch));
    return true;
  }
  // Ends the oldest batch that was taken; takes what there is if none was. False if there is none.
  bool commit(size_t i = 0, CommitOutcome outcome = CommitOutcome::kDurable) {
    if (taken_[i].empty() && !take(i)) return false;
    const Batch batch = std::move(taken_[i].front());
    taken_[i].pop_front();
    LogPosition at = log_end_;
    if (outcome == CommitOutcome::kDurable) {
      at = write_log(batch);
    } else {
      taken_[i].clear();  // void: their engine will not hear of them
    }
    const uint64_t epoch = engines_[i]->epoch();
    Actions actions;
    engines_[i]->on_commit(batch.batch_id, outcome, at, now_, actions);
    EXPECT_EQ(engines_[i]->epoch(), epoch + (outcome == CommitOutcome::kDurable ? 0 : 1));
    run(i, std::move(actions));
    return true;
  }
  bool fail(size_t i = 0) { return commit(i, CommitOutcome::kFailed); }
  // Commits until no engine has anything left.
  void commit_all() {
    for (bool more = true; more;) {
      more = false;
      for (size_t i = 0; i < engines_.size(); ++i) more = commit(i) || more;
    }
  }
  // Ops in the log, by type (OpType), over all engines.
  std::map<int, int> op_counts() const {
    std::map<int, int> counts;
    for (const auto& [at, record] : log_) {
      const auto op = stream::decode_record(record);
      EXPECT_TRUE(op.has_value());
      counts[static_cast<int>(op->type)]++;
    }
    return counts;
  }
  int ops(stream::OpType type) const { return op_counts()[static_cast<int>(type)]; }

  // --- Sealing (with EngineConfig::has_catalog)

  TestCatalog& catalog() { return catalog_; }
  // What is committed from now on goes to another generation.
  void rotate() { log_end_ = log_position(log_end_.generation() + 1, 64); }
  // Seals the oldest generation that is not the last. False if there is none.
  bool seal() {
    const uint32_t generation = catalog_.sealed_through() + 1;
    if (generation >= log_end_.generation()) return false;
    std::vector<std::vector<Incarnation>> touched(engines_.size());
    for (const TestCatalog::Touched& one : catalog_.seal(generation, log_)) {
      touched[index_of(one.path_hash)].push_back(one.id);
    }
    for (size_t i = 0; i < engines_.size(); ++i) {
      // In two parts, as a host may.
      const std::span<const Incarnation> all(touched[i]);
      engines_[i]->on_sealed(generation, all.first(all.size() / 2), false, now_);
      engines_[i]->on_sealed(generation, all.subspan(all.size() / 2), true, now_);
    }
    return true;
  }
  void seal_all() {
    rotate();
    while (seal()) {
    }
  }
  // Seals everything and lets the engines forget what they can.
  void make_cold() {
    seal_all();
    advance(Duration{config_.evict_after.us + seconds(2).us});
  }
  size_t waiting_finds() const { return finds_.size(); }
  // The catalog is asked now; its answer arrives with `find`.
  void look_up(size_t which = 0) {
    WaitingFind& waiting = finds_[which];
    waiting.looked_up = true;
    waiting.snapshot = catalog_.find(waiting.find);
  }
  void find(Engine::Found end = Engine::Found::kYes, size_t which = 0) {
    if (!finds_[which].looked_up) look_up(which);
    const WaitingFind waiting = std::move(finds_[which]);
    finds_.erase(finds_.begin() + static_cast<std::ptrdiff_t>(which));
    if (end == Engine::Found::kYes && !waiting.snapshot) end = Engine::Found::kNo;
    Actions actions;
    engines_[waiting.engine]->on_found(waiting.find.find_id, end, waiting.snapshot.value_or(""),
                                       now_, actions);
    run(waiting.engine, std::move(actions));
  }
  void trim(Incarnation id, uint64_t path_hash, Position earliest) {
    const size_t i = index_of(path_hash);
    Actions actions;
    engines_[i]->on_trim(id, earliest, now_, actions);
    run(i, std::move(actions));
  }
  void due(Incarnation id, uint64_t path_hash) {
    const size_t i = index_of(path_hash);
    Actions actions;
    engines_[i]->on_due(id, now_, actions);
    run(i, std::move(actions));
  }
  std::optional<std::string> sealed_snapshot(Incarnation stream) override {
    return catalog_.snapshot(stream);
  }

  // --- Loads

  size_t waiting_loads() const { return loads_.size(); }
  enum class LoadEnd : uint8_t { kOk, kFailed, kCorrupt };
  // Ends waiting load number `which`.
  void load(LoadEnd end = LoadEnd::kOk, size_t which = 0) {
    const auto [i, any] = loads_[which];
    loads_.erase(loads_.begin() + static_cast<std::ptrdiff_t>(which));
    LoadOutcome outcome = end == LoadEnd::kOk       ? LoadOutcome::kDone
                          : end == LoadEnd::kFailed ? LoadOutcome::kFailed
                                                    : LoadOutcome::kCorrupt;
    Actions actions;
    if (const auto* sealed = std::get_if<ReadSealed>(&any)) {
      std::optional<segment::SealedChunk> chunk = catalog_.read(sealed->read);
      if (!chunk && outcome == LoadOutcome::kDone) outcome = LoadOutcome::kCorrupt;
      engines_[i]->on_sealed_read(sealed->load_id, outcome,
                                  chunk ? std::move(*chunk) : segment::SealedChunk(), now_,
                                  actions);
      run(i, std::move(actions));
      return;
    }
    const Load& load = std::get<Load>(any);
    std::string bytes;
    for (const LoadPiece& piece : load.pieces) {
      const auto found = log_.find(piece.record);
      if (found == log_.end() && piece.record.generation() <= catalog_.sealed_through()) {
        outcome = LoadOutcome::kGone;
        break;
      }
      if (found == log_.end()) {
        ADD_FAILURE() << "a load of a record that is not in the log";
        return;
      }
      const std::string_view payload = stream::record_payload(found->second);
      EXPECT_LE(uint64_t{piece.skip} + piece.bytes, payload.size());
      bytes += payload.substr(piece.skip, piece.bytes);
    }
    engines_[i]->on_loaded(load.load_id, outcome,
                           outcome == LoadOutcome::kDone ? share(bytes) : nullptr, now_, actions);
    run(i, std::move(actions));
  }

  // --- Messages between engines

  size_t waiting_messages() const { return messages_.size(); }
  // Delivers message number `which` of those that wait; between two engines they keep their order.
  void deliver_message(size_t which = 0) {
    const auto pair = std::pair(messages_[which].from, messages_[which].to);
    for (size_t i = 0; i < which; ++i) {
      if (std::pair(messages_[i].from, messages_[i].to) == pair) {
        which = i;
        break;
      }
    }
    const InFlight message = std::move(messages_[which]);
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(which));
    Actions actions;
    engines_[message.to]->on_peer(message.body, now_, actions);
    run(message.to, std::move(actions));
  }

  // --- SSE

  Socket& socket(uint64_t id) {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) {
      ADD_FAILURE() << "request " << id << " is no SSE reader";
      static Socket none;
      return none;
    }
    return found->second;
  }
  bool is_sse(uint64_t id) const { return sockets_.count(id) != 0; }
  // One thing of the engine's reaches the socket.
  bool deliver_to_socket(uint64_t id) {
    Socket& socket = sockets_.at(id);
    if (socket.inbox.empty()) return false;
    const auto thing = std::move(socket.inbox.front());
    socket.inbox.pop_front();
    const bool pulled = socket.inbox_pulled.front();
    socket.inbox_pulled.pop_front();
    if (std::holds_alternative<Socket::End>(thing)) {
      socket.ended = true;
      open_.erase(id);
    } else {
      receive(socket, std::get<Frame>(thing), pulled);
    }
    return true;
  }
  // One thing of the socket's reaches the engine.
  bool deliver_from_socket(uint64_t id) {
    Socket& socket = sockets_.at(id);
    if (socket.outbox.empty()) return false;
    const std::optional<Position> lagging_at = socket.outbox.front();
    socket.outbox.pop_front();
    if (open_.count(id) == 0) return true;
    if (lagging_at) {
      engines_[socket.engine]->on_reader_lagging(RequestId{id}, *lagging_at);
      return true;
    }
    Actions actions;
    engines_[socket.engine]->on_reader_ready(RequestId{id}, now_, actions);
    run(socket.engine, std::move(actions));
    return true;
  }
  // The socket takes nothing any more, or everything again.
  void stall(uint64_t id) { socket(id).full = true; }
  void drain(uint64_t id) {
    Socket& s = socket(id);
    s.full = false;
    if (s.dropping) s.outbox.push_back(std::nullopt);
    settle();
  }

  void end_live_readers() {
    for (size_t i = 0; i < engines_.size(); ++i) {
      Actions actions;
      engines_[i]->end_live_readers(now_, actions);
      run(i, std::move(actions));
    }
  }

  // --- Restarts

  // Everything but the log is lost, and engines are made anew from it.
  void restart(uint32_t count, bool lost_writes = false) {
    if (lost_writes) loss_ = true;
    rebuild(count);
  }
  void restart() { restart(static_cast<uint32_t>(engines_.size())); }
  // The newest records of the log are lost too, as with relaxed durability.
  void lose_records(size_t count) {
    for (; count > 0 && !log_.empty(); --count) log_.erase(std::prev(log_.end()));
  }
  size_t log_records() const { return log_.size(); }
  // Another host with the same log and clock.
  std::unique_ptr<TestHost> twin(uint32_t count) const {
    auto other = std::make_unique<TestHost>(config_, count);
    other->now_ = now_;
    other->log_ = log_;
    other->log_end_ = log_end_;
    other->catalog_ = catalog_;
    other->lost_life_ = lost_life_;
    other->rebuild(count);
    return other;
  }

  Engine& owner_of(uint64_t hash) override { return *engines_[index_of(hash)]; }
  size_t index_of(uint64_t hash) const { return static_cast<size_t>(hash % engines_.size()); }
  size_t index_of(const std::string& path) const { return index_of(path_hash(path)); }

 private:
  struct InFlight {
    size_t from = 0;
    size_t to = 0;
    PeerMessage body;
  };
  struct WaitingFind {
    size_t engine = 0;
    Find find;
    bool looked_up = false;
    std::optional<std::string> snapshot;
  };

  void rebuild(uint32_t count) {
    engines_.clear();
    taken_.assign(count, {});
    loads_.clear();
    finds_.clear();
    messages_.clear();
    open_.clear();
    sockets_.clear();
    for (uint32_t i = 0; i < count; ++i) {
      engines_.push_back(std::make_unique<Engine>(config_, i, HashKey{3, 4}));
    }
    for (const auto& [at, record] : log_) {
      EXPECT_TRUE(owner_of(stream::record_path_hash(record)).replay(record, at, *this));
    }
    for (const auto& [child, source] : catalog_.open_pins()) {
      const auto state = stream::decode_snapshot(*catalog_.snapshot(source));
      owner_of(state->path_hash).recover_pin(source, child, *this);
    }
    Incarnation highest = catalog_.highest_life();
    for (const auto& engine : engines_) highest = std::max(highest, engine->highest_life());
    if (std::exchange(loss_, false)) lost_life_ = Incarnation{highest.value + 1};
    highest = std::max(highest, lost_life_);
    std::vector<Actions> all(engines_.size());
    for (size_t i = 0; i < engines_.size(); ++i) {
      engines_[i]->finish_replay(now_, highest, lost_life_, catalog_.sealed_through(), *this,
                                 all[i]);
    }
    for (size_t i = 0; i < engines_.size(); ++i) run(i, std::move(all[i]));
  }

  LogPosition write_log(const Batch& batch) {
    const LogPosition first = log_end_;
    std::string_view left = *batch.records;
    uint32_t ops = 0;
    while (!left.empty()) {
      const auto size = stream::peek_record_size(left);
      if (!size || *size > left.size()) {
        ADD_FAILURE() << "a batch does not consist of records";
        break;
      }
      EXPECT_TRUE(stream::record_intact(left.substr(0, *size)));
      log_.emplace(log_end_, std::string(left.substr(0, *size)));
      log_end_ = log_end_ + *size;
      left.remove_prefix(*size);
      ++ops;
    }
    EXPECT_EQ(ops, batch.op_count);
    log_end_ = log_end_ + 64;  // a frame's header
    return first;
  }

  void run(size_t engine, Actions actions) {
    for (Action& action : actions) perform(engine, action);
    settle();
  }

  void perform(size_t engine, Action& action) {
    if (auto* respond = std::get_if<Respond>(&action)) {
      const uint64_t id = respond->to.value;
      EXPECT_EQ(answers_.count(id), 0u) << "two answers to request " << id;
      EXPECT_FALSE(is_sse(id)) << "an answer to SSE reader " << id;
      if (open_.erase(id) != 0) answers_.emplace(id, std::move(respond->response));
    } else if (auto* opened = std::get_if<OpenSse>(&action)) {
      if (open_.count(opened->to.value) == 0) return;
      Socket socket;
      socket.engine = engine;
      socket.head = std::move(opened->head);
      socket.start = socket.accepted = opened->position;
      EXPECT_TRUE(sockets_.emplace(opened->to.value, std::move(socket)).second);
    } else if (auto* send = std::get_if<SendSse>(&action)) {
      for (const RequestId id : send->to) {
        const auto found = sockets_.find(id.value);
        if (found == sockets_.end()) continue;
        EXPECT_LE(send->begin, send->end);
        found->second.inbox.push_back(
            Frame{send->begin, send->end, std::string(send->frame.bytes)});
        found->second.inbox_pulled.push_back(send->pulled);
      }
    } else if (auto* end = std::get_if<EndSse>(&action)) {
      const auto found = sockets_.find(end->to.value);
      if (found == sockets_.end()) return;
      found->second.inbox.push_back(Socket::End{});
      found->second.inbox_pulled.push_back(false);
    } else if (auto* load = std::get_if<Load>(&action)) {
      loads_.emplace_back(engine, std::move(*load));
    } else if (auto* sealed = std::get_if<ReadSealed>(&action)) {
      loads_.emplace_back(engine, std::move(*sealed));
    } else if (auto* find = std::get_if<Find>(&action)) {
      EXPECT_TRUE(config_.has_catalog);
      finds_.push_back(WaitingFind{engine, std::move(*find), false, std::nullopt});
    } else {
      auto& message = std::get<PeerMessage>(action);
      const size_t to = index_of(message.to_path_hash);
      messages_.push_back(InFlight{engine, to, std::move(message)});
    }
  }

  void receive(Socket& socket, const Frame& frame, bool pulled) {
    EXPECT_FALSE(socket.ended);
    const bool empty = frame.begin == frame.end;
    if (socket.dropping && (frame.begin != socket.accepted || empty)) return;
    socket.dropping = false;
    if (socket.full) {
      if (empty) return;  // nothing is lost by it
      socket.dropping = true;
      socket.outbox.push_back(socket.accepted);
      return;
    }
    EXPECT_EQ(frame.begin, socket.accepted) << "a gap, or something twice";
    socket.accepted = frame.end;
    socket.frames.push_back(frame);
    if (pulled) socket.outbox.push_back(std::nullopt);
  }

  bool settle_sockets() {
    bool any = false;
    std::vector<uint64_t> ids;
    for (const auto& [id, socket] : sockets_) ids.push_back(id);
    for (const uint64_t id : ids) {
      while (is_sse(id) && deliver_to_socket(id)) any = true;
      while (is_sse(id) && deliver_from_socket(id)) any = true;
    }
    return any;
  }

  // Does what is to happen at once, until there is nothing left.
  void settle() {
    if (settling_) return;
    settling_ = true;
    int turns = 0;
    for (bool more = true; more;) {
      more = false;
      if (++turns > 100000) {
        ADD_FAILURE() << "the engines keep themselves busy for ever";
        break;
      }
      while (peers == When::kAtOnce && !messages_.empty()) {
        deliver_message();
        more = true;
      }
      for (size_t i = 0; commits == When::kAtOnce && i < engines_.size(); ++i) {
        more = commit(i) || more;
      }
      while (finds == When::kAtOnce && !finds_.empty()) {
        find();
        more = true;
      }
      if (loads == When::kAtOnce && !loads_.empty()) {
        load();
        more = true;
      }
      if (sockets == When::kAtOnce) more = settle_sockets() || more;
    }
    settling_ = false;
  }

  EngineConfig config_;
  Instant now_ = kStart;
  std::vector<std::unique_ptr<Engine>> engines_;
  std::vector<std::deque<Batch>> taken_;
  std::map<LogPosition, std::string> log_;
  LogPosition log_end_ = log_position(1, 64);
  TestCatalog catalog_;
  bool loss_ = false;
  Incarnation lost_life_;
  std::deque<std::pair<size_t, std::variant<Load, ReadSealed>>> loads_;
  std::deque<WaitingFind> finds_;
  std::deque<InFlight> messages_;
  std::map<uint64_t, size_t> open_;
  std::map<uint64_t, wire::Response> answers_;
  std::map<uint64_t, Socket> sockets_;
  uint64_t last_id_ = 0;
  bool settling_ = false;
};

}  // namespace ds::engine::test
