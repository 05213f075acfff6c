#include "server/server.h"

#include <signal.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/stream/op_record.h"
#include "server/commands/backup.h"
#include "server/log.h"
#include "server/posix_file.h"
#include "server/thread.h"

namespace ds::server {

namespace {

engine::EngineConfig engine_config(const Config& config, StreamCount& streams) {
  const uint64_t threads = config.threads;
  const auto whole_seconds = [](Duration d) { return static_cast<uint32_t>(d.us / 1000000); };
  engine::EngineConfig result;
  result.max_chunk_bytes = config.chunk_bytes_max;
  result.memory_bytes = config.memory_bytes / threads;
  result.tail_cache_bytes = config.tail_cache_bytes / threads;
  result.has_catalog = config.durability != DurabilityMode::kMemory;
  result.evict_after = config.evict_after;
  result.can_load = config.durability != DurabilityMode::kMemory;
  result.long_poll_timeout = config.long_poll_timeout;
  result.sse_lifetime = config.sse_lifetime;
  result.sse_heartbeat = config.sse_heartbeat;
  result.cache_max_age_seconds = whole_seconds(config.cache_max_age);
  result.cache_stale_seconds = whole_seconds(config.cache_stale);
  result.cache_start_max_age_seconds = whole_seconds(config.cache_start_max_age);
  result.live_readers_max =
      static_cast<uint32_t>(std::max<uint64_t>(1, config.live_readers_max / threads));
  result.quota = &streams;
  result.pending_loads_max = static_cast<uint32_t>(config.pending_loads_max);
  return result;
}

stream::Retention server_retention(const Config& config) {
  stream::Retention retention;
  if (config.max_age.us > 0) {
    retention.max_age_seconds =
        static_cast<uint64_t>(std::max<int64_t>(1, config.max_age.us / 1000000));
  }
  if (config.max_stream_bytes > 0) retention.max_bytes = config.max_stream_bytes;
  return retention;
}

class EnginePeers final : public engine::Engine::Peers {
 public:
  // No catalog with memory durability.
  EnginePeers(const std::vector<std::unique_ptr<engine::Engine>>& engines, store::Catalog* catalog)
      : engines_(engines), catalog_(catalog) {}
  engine::Engine& owner_of(uint64_t path_hash) override {
    return *engines_[path_hash % engines_.size()];
  }
  std::optional<std::string> sealed_snapshot(Incarnation stream) override {
    if (catalog_ == nullptr) return std::nullopt;
    auto found = catalog_->find(stream);
    if (!found.ok()) {
      problem_ = found.error().message;
      return std::nullopt;
    }
    if (!*found) return std::nullopt;
    return std::move((*found)->snapshot);
  }
  // What went wrong with the catalog, or "".
  const std::string& problem() const { return problem_; }

 private:
  const std::vector<std::unique_ptr<engine::Engine>>& engines_;
  store::Catalog* catalog_;
  std::string problem_;
};

std::string io_error_text(ports::IoError error) {
  switch (error) {
    case ports::IoError::kNoSpace:
      return "the disk is full";
    case ports::IoError::kReadOnly:
      return "permission denied";
    case ports::IoError::kLocked:
      return "another server has it";
    default:
      return "I/O error";
  }
}

}  // namespace

Server::Server(const Config& config)
    : config_(config), streams_(config.streams_max), shared_(config, clock_) {
  shared_.streams = &streams_;
}

Server::~Server() = default;

int Server::run() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a write past the limit on file sizes fails instead
  make_engines();
  std::string problem = open_store();
  if (problem.empty()) problem = listen();
  if (!problem.empty()) {
    log_event(LogLevel::kError, problem);
    for (const std::unique_ptr<Listener>& listener : listeners_) listener->close();
    close_store();
    return 1;
  }
  wait_for_signal();
  for (const std::unique_ptr<Listener>& listener : listeners_) listener->start();
  std::vector<std::thread> threads;
  for (size_t i = 1; i < loops_.size(); ++i) {
    threads.push_back(start_thread([loop = loops_[i].get()] { loop->run(); }));
  }
  sd_notify(0, "READY=1");
  loops_[0]->run();
  for (std::thread& thread : threads) thread.join();
  for (const std::unique_ptr<Listener>& listener : listeners_) listener->close();
  close_store();
  log_event(LogLevel::kInfo, "stopped");
  return failed_ ? 1 : 0;
}

// --- Starting -----------------------------------------------------------------------------------

void Server::make_engines() {
  HashKey key;
  DS_ASSERT(getrandom(&key, sizeof key, 0) == sizeof key);
  const auto count = static_cast<uint32_t>(config_.threads);
  for (uint32_t i = 0; i < count; ++i) {
    engines_.push_back(std::make_unique<engine::Engine>(engine_config(config_, streams_), i, key));
  }
}

std::string Server::open_store() {
  if (config_.durability == DurabilityMode::kMemory) {
    log_event(LogLevel::kWarn, "memory durability: everything is lost when the server stops");
    EnginePeers peers(engines_, nullptr);
    start_engines(peers);
    return "";
  }
  auto directory = open_posix_directory(config_.data_dir);
  if (!directory.ok()) {
    return "cannot open the data directory " + config_.data_dir + ": " +
           io_error_text(directory.error());
  }
  directory_ = std::move(*directory);
  const ports::IoStatus locked = directory_->lock("LOCK");
  if (!locked.ok()) {
    return "cannot lock the data directory " + config_.data_dir + ": " +
           io_error_text(locked.error());
  }
  std::string claimed = claim_backup(config_.data_dir);
  if (!claimed.empty()) return claimed;
  const uint64_t automatic = kBallastGenerations * config_.generation_bytes + kBallastCatalogBytes;
  ballast_ = std::make_unique<Ballast>(Ballast::Options{
      config_.data_dir, config_.ballast_bytes.value_or(automatic), config_.generation_bytes});
  ballast_->prepare();
  for (auto [name, opened] :
       {std::pair("log", &log_directory_), std::pair("segments", &segments_directory_)}) {
    auto inside = directory_->subdirectory(name);
    if (!inside.ok()) {
      return "cannot open " + config_.data_dir + "/" + name + ": " + io_error_text(inside.error());
    }
    *opened = std::move(*inside);
  }
  std::string problem = open_catalog();
  if (!problem.empty()) return problem;

  store::OpLog::Recovery recovery;
  const Instant began = clock_.now();
  problem = replay_log(&recovery);
  if (!problem.empty()) return problem;
  log_event(recovery.torn_bytes > 0 || recovery.lost_writes ? LogLevel::kWarn : LogLevel::kInfo,
            "op log replayed",
            {{"records", recovery.records},
             {"bytes", recovery.bytes},
             {"torn_bytes", recovery.torn_bytes},
             {"sealed_generations", catalog_state_.sealed_through},
             {"lost_writes", recovery.lost_writes ? "possible" : "none"},
             {"ms", (clock_.now() - began).us / 1000}});

  store::Committer::Options committing;
  committing.durability = config_.durability == DurabilityMode::kRelaxed
                              ? store::Durability::kRelaxed
                              : store::Durability::kSync;
  committing.sync_interval = config_.sync_interval;
  committer_ = std::make_unique<store::Committer>(*log_, *this, committing,
                                                  static_cast<uint32_t>(config_.threads));
  const ReaderPool::Sources sources{*log_, *segment_files_, config_.data_dir + "/catalog.db"};
  readers_ = std::make_unique<ReaderPool>(sources, static_cast<uint32_t>(config_.reader_threads),
                                          static_cast<size_t>(config_.reader_queue_max),
                                          shared_.answer_memory);
  ballast_->start([this](bool full) { log_->save_space(full); });
  committer_thread_ = std::make_unique<CommitterThread>(*committer_, *log_, *ballast_, clock_);
  shared_.committer = committer_.get();
  shared_.committer_thread = committer_thread_.get();
  shared_.readers = readers_.get();
  shared_.log = log_.get();
  shared_.sealer = sealer_.get();
  shared_.ballast = ballast_.get();
  const SealingThread::Parts sealing{*log_,     *committer_, *catalog_,    *sealer_,
                                     *ballast_, clock_,      shared_.loops};
  sealing_thread_ =
      std::make_unique<SealingThread>(sealing, config_.seal_after, server_retention(config_));
  sealing_thread_->start();
  return "";
}

// What has been sealed, and nothing that belongs to nobody.
std::string Server::open_catalog() {
  auto catalog =
      store::Catalog::open(config_.data_dir + "/catalog.db", store::Catalog::Mode::kReadWrite);
  if (!catalog.ok()) return "cannot open the catalog: " + catalog.error().message;
  catalog_ = std::move(*catalog);
  // The names of its files too, if a process that was killed had made them.
  if (!directory_->sync().ok()) return "cannot sync the data directory " + config_.data_dir;
  const auto state = catalog_->state();
  if (!state.ok()) return "cannot read the catalog: " + state.error().message;
  catalog_state_ = *state;
  const auto streams = catalog_->stream_count();
  if (!streams.ok()) return "cannot read the catalog: " + streams.error().message;
  streams_.begin_with(*streams);
  segment_files_ = std::make_unique<store::SegmentFiles>(*segments_directory_);
  store::SealerOptions options;
  options.trims_all = server_retention(config_) != stream::Retention{};
  if (options.trims_all) {
    store::CatalogChange change;
    change.state = catalog_state_;
    change.all_trims_due = true;
    const auto committed = catalog_->commit(change);
    if (!committed.ok()) return "cannot write the catalog: " + committed.error().message;
  }
  sealer_ = std::make_unique<store::Sealer>(*log_directory_, *segments_directory_, *catalog_,
                                            *segment_files_, options);
  const auto swept = sealer_->sweep();
  if (!swept.ok()) return "cannot look through the segments: " + swept.error().message;
  if (!swept->removed.empty()) {
    log_event(LogLevel::kInfo, "removed segments that an interrupted sealing had left",
              {{"files", swept->removed.size()}});
  }
  for (const std::string& name : swept->missing) {
    log_event(LogLevel::kError, "a segment is missing: what it holds is answered with an error",
              {{"file", name}});
  }
  return "";
}

std::string Server::replay_log(store::OpLog::Recovery* recovery) {
  store::OpLogOptions options;
  options.generation_bytes = config_.generation_bytes;
  options.first_generation = catalog_state_.sealed_through + 1;
  options.saves_space = ballast_->full();
  EnginePeers peers(engines_, catalog_.get());
  auto log = store::OpLog::open(
      *log_directory_, options,
      [&](std::string_view record, LogPosition at) {
        return peers.owner_of(stream::record_path_hash(record)).replay(record, at, peers);
      },
      recovery);
  if (!peers.problem().empty()) return "cannot read the catalog: " + peers.problem();
  if (!log.ok())
    return "cannot open the op log in " + config_.data_dir + ": " + log.error().message;
  log_ = std::move(*log);
  std::string problem = recover_pins(peers);
  if (problem.empty()) problem = settle_lost_life(recovery->lost_writes);
  if (!problem.empty()) return problem;
  start_engines(peers);
  if (!peers.problem().empty()) return "cannot read the catalog: " + peers.problem();
  return "";
}

std::string Server::recover_pins(engine::Engine::Peers& peers) {
  const auto pins = catalog_->open_pins();
  if (!pins.ok()) return "cannot read the catalog: " + pins.error().message;
  for (const auto& [source, fork] : *pins) {
    const auto stream = catalog_->find(source);
    if (!stream.ok()) return "cannot read the catalog: " + stream.error().message;
    if (!*stream) continue;
    peers.owner_of(path_hash((*stream)->path)).recover_pin(source, fork, peers);
  }
  return "";
}

// Streams that have not begun a new life since answered writes were lost do so when they are next
// written to, however long that takes: it has to be on record.
std::string Server::settle_lost_life(bool lost_writes) {
  Incarnation& highest = catalog_state_.highest_life;
  for (const auto& one : engines_) highest = std::max(highest, one->highest_life());
  if (!lost_writes) return "";
  highest = Incarnation{highest.value + 1};
  catalog_state_.lost_life = highest;
  store::CatalogChange change;
  change.state = catalog_state_;
  const auto committed = catalog_->commit(change);
  return committed.ok() ? "" : "cannot write the catalog: " + committed.error().message;
}

// Ends the engines' recovery and gives each to its loop.
void Server::start_engines(engine::Engine::Peers& peers) {
  const Instant now = clock_.now();
  std::vector<engine::Actions> actions(engines_.size());
  for (size_t i = 0; i < engines_.size(); ++i) {
    engines_[i]->finish_replay(now, catalog_state_.highest_life, catalog_state_.lost_life,
                               catalog_state_.sealed_through, peers, actions[i]);
  }
  for (size_t i = 0; i < engines_.size(); ++i) {
    loops_.push_back(
        std::make_unique<Loop>(shared_, static_cast<uint32_t>(i), std::move(engines_[i])));
    loops_.back()->seed(std::move(actions[i]));
    shared_.loops.push_back(loops_.back().get());
  }
  engines_.clear();
  loops_draining_ = static_cast<uint32_t>(loops_.size());
  shared_.on_drained = [this] {
    if (loops_draining_.fetch_sub(1) == 1) stop_loops();
  };
}

std::string Server::listen() {
  for (const ListenAddress& address : config_.listen) {
    ListenAddress bound;
    const auto socket = open_listener(address, &bound);
    if (!socket.ok()) {
      if (!address.optional) return socket.error();
      log_event(LogLevel::kWarn, socket.error());
      continue;
    }
    listeners_.push_back(std::make_unique<Listener>(loops_[0]->io(), *socket, bound, shared_));
    log_event(LogLevel::kInfo, "listening", {{"address", bound.text()}});
  }
  return "";
}

// --- Stopping -----------------------------------------------------------------------------------

void Server::wait_for_signal() {
  if (signals_ == nullptr) {
    signals_ = std::make_unique<boost::asio::signal_set>(loops_[0]->io(), SIGTERM, SIGINT);
  }
  signals_->async_wait([this](const boost::system::error_code& error, int signal) {
    if (!error) on_signal(signal);
  });
}

void Server::on_signal(int signal) {
  log_event(LogLevel::kInfo, shutting_down_ ? "stopping at once" : "shutting down",
            {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  if (shutting_down_) return stop_loops();
  begin_shutdown();
  wait_for_signal();
}

// On the first loop's thread.
void Server::begin_shutdown() {
  if (std::exchange(shutting_down_, true)) return;
  sd_notify(0, "STOPPING=1");
  for (const std::unique_ptr<Listener>& listener : listeners_) listener->close();
  drain_timer_ = std::make_unique<boost::asio::steady_timer>(loops_[0]->io());
  drain_timer_->expires_after(std::chrono::microseconds(config_.drain_timeout.us));
  drain_timer_->async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    log_event(LogLevel::kWarn, "some connections did not end within --drain-timeout",
              {{"connections", shared_.connections.load()}});
    stop_loops();
  });
  for (const std::unique_ptr<Loop>& loop : loops_) loop->begin_drain();
}

void Server::stop_loops() {
  for (const std::unique_ptr<Loop>& loop : loops_) loop->stop();
}

// What the committer still has is committed, though nobody is told.
void Server::close_store() {
  if (sealing_thread_ != nullptr) sealing_thread_->stop();
  if (readers_ != nullptr) readers_->stop();
  if (committer_thread_ != nullptr) committer_thread_->stop();
  if (ballast_ != nullptr) ballast_->stop();
  if (log_ == nullptr) return;
  const bool healthy = shared_.log_healthy.load();
  if (healthy && log_->close().ok()) return;
  log_event(LogLevel::kError,
            "the op log could not be closed cleanly; it is replayed at the start");
}

// --- From the committer's thread ----------------------------------------------------------------

void Server::on_committed(uint32_t engine, uint64_t batch_id, engine::CommitOutcome outcome,
                          LogPosition first_record) {
  loops_[engine]->on_commit_end({batch_id, outcome, first_record});
}

void Server::on_log_health(bool healthy) {
  shared_.log_healthy.store(healthy);
  log_event(healthy ? LogLevel::kInfo : LogLevel::kError,
            healthy
                ? "the op log works again"
                : "the op log is broken: writes wait until it has been reopened and read again");
}

bool Server::on_no_space() { return ballast_->make_room(); }

void Server::on_answered_writes_lost(uint64_t frames) {
  log_event(LogLevel::kError, "answered writes are lost (relaxed durability); ending the process",
            {{"commits", frames}});
  failed_ = true;
  boost::asio::post(loops_[0]->io(), [this] { begin_shutdown(); });
}

}  // namespace ds::server
