// The server as a whole: opens the store, replays it into the engines, listens, runs the loops and
// the committer, and takes it all down again in order.
#pragma once

#include <atomic>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ports/file.h"
#include "server/ballast.h"
#include "server/clock.h"
#include "server/committer_thread.h"
#include "server/config/config.h"
#include "server/listener.h"
#include "server/loop.h"
#include "server/reader_pool.h"
#include "server/sealing_thread.h"
#include "store/catalog.h"
#include "store/committer.h"
#include "store/op_log.h"
#include "store/sealed_reader.h"
#include "store/sealer.h"

namespace ds::server {

class Server final : public store::CommitListener {
 public:
  explicit Server(const Config& config);
  ~Server() override;

  // Runs until a signal ends it. Returns the exit code of the process.
  int run();

 private:
  // Each returns what went wrong, one sentence for the operator, or "".
  std::string open_store();
  std::string open_catalog();
  std::string replay_log(store::OpLog::Recovery* recovery);
  std::string recover_pins(engine::Engine::Peers& peers);
  std::string settle_lost_life(bool lost_writes);
  std::string listen();
  void make_engines();
  void start_engines(engine::Engine::Peers& peers);
  void wait_for_signal();
  void on_signal(int signal);
  void begin_shutdown();
  void stop_loops();
  void close_store();

  void on_committed(uint32_t engine, uint64_t batch_id, engine::CommitOutcome outcome,
                    LogPosition first_record) override;
  void on_log_health(bool healthy) override;
  bool on_no_space() override;
  void on_answered_writes_lost(uint64_t frames) override;

  const Config& config_;
  Clock clock_;
  StreamCount streams_;
  LoopShared shared_;
  std::vector<std::unique_ptr<engine::Engine>> engines_;  // until the loops have them
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<ports::Directory> directory_;
  std::unique_ptr<ports::Directory> log_directory_;
  std::unique_ptr<ports::Directory> segments_directory_;
  std::unique_ptr<store::Catalog> catalog_;  // the sealing thread's, once that runs
  store::CatalogState catalog_state_;        // as it was at the start
  std::unique_ptr<store::SegmentFiles> segment_files_;
  std::unique_ptr<store::Sealer> sealer_;
  std::unique_ptr<Ballast> ballast_;
  std::unique_ptr<store::OpLog> log_;
  std::unique_ptr<store::Committer> committer_;
  std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<CommitterThread> committer_thread_;
  std::unique_ptr<SealingThread> sealing_thread_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<boost::asio::signal_set> signals_;
  std::unique_ptr<boost::asio::steady_timer> drain_timer_;
  std::atomic<uint32_t> loops_draining_{0};
  std::atomic<bool> failed_{false};
  bool shutting_down_ = false;
};

}  // namespace ds::server
