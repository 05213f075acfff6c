#include "server/server.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "core/base/assert.h"
#include "core/stream/op_record.h"
#include "server/log.h"
#include "server/posix_file.h"

namespace ds::server {

namespace {

engine::EngineConfig engine_config(const Config& config) {
  const uint64_t threads = config.threads;
  const auto whole_seconds = [](Duration d) { return static_cast<uint32_t>(d.us / 1000000); };
  engine::EngineConfig result;
  result.max_chunk_bytes = config.chunk_bytes_max;
  result.tail_cache_bytes = config.tail_cache_bytes / threads;
  result.can_load = config.durability != DurabilityMode::kMemory;
  result.long_poll_timeout = config.long_poll_timeout;
  result.sse_lifetime = config.sse_lifetime;
  result.sse_heartbeat = config.sse_heartbeat;
  result.cache_max_age_seconds = whole_seconds(config.cache_max_age);
  result.cache_stale_seconds = whole_seconds(config.cache_stale);
  result.cache_start_max_age_seconds = whole_seconds(config.cache_start_max_age);
  result.live_readers_max =
      static_cast<uint32_t>(std::max<uint64_t>(1, config.live_readers_max / threads));
  result.pending_loads_max = static_cast<uint32_t>(config.pending_loads_max);
  return result;
}

class EnginePeers final : public engine::Engine::Peers {
 public:
  explicit EnginePeers(const std::vector<std::unique_ptr<engine::Engine>>& engines)
      : engines_(engines) {}
  engine::Engine& owner_of(uint64_t path_hash) override {
    return *engines_[path_hash % engines_.size()];
  }

 private:
  const std::vector<std::unique_ptr<engine::Engine>>& engines_;
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

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Server::Server(const Config& config) : config_(config), shared_(config, clock_) {}

Server::~Server() = default;

int Server::run() {
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
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
    threads.emplace_back([loop = loops_[i].get()] { loop->run(); });
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
    engines_.push_back(std::make_unique<engine::Engine>(engine_config(config_), i, key));
  }
}

std::string Server::open_store() {
  if (config_.durability == DurabilityMode::kMemory) {
    log_event(LogLevel::kWarn, "memory durability: everything is lost when the server stops");
    start_engines(false);
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
  auto log_directory = directory_->subdirectory("log");
  if (!log_directory.ok()) {
    return "cannot open " + config_.data_dir + "/log: " + io_error_text(log_directory.error());
  }
  log_directory_ = std::move(*log_directory);

  store::OpLogOptions options;
  options.generation_bytes = config_.generation_bytes;
  EnginePeers peers(engines_);
  store::OpLog::Recovery recovery;
  const Instant began = clock_.now();
  auto log = store::OpLog::open(
      *log_directory_, options,
      [&](std::string_view record, LogPosition at) {
        return peers.owner_of(stream::record_path_hash(record)).replay(record, at, peers);
      },
      &recovery);
  if (!log.ok())
    return "cannot open the op log in " + config_.data_dir + ": " + log.error().message;
  log_ = std::move(*log);
  start_engines(recovery.lost_writes);
  log_event(recovery.torn_bytes > 0 || recovery.lost_writes ? LogLevel::kWarn : LogLevel::kInfo,
            "op log replayed",
            {{"records", recovery.records},
             {"bytes", recovery.bytes},
             {"torn_bytes", recovery.torn_bytes},
             {"lost_writes", recovery.lost_writes ? "possible" : "none"},
             {"ms", (clock_.now() - began).us / 1000}});

  store::Committer::Options committing;
  committing.durability = config_.durability == DurabilityMode::kRelaxed
                              ? store::Durability::kRelaxed
                              : store::Durability::kSync;
  committing.sync_interval = config_.sync_interval;
  committer_ = std::make_unique<store::Committer>(*log_, *this, committing,
                                                  static_cast<uint32_t>(config_.threads));
  readers_ = std::make_unique<ReaderPool>(*log_, static_cast<uint32_t>(config_.reader_threads),
                                          static_cast<size_t>(config_.reader_queue_max));
  committer_thread_ = std::make_unique<CommitterThread>(*committer_, *log_, clock_);
  shared_.committer = committer_.get();
  shared_.readers = readers_.get();
  shared_.log = log_.get();
  return "";
}

// Ends the engines' recovery and gives each to its loop.
void Server::start_engines(bool lost_writes) {
  EnginePeers peers(engines_);
  Incarnation highest;
  for (const auto& one : engines_) highest = std::max(highest, one->highest_life());
  const Instant now = clock_.now();
  std::vector<engine::Actions> actions(engines_.size());
  for (size_t i = 0; i < engines_.size(); ++i) {
    engines_[i]->finish_replay(now, highest, lost_writes, peers, actions[i]);
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
  if (readers_ != nullptr) readers_->stop();
  if (committer_thread_ != nullptr) committer_thread_->stop();
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

void Server::on_answered_writes_lost(uint64_t frames) {
  log_event(LogLevel::kError, "answered writes are lost (relaxed durability); ending the process",
            {{"commits", frames}});
  failed_ = true;
  boost::asio::post(loops_[0]->io(), [this] { begin_shutdown(); });
}

}  // namespace ds::server
