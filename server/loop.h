// One event loop: a thread, an engine, and the connections that were accepted for it.
//
// Everything that happens is a *turn*: some event is handled (all sockets that are ready, mail from
// other threads, a timer), then end_turn() hands the ops decided in it to the committer as one
// batch (large ops have gone before), carries out what the engine asked for, writes to each
// connection what has been answered there, and then sends live readers what is new.
//
// While the disk is quick and writes are few, the loop makes the commit itself, at the end of the
// turn: two wake-ups between threads cost more than such a sync (docs/performance.md). A loop that
// is about to do so first gathers the requests that follow upon the answers of its last commit.
//
// The sockets are in an epoll set of their own, edge-triggered and registered once, and Asio waits
// for that set: a request then costs no epoll_ctl and no queued operation, and all sockets that are
// ready are served before the batch goes to the committer. Timers, mail and accepting are Asio's.
//
// A stream belongs to the engine path_hash % loops. Requests for another loop's engine travel there
// by mail, and their answers back; slices are shared, nothing else is.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/engine/engine.h"
#include "server/ballast.h"
#include "server/clock.h"
#include "server/committer_thread.h"
#include "server/config/config.h"
#include "server/http/connection.h"
#include "server/log.h"
#include "server/mailbox.h"
#include "server/memory_budget.h"
#include "server/metrics.h"
#include "server/reader_pool.h"
#include "server/stream_count.h"
#include "store/committer.h"
#include "store/op_log.h"
#include "store/sealer.h"

namespace ds::server {

class Loop;

// What all loops share. Set up before the first of them runs.
struct LoopShared {
  LoopShared(const Config& the_config, Clock& the_clock)
      : config(the_config), clock(the_clock), answer_memory(the_config.answer_memory_bytes) {}

  const Config& config;
  Clock& clock;
  std::vector<Loop*> loops;
  store::Committer* committer = nullptr;  // none with memory durability, nor the next three
  CommitterThread* committer_thread = nullptr;
  ReaderPool* readers = nullptr;
  const store::OpLog* log = nullptr;
  const store::Sealer* sealer = nullptr;
  const Ballast* ballast = nullptr;
  StreamCount* streams = nullptr;
  std::atomic<uint64_t> catalog_bytes{0};  // as of a moment ago
  std::atomic<bool> log_healthy{true};
  std::atomic<uint64_t> connections{0};
  std::atomic<uint32_t> listings{0};
  std::atomic<uint64_t> body_memory{0};
  MemoryBudget answer_memory;
  size_t next_loop = 0;              // for the next connection; the accepting thread's
  std::function<void()> on_drained;  // by each loop, once, on its thread
};

class Loop final : public ConnectionHost, public ReadListener {
 public:
  Loop(LoopShared& shared, uint32_t index, std::unique_ptr<engine::Engine> engine);
  ~Loop() override;

  // --- Before it runs ---------------------------------------------------------------------------
  boost::asio::io_context& io() { return io_; }
  engine::Engine& engine() { return *engine_; }
  // What the engine asked for while it recovered.
  void seed(engine::Actions actions);

  // --- Its thread -------------------------------------------------------------------------------
  // What is thrown in there, for want of memory, ends the process.
  void run() noexcept;  // NOLINT(bugprone-exception-escape)

  // --- Any thread -------------------------------------------------------------------------------
  void stop();
  void adopt(NewSocket socket);
  // No new requests; live readers are sent away; `on_drained` when all is finished.
  void begin_drain();
  void on_commit_end(const CommitEnd& end);
  void on_load_end(uint64_t load_id, engine::LoadOutcome outcome, SharedBytes bytes) override;
  void on_sealed_read_end(uint64_t load_id, engine::LoadOutcome outcome,
                          segment::SealedChunk chunk) override;
  void on_find_end(uint64_t find_id, engine::Engine::Found found, std::string snapshot) override;
  // `taken` is called on the loop's thread once the engine has taken the last part.
  void on_sealed(uint32_t generation, std::vector<Incarnation> streams, bool last_part,
                 std::function<void()> taken);
  void on_due(Incarnation stream);
  // Something rare, on the loop's thread.
  void with_engine(std::function<void(engine::Engine&)> task);
  void on_trim(Incarnation stream, Position earliest);

  // --- ConnectionHost ---------------------------------------------------------------------------
  const Config& config() const override { return shared_.config; }
  Instant now() override { return now_; }
  InboxPool& inboxes() override { return inboxes_; }
  OutputPool& outputs() override { return outputs_; }
  AnswerMemory& answer_memory() override { return answer_memory_; }
  SendCache& send_cache() override { return send_cache_; }
  ResponseWriter& writer() override { return writer_; }
  bool draining() const override { return draining_; }
  bool charge_body(uint64_t bytes) override;
  void release_body(uint64_t bytes) override;
  std::string& path_scratch() override { return path_scratch_; }
  std::string& origin_scratch() override { return origin_scratch_; }
  uint32_t owner_of(std::string_view path) const override;
  void submit(engine::RequestId id, uint32_t owner, const wire::RequestText& text) override;
  void submit_status(engine::RequestId id, Route route) override;
  void submit_listing(engine::RequestId id, wire::ListRequest request) override;
  void disconnected(engine::RequestId id, uint32_t owner) override;
  void reader_lagging(engine::RequestId id, uint32_t owner, Position accepted) override;
  void reader_ready(engine::RequestId id, uint32_t owner) override;
  void mark_dirty(Connection& connection) override { dirty_.push_back(&connection); }
  void mark_unread(Connection& connection) override { unread_.push_back(connection.slot()); }
  void closed(Connection& connection) override { dead_.push_back(connection.slot()); }
  void set_deadline(uint32_t slot, Instant deadline) override { deadlines_[slot] = deadline; }
  void answered(const AnsweredRequest& request) override;
  void dropped(DropReason reason) override;

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    uint32_t next_serial = 1;
  };
  struct ReadyReader {
    engine::RequestId id;
    uint32_t owner;
  };
  class MetricsGathering;
  using SseEvent = std::variant<engine::SendSse, engine::EndSse>;

  // loop.cc
  void watch_sockets();
  int serve_sockets();
  void write_early();
  void read_mail();
  void take_sockets();
  void continue_later();
  void on_timer();
  void begin_turn();
  void check_storage();
  bool over_disk_limit() const;
  void measure_catalog();
  void end_turn();
  void arm_timer();
  void sweep_deadlines();
  void bury_dead();
  void check_drained();
  Connection* connection_of(engine::RequestId id);

  // loop_actions.cc
  void carry_out_actions();
  void carry_out(engine::Action& action);
  void carry_out(engine::Respond& action);
  void carry_out(engine::OpenSse& action);
  void carry_out(engine::SendSse& action);
  void carry_out(engine::EndSse& action);
  void carry_out(engine::Load& action);
  void carry_out(engine::ReadSealed& action);
  void carry_out(engine::Find& action);
  void carry_out(engine::PeerMessage& action);
  void send_elsewhere(engine::RequestId id, engine::Action&& action);
  void deliver_events();
  void deliver(const engine::SendSse& action, Connection::SseFrame::When when);
  template <typename T>
  void to_engine(uint32_t owner, T message) {
    outboxes_[owner].to_engine.emplace_back(std::in_place_type<T>, std::move(message));
  }
  void handle(ToEngine& message);

  // loop_commits.cc
  bool may_commit_in_place() const;
  void gather_writes();
  void submit_early();
  void submit_batch();
  void commit_in_place();
  void complete_in_memory();

  // loop_actions.cc
  void deliver_outboxes();
  void gather_metrics(engine::RequestId id);
  void answer_metrics(engine::RequestId id);

  LoopShared& shared_;
  const uint32_t index_;
  std::unique_ptr<engine::Engine> engine_;
  LoopCounters counters_;
  InboxPool inboxes_;
  OutputPool outputs_;
  AnswerMemory answer_memory_{shared_.answer_memory};
  SendCache send_cache_{shared_.config.send_cache_bytes / shared_.config.threads,
                        shared_.config.send_copies_max / shared_.config.threads};
  ResponseWriter writer_;
  std::string path_scratch_;
  std::string origin_scratch_;
  Instant now_;
  bool draining_ = false;
  bool drained_ = false;
  bool continuing_ = false;

  boost::asio::io_context io_;
  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> sockets_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  Instant timer_due_ = kNever;
  Mailbox mailbox_;
  Mail mail_;
  std::vector<Mail> outboxes_;  // by loop: what goes there at the end of the turn

  std::vector<Slot> slots_;
  std::vector<Instant> deadlines_;  // by slot; apart from the connections, as all are looked at
  std::vector<uint32_t> free_slots_;
  size_t swept_ = 0;
  size_t open_ = 0;

  engine::Actions actions_;
  engine::Actions working_;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> finishing_;
  std::vector<uint32_t> unread_;
  std::vector<uint32_t> dead_;
  std::vector<SseEvent> events_due_;  // to readers of this loop
  std::vector<SseEvent> delivering_;
  std::vector<ReadyReader> ready_;
  std::vector<uint64_t> refused_loads_;
  std::vector<uint64_t> refused_sealed_reads_;
  uint64_t commits_outstanding_ = 0;
  bool committing_in_place_ = false;  // at the end of this turn
  int events_ = 0;                    // of sockets in this turn
  int events_of_last_batch_ = 0;
  wire::ErrorCode storage_refusal_ = wire::ErrorCode::kNone;
  LogLimit failures_logged_;
  uint64_t unwritten_bytes_ = 0;  // of answers in this turn, since they were last written
  // Where the next batch would be in a log, if there is none. Generations begin with 1: to the
  // engine what is in generation 0 has always been sealed, and a fork does not inherit it.
  uint64_t memory_position_ = log_position(1, 0).value;
};

}  // namespace ds::server
