// Stream objects in memory, as the runtime would hold them: each has its storage, events are
// atomic, calls between objects and R2 are messages that are delivered one at a time. An object may
// die between any two of them: its storage stays, everything else of it is gone.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "worker/wasm/stream_object.h"

namespace ds::worker {

struct TestAnswer {
  uint16_t status = 0;
  std::string head;
  std::string body;

  // The value of a header, "" if it is not there.
  std::string header(std::string_view name) const {
    const std::string start = std::string(name) + ": ";
    size_t at = head.starts_with(start) ? 0 : head.find("\r\n" + start);
    if (at == std::string::npos) return "";
    at = head.find(start, at) + start.size();
    return head.substr(at, head.find("\r\n", at) - at);
  }
};

struct TestReader {
  std::string token;
  std::string received;
  Position at;
  bool pulling = false;
  bool ended = false;
};

// What survives the death of an object.
struct TestStorage {
  std::map<uint64_t, std::string> rows;
  std::map<std::string, std::string, std::less<>> facts;
  Instant alarm = kNever;
  uint64_t rows_written = 0;
  bool full = false;
};

class TestWorld {
 public:
  explicit TestWorld(const Options& options) : options_(options) {}

  Instant now{1700000000000000};
  std::map<std::string, std::string> objects;  // R2
  uint64_t deaths = 0;
  // Called before each delivery of a message.
  std::function<void()> before_step;

  // Sends a request and delivers what follows, until it is answered or nothing is left to do.
  TestAnswer send(const std::string& path, std::string_view method, std::string_view query = "",
                  std::string_view headers = "", std::string_view body = "") {
    const uint64_t id = submit(path, method, query, headers, body);
    while (answers_.count(id) == 0 && step()) {
    }
    return take(id);
  }
  // The same without delivering anything.
  uint64_t submit(const std::string& path, std::string_view method, std::string_view query = "",
                  std::string_view headers = "", std::string_view body = "") {
    const uint64_t id = ++last_id_;
    Living& living = alive(path);
    std::string head(method);
    head.append("\n/v1/stream/").append(path).append("\n").append(query);
    head.append("\nhttp://h\n").append(headers);
    living.requests.insert(id);
    living.object->on_request(id, head, body, now);
    return id;
  }
  // 503 if it was not answered: its object has died.
  TestAnswer take(uint64_t id) {
    const auto found = answers_.find(id);
    if (found == answers_.end()) return TestAnswer{503, "", ""};
    TestAnswer answer = std::move(found->second);
    answers_.erase(found);
    return answer;
  }
  bool answered(uint64_t id) const { return answers_.count(id) > 0; }

  // Delivers one message; false if there is none.
  bool step() {
    if (messages_.empty()) return false;
    if (before_step) before_step();
    if (messages_.empty()) return true;
    const std::function<void()> message = std::move(messages_.front());
    messages_.pop_front();
    message();
    return true;
  }
  void settle() {
    while (step()) {
    }
  }
  // Time passes: every alarm by then fires, at its time.
  void pass(Duration length) {
    const Instant end = now + length;
    for (;;) {
      settle();
      std::string next;
      for (auto& [path, storage] : storage_) {
        if (storage.alarm > end) continue;
        if (next.empty() || storage.alarm < storage_[next].alarm) next = path;
      }
      if (next.empty()) break;
      now = std::max(now, storage_[next].alarm);
      storage_[next].alarm = kNever;
      alive(next).object->on_alarm(now);
    }
    now = end;
  }

  // Evicted: the sockets of its readers stay, and come back when it wakes.
  void evict(const std::string& path) { living_.erase(path); }
  // Killed: whoever waits for it hears that it failed, and what it waits for never arrives.
  void kill(const std::string& path) {
    const auto found = living_.find(path);
    if (found == living_.end()) return;
    ++deaths;
    for (const auto& [token, caller] : found->second.callers) fail_call(caller);
    living_.erase(found);
  }
  std::vector<std::string> alive_paths() const {
    std::vector<std::string> paths;
    for (const auto& [path, living] : living_) paths.push_back(path);
    return paths;
  }

  TestStorage& storage(const std::string& path) { return storage_[path]; }
  TestReader& reader(uint64_t id) { return readers_[id]; }
  size_t facts(const std::string& path, char kind) {
    size_t count = 0;
    for (const auto& [key, value] : storage_[path].facts) count += key[0] == kind ? 1 : 0;
    return count;
  }
  StreamObject& object(const std::string& path) { return *alive(path).object; }

 private:
  struct Caller {
    std::string path;
    uint64_t stay = 0;
    Token token = 0;
  };

  // One object's runtime.
  class MemoryHost final : public Host {
   public:
    MemoryHost(TestWorld& world, std::string path)
        : world_(world), path_(std::move(path)), stored_(world.storage_[path_]) {}

    Stored append_rows(LogPosition at, std::string_view bytes) override {
      if (stored_.full) return Stored::kFull;
      constexpr size_t kRow = 300;  // small, so that records are spread over rows
      for (size_t begin = 0; begin < bytes.size(); begin += kRow) {
        stored_.rows[at.value + begin] = bytes.substr(begin, kRow);
      }
      stored_.rows_written += 1;
      return Stored::kDone;
    }
    void read_rows(LogPosition from, LogPosition to, const RowSink& row) override {
      const auto end = stored_.rows.lower_bound(to.value);
      for (auto it = stored_.rows.lower_bound(from.value); it != end; ++it) {
        if (!row(LogPosition{it->first}, it->second)) return;
      }
    }
    uint32_t drop_rows(LogPosition before, uint32_t most) override {
      uint32_t dropped = 0;
      while (dropped < most && !stored_.rows.empty() &&
             stored_.rows.begin()->first < before.value) {
        stored_.rows.erase(stored_.rows.begin());
        ++dropped;
      }
      return dropped;
    }
    Stored put_fact(std::string_view key, std::string_view value) override {
      stored_.facts[std::string(key)] = value;
      stored_.rows_written += 1;
      return Stored::kDone;
    }
    void erase_fact(std::string_view key) override { stored_.facts.erase(std::string(key)); }
    void read_facts(std::string_view from, std::string_view through, Order order,
                    const FactSink& fact) override {
      std::vector<std::pair<std::string, std::string>> found;
      for (const auto& [key, value] : stored_.facts) {
        if (key >= from && key <= through) found.emplace_back(key, value);
      }
      if (order == Order::kDescending) std::reverse(found.begin(), found.end());
      for (const auto& [key, value] : found) {
        if (!fact(key, value)) return;
      }
    }
    uint64_t stored_bytes() override {
      uint64_t bytes = 0;
      for (const auto& [at, row] : stored_.rows) bytes += row.size();
      return bytes;
    }
    void set_alarm(Instant when) override { stored_.alarm = when; }
    void respond(uint64_t request, uint16_t status, std::string_view head,
                 std::string_view body) override {
      world_.answers_[request] = TestAnswer{status, std::string(head), std::string(body)};
    }
    void open_sse(uint64_t request, std::string_view head, std::string_view reader,
                  Position at) override {
      world_.answers_[request] = TestAnswer{200, std::string(head), ""};
      TestReader& opened = world_.readers_[request];
      opened.token = reader;
      opened.at = at;
      world_.following_[path_].insert(request);
    }
    void send_sse(std::span<const uint64_t> requests, Position begin, Position end, bool pulled,
                  std::string_view frame) override {
      for (const uint64_t id : requests) {
        TestReader& reader = world_.readers_[id];
        world_.doubled_ = world_.doubled_ || begin < reader.at;
        reader.received.append(frame);
        reader.at = end;
        reader.pulling = pulled;
        if (pulled) {
          world_.messages_.push_back([&world = world_, path = path_, id] {
            world.readers_[id].pulling = false;
            world.alive(path).object->on_reader_ready(id, world.now);
          });
        }
      }
    }
    void end_sse(uint64_t request) override {
      world_.readers_[request].ended = true;
      world_.following_[path_].erase(request);
    }
    void call_peer(Token token, std::string_view path, std::string_view message) override {
      const Caller caller{path_, world_.living_.at(path_).stay, token};
      world_.messages_.push_back(
          [&world = world_, caller, path = std::string(path), message = std::string(message)] {
            if (!world.is_there(caller)) return;
            Living& called = world.alive(path);
            const Token number = ++world.last_call_;
            called.callers.emplace(number, caller);
            called.object->on_peer(number, path, message, world.now);
          });
    }
    void answer_peer(Token token, std::string_view message) override {
      auto& callers = world_.living_.at(path_).callers;
      const auto found = callers.find(token);
      const Caller caller = found->second;
      callers.erase(found);
      world_.messages_.push_back([&world = world_, caller, message = std::string(message)] {
        if (!world.is_there(caller)) return;
        world.alive(caller.path).object->on_peer_reply(caller.token, true, message, world.now);
      });
    }
    void put_object(Token token, std::string_view key, std::string_view bytes) override {
      // Arrives whether or not its sender lives to hear of it.
      world_.messages_.push_back([&world = world_, caller = me(token), key = std::string(key),
                                  bytes = std::string(bytes)] {
        world.objects[key] = bytes;
        world.tell_object(caller, ObjectOutcome::kDone, {});
      });
    }
    void get_object(Token token, std::string_view key, uint64_t offset, uint64_t size) override {
      world_.messages_.push_back(
          [&world = world_, caller = me(token), key = std::string(key), offset, size] {
            const auto found = world.objects.find(key);
            if (found == world.objects.end()) {
              return world.tell_object(caller, ObjectOutcome::kMissing, {});
            }
            world.tell_object(caller, ObjectOutcome::kDone, found->second.substr(offset, size));
          });
    }
    void delete_object(Token token, std::string_view key) override {
      world_.messages_.push_back([&world = world_, caller = me(token), key = std::string(key)] {
        world.objects.erase(key);
        world.tell_object(caller, ObjectOutcome::kDone, {});
      });
    }

   private:
    Caller me(Token token) const { return Caller{path_, world_.living_.at(path_).stay, token}; }

    TestWorld& world_;
    const std::string path_;
    TestStorage& stored_;
  };

  struct Living {
    uint64_t stay = 0;
    std::unique_ptr<MemoryHost> host;
    std::unique_ptr<StreamObject> object;
    std::set<uint64_t> requests;
    std::map<Token, Caller> callers;
  };

  bool is_there(const Caller& caller) const {
    const auto found = living_.find(caller.path);
    return found != living_.end() && found->second.stay == caller.stay;
  }
  void fail_call(const Caller& caller) {
    messages_.push_back([this, caller] {
      if (is_there(caller)) {
        alive(caller.path).object->on_peer_reply(caller.token, false, {}, now);
      }
    });
  }
  void tell_object(const Caller& caller, ObjectOutcome outcome, std::string_view bytes) {
    if (is_there(caller)) alive(caller.path).object->on_object(caller.token, outcome, bytes, now);
  }

  Living& alive(const std::string& path) {
    const auto found = living_.find(path);
    if (found != living_.end()) return found->second;
    Living& living = living_[path];
    living.stay = ++stays_;
    Options options = options_;
    options.seed = HashKey{stays_, 7};
    living.host = std::make_unique<MemoryHost>(*this, path);
    living.object = std::make_unique<StreamObject>(*living.host, options);
    living.object->start(now);
    const std::set<uint64_t> readers = following_[path];
    for (const uint64_t id : readers) {
      const TestReader& reader = readers_[id];
      living.object->on_reader_back(id, reader.token, reader.at, reader.pulling, now);
    }
    return living;
  }

  const Options options_;
  std::map<std::string, TestStorage> storage_;
  std::map<std::string, Living> living_;
  std::deque<std::function<void()>> messages_;
  std::map<uint64_t, TestAnswer> answers_;
  std::map<uint64_t, TestReader> readers_;
  std::map<std::string, std::set<uint64_t>> following_;
  bool doubled_ = false;
  uint64_t last_id_ = 0;
  Token last_call_ = 0;
  uint64_t stays_ = 0;

 public:
  // Whether a reader was sent something twice.
  bool doubled() const { return doubled_; }
};

// Small enough that everything happens within a few messages.
inline Options test_options() {
  Options options;
  options.checkpoint_ops = 4;
  options.max_chunk_bytes = 64;
  options.audit_after = seconds(60);
  options.retry_after = seconds(10);
  return options;
}

}  // namespace ds::worker
