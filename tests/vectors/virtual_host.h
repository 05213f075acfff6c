// A host for engines in which nothing happens by itself: the clock stands still, commits and reads
// end when the script says so, and every action of the engines is printed. One thread, no files.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/engine/actions.h"
#include "core/engine/config.h"
#include "core/engine/engine.h"
#include "core/wire/request.h"

namespace ds::vectors {

// A request as a script writes it. Headers by name, repeated ones as often as they came.
struct RequestInput {
  wire::Method method = wire::Method::kOther;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// What later lines of a script may refer to.
struct Remembered {
  std::string next_offset;
  std::string etag;
  std::string cursor;
};

class VirtualHost : private engine::Engine::Peers {
 public:
  // Lines about actions are appended to `out`, each with "< " before it; to nowhere if null.
  VirtualHost(const engine::EngineConfig& config, uint32_t engines, std::string* out);
  ~VirtualHost() override;

  // The numbers of requests count from 1.
  uint64_t request(const RequestInput& input);
  void disconnect(uint64_t id);

  // Time: `advance` stops at every deadline on its way.
  Instant now() const { return now_; }
  void set_time(Instant now);
  void advance(Duration duration);

  // Commits: by themselves, as soon as there is something (the default), or by hand.
  void commit_by_hand(bool by_hand) { commit_by_hand_ = by_hand; }
  void take();
  // Ends the oldest batch taken; takes what there is if none is.
  void commit(engine::CommitOutcome outcome);

  // Loads: answered at once (the default), or by hand.
  void load_by_hand(bool by_hand) { load_by_hand_ = by_hand; }
  enum class LoadResult : uint8_t { kOk, kFailed, kCorrupt };
  void load(LoadResult result);

  // An SSE reader's socket takes nothing any more, or everything again.
  void stall(uint64_t id);
  void drain(uint64_t id);

  // Everything but the log is lost and rebuilt from it.
  void restart(bool lost_writes);
  void end_live_readers();
  void print_stats();

  // Replays the log into another host and asks both about every stream: the same answers must come.
  void check_replay();

  // The log in hex by record, to pin the format down.
  void print_log();

  const std::map<uint64_t, Remembered>& remembered() const { return remembered_; }

 private:
  struct OpenRequest {
    size_t engine = 0;
    bool sse = false;
    Position accepted;  // what its socket has taken
    bool stalled = false;
    bool lagging = false;  // drops frames until one that begins at `accepted`
  };
  struct Taken {
    size_t engine = 0;
    engine::Batch batch;
  };
  struct Waiting {
    size_t engine = 0;
    engine::Load load;
  };
  using Peers = engine::Engine::Peers;

  engine::Engine& owner_of(uint64_t path_hash) override;
  std::optional<std::string> sealed_snapshot(Incarnation) override { return std::nullopt; }
  size_t index_of(uint64_t path_hash) const;
  void build_engines(bool lost_writes);
  bool replay_log();
  // Sends `input` to its engine; what is wrong with the path is answered here, as servers do.
  void deliver(uint64_t id, const RequestInput& input, engine::Actions& actions, size_t* engine);
  // Carries out actions, and what follows from them, until nothing is left to do.
  void settle(size_t engine, engine::Actions actions);
  void perform(size_t engine, engine::Action& action);
  bool settle_commits();
  void finish_batch(engine::CommitOutcome outcome);
  void finish_load(LoadResult result);
  LogPosition append_to_log(const engine::Batch& batch);
  void answer(uint64_t id, const wire::Response& response);
  void send_frame(engine::SendSse& send);
  std::string ask(wire::Method method, const std::string& target);
  std::string everything_about(const std::string& path);
  void line(const std::string& text);

  Incarnation lost_life_;
  engine::EngineConfig config_;
  uint32_t engine_count_;
  std::string* out_;
  Instant now_{1767225600000000};  // 2026-01-01T00:00:00Z
  std::vector<std::unique_ptr<engine::Engine>> engines_;
  std::map<LogPosition, std::string> log_;  // the records that are durable
  LogPosition log_end_ = log_position(1, 64);

  std::deque<std::pair<size_t, engine::Actions>> todo_;
  std::deque<Taken> taken_;
  std::deque<Waiting> loads_;
  std::deque<uint64_t> drained_;  // SSE readers that want the next piece
  std::map<uint64_t, OpenRequest> open_;
  std::map<uint64_t, Remembered> remembered_;
  std::map<std::string, bool> paths_;  // every stream that a request named
  uint64_t last_id_ = 0;
  bool commit_by_hand_ = false;
  bool load_by_hand_ = false;
  // While ask() runs: the answer is kept here instead of printed.
  std::optional<std::string> captured_;
  wire::Response captured_response_;
};

// Status line, headers and body as lines of text without a prefix.
std::string response_text(const wire::Response& response);

}  // namespace ds::vectors
