// A server without sockets and threads: the real engines, committer, op log, sealer and catalog on
// a fake disk, wired as server/ wires them. Whoever drives it decides what happens next, one step
// at a time: which engine reads its mail, when the committer runs, when a read is served. What the
// mailboxes of server/loop.h may reorder may be reordered here, and nothing else.
//
// A process that has been killed leaves the disk and nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/engine/engine.h"
#include "core/engine/owned_request.h"
#include "store/catalog.h"
#include "store/committer.h"
#include "store/op_log.h"
#include "store/sealed_reader.h"
#include "store/sealer.h"
#include "tests/fakes/faulty_disk.h"
#include "tests/sim/sockets.h"
#include "tests/support/mutations.h"

namespace ds::sim {

struct HostOptions {
  uint32_t engines = 2;
  engine::EngineConfig engine;
  store::SealerOptions sealer;
  uint64_t frame_bytes_max = 16 << 20;
  store::Durability durability = store::Durability::kSync;
  Duration sync_interval = milliseconds(100);  // relaxed only
  // A file that only takes space and is given up when the disk is full, as server/ballast.h says;
  // 0: none.
  uint64_t ballast_bytes = 0;
};

// Who sees what leaves the server. Calls come between the engine's, never from inside of one.
class Clients : public SocketClients {
 public:
  virtual void on_answer(uint64_t request, const wire::Response& response) = 0;
  virtual void on_sse_open(uint64_t request, const wire::Response& head, Position at) = 0;
  // Something was given to the committer: the records of a batch.
  struct Submitted {
    uint32_t engine = 0;
    uint64_t epoch = 0;
    uint64_t batch = 0;
  };
  virtual void on_submitted(const Submitted& batch, std::string_view records) = 0;
  // It has failed, and so has what the engine submits in the same epoch behind it.
  virtual void on_failed(uint32_t /*engine*/, uint64_t /*batch*/) {}
};

class Host final : public engine::Engine::Peers, public store::CommitListener {
 public:
  // Borrows all for its whole life.
  Host(fakes::FaultyDisk& disk, Clients& clients, const HostOptions& options);
  ~Host() override;

  // --- A process's life -------------------------------------------------------------------------
  // Opens what is on the disk, as server/server.cc does. Empty, or why it cannot start.
  std::string start(Instant now, uint64_t seed);
  bool running() const { return committer_ != nullptr; }
  // The process is gone: nothing that was under way will ever be heard of.
  void kill(fakes::FaultyDisk::Crash how);
  // An orderly end: what is queued is committed, and the log is closed. False if that failed.
  bool stop();

  // --- Clients ----------------------------------------------------------------------------------
  void send(uint64_t request, const wire::RequestText& text, Instant now, bool by_mail);
  void disconnect(uint64_t request, std::string_view path);
  Sockets& sockets() { return sockets_; }
  // One thing of a socket's reaches the engine.
  void reader_lagging(uint64_t request, Position accepted);
  void reader_ready(uint64_t request, Instant now);

  // --- Steps: each does one thing, if there is something to do, and says whether it did ---------
  bool read_mail(size_t engine, size_t at_most, Instant now);
  bool end_turn(size_t engine);
  bool on_time(size_t engine, Instant now);
  bool commit(Instant now);
  bool prepare_generation();
  bool serve_job(size_t which, Instant now);
  bool seal();
  bool remove_sealed();
  bool tidy();
  bool bring_due(Instant now);
  // Retention: what is to go, as the catalog has it.
  bool trim(Instant now);
  // Makes the ballast again if there is room.
  bool look_for_room();
  void rotate() { committer_->ask_for_rotation(); }
  void end_live_readers(Instant now);

  size_t engines() const { return options_.engines; }
  size_t jobs() const { return jobs_.size(); }
  size_t mail(size_t engine) const { return loops_[engine].mail.size(); }
  Instant next_deadline() const;
  bool log_healthy() const { return log_healthy_; }
  bool disk_full() const { return disk_full_; }
  // Relaxed durability: the process had better end.
  bool writes_lost() const { return writes_lost_; }
  bool sealing_behind() const;
  const engine::Engine& engine(size_t i) const { return *engines_[i]; }
  store::Catalog& catalog() { return *catalog_; }
  const store::OpLog& log() const { return *log_; }
  // The files of generations that have been sealed, as they were then, by name.
  std::map<std::string, std::string>& archive() { return archive_; }
  // What is before in the log has been synced, and is not the newest frame.
  LogPosition settled() const { return settled_; }
  bool from_snapshots() const { return sealed_through_ > 0; }
  int64_t quota() const { return quota_.count; }
  // What a seal or a merge last failed with.
  const std::string& last_problem() const { return last_problem_; }

  // --- Peers, CommitListener --------------------------------------------------------------------
  engine::Engine& owner_of(uint64_t hash) override { return *engines_[hash % engines_.size()]; }
  std::optional<std::string> sealed_snapshot(Incarnation stream) override;
  void on_committed(uint32_t engine, uint64_t batch_id, engine::CommitOutcome outcome,
                    LogPosition first_record) override;
  void on_log_health(bool healthy) override { log_healthy_ = healthy; }
  bool on_no_space() override { return make_room(); }
  void on_answered_writes_lost(uint64_t) override { writes_lost_ = true; }

 private:
  struct Quota final : engine::StreamQuota {
    int64_t count = 0;
    bool take() override {
      ++count;
      return true;
    }
    void take_anyway() override { ++count; }
    void give_back() override { --count; }
  };
  struct CommitEnd {
    uint64_t batch = 0;
    engine::CommitOutcome outcome = engine::CommitOutcome::kFailed;
    LogPosition first;
  };
  struct LoadEnd {
    uint64_t load = 0;
    engine::LoadOutcome outcome = engine::LoadOutcome::kFailed;
    SharedBytes bytes;
  };
  struct SealedReadEnd {
    uint64_t load = 0;
    engine::LoadOutcome outcome = engine::LoadOutcome::kFailed;
    segment::SealedChunk chunk;
  };
  struct FindEnd {
    uint64_t find = 0;
    engine::Engine::Found found = engine::Engine::Found::kFailed;
    std::string snapshot;
  };
  using Arrival = std::unique_ptr<engine::OwnedRequest>;
  struct Gone {
    uint64_t request = 0;
  };
  struct SealedTask {
    uint32_t generation = 0;
    std::vector<Incarnation> streams;
    bool last = false;
  };
  struct DueTask {
    Incarnation stream;
  };
  struct TrimTask {
    Incarnation stream;
    Position earliest;
  };
  // In the order in which a loop reads them, whatever the order in which they came.
  using Mail = std::variant<CommitEnd, LoadEnd, SealedReadEnd, FindEnd, Arrival, Gone,
                            engine::PeerMessage, SealedTask, DueTask, TrimTask>;
  struct Loop {
    std::deque<Mail> mail;
  };
  struct Job {
    size_t engine = 0;
    std::variant<engine::Load, engine::ReadSealed, engine::Find> what;
  };

  void keep_generations(uint32_t through);
  std::string open_store(Instant now, uint64_t seed);
  void prepare_ballast();
  bool make_ballast();
  bool make_room();
  void set_full(bool full);
  std::string replay(uint64_t seed);
  std::string settle_lost_life();
  void end_process();
  static int rank(const Mail& mail);
  void handle(size_t engine, Mail& mail, Instant now, engine::Actions& actions);
  void carry_out(size_t engine, engine::Actions actions, Instant now);
  void carry_out(size_t engine, engine::Action& action, Instant now, engine::Actions& more);
  LoadEnd serve(const engine::Load& load);
  SealedReadEnd serve(const engine::ReadSealed& read);
  FindEnd serve(const engine::Find& find);

  fakes::FaultyDisk& disk_;
  Clients& clients_;
  const HostOptions options_;
  Sockets sockets_;

  // Of the process; members that others borrow come first.
  Quota quota_;
  std::unique_ptr<ports::Directory> root_, log_directory_, segments_directory_;
  std::unique_ptr<store::Catalog> catalog_, reading_catalog_;
  std::unique_ptr<store::SegmentFiles> files_;
  std::unique_ptr<store::Sealer> sealer_;
  std::vector<std::unique_ptr<engine::Engine>> engines_;
  std::unique_ptr<store::OpLog> log_;
  std::unique_ptr<store::Committer> committer_;
  store::CatalogState catalog_state_;
  std::deque<Loop> loops_;
  std::deque<Job> jobs_;
  std::map<uint64_t, size_t> open_;  // requests that have not been answered: their engines
  bool log_healthy_ = true;
  bool disk_full_ = false;
  bool writes_lost_ = false;
  LogPosition newest_;  // of the batches that were reported last
  LogPosition settled_;
  uint32_t sealed_through_ = 0;
  uint32_t removing_ = 0;  // the generation that engines are being told of; 0: none
  size_t untold_ = 0;      // engines that have not taken all of it
  store::Catalog::Due told_{Instant{INT64_MIN}, Incarnation{}};
  std::string peers_problem_;
  std::string last_problem_;
  std::map<std::string, std::string> archive_;
};

}  // namespace ds::sim
