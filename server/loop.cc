#include "server/loop.h"

#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "server/log.h"

namespace ds::server {

namespace {

constexpr Duration kTick = milliseconds(250);
constexpr Duration kResyncTick = seconds(1);  // of the loop that keeps the clock
constexpr size_t kSweptPerTick = 16384;
constexpr int kEventsPerTurn = 512;
constexpr uint64_t kUnwrittenBytesMax = 16 << 20;
constexpr Duration kFailuresLogged = seconds(10);  // one line in this time

ParserLimits parser_limits(const Config& config) {
  return {static_cast<size_t>(config.head_bytes_max), static_cast<size_t>(config.uri_bytes_max),
          static_cast<size_t>(config.headers_max)};
}

uint64_t random_seed() {
  uint64_t seed = 0;
  DS_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

}  // namespace

Loop::Loop(LoopShared& shared, uint32_t index, std::unique_ptr<engine::Engine> engine)
    : shared_(shared),
      index_(index),
      engine_(std::move(engine)),
      inboxes_(parser_limits(shared.config), shared.config.body_bytes_max),
      writer_(random_seed()),
      now_(shared.clock.now()),
      io_(1),
      sockets_(io_, epoll_create1(EPOLL_CLOEXEC)),
      timer_(io_),
      mailbox_([this] { boost::asio::post(io_, [this] { read_mail(); }); }),
      outboxes_(shared.config.threads),
      failures_logged_(kFailuresLogged) {}

Loop::~Loop() = default;

void Loop::seed(engine::Actions actions) { actions_ = std::move(actions); }

void Loop::run() noexcept {  // NOLINT(bugprone-exception-escape): as the header says
  boost::asio::post(io_, [this] {
    begin_turn();
    end_turn();
  });
  watch_sockets();
  const auto work = boost::asio::make_work_guard(io_);
  io_.run();
}

void Loop::stop() { io_.stop(); }

void Loop::adopt(NewSocket socket) {
  mailbox_.leave([&](Mail& mail) { mail.sockets.push_back(std::move(socket)); });
}

void Loop::on_commit_end(const CommitEnd& end) {
  mailbox_.leave([&](Mail& mail) { mail.commits.push_back(end); });
}

void Loop::on_load_end(uint64_t load_id, engine::LoadOutcome outcome, SharedBytes bytes) {
  mailbox_.leave([&](Mail& mail) { mail.loads.push_back({load_id, outcome, std::move(bytes)}); });
}

void Loop::on_sealed_read_end(uint64_t load_id, engine::LoadOutcome outcome,
                              segment::SealedChunk chunk) {
  mailbox_.leave([&](Mail& mail) {
    mail.sealed_reads.push_back({load_id, outcome, std::move(chunk)});
  });
}

void Loop::on_find_end(uint64_t find_id, engine::Engine::Found found, std::string snapshot) {
  mailbox_.leave([&](Mail& mail) { mail.finds.push_back({find_id, found, std::move(snapshot)}); });
}

void Loop::on_sealed(uint32_t generation, std::vector<Incarnation> streams, bool last_part,
                     std::function<void()> taken) {
  mailbox_.leave([&](Mail& mail) {
    mail.tasks.emplace_back(
        [this, generation, streams = std::move(streams), last_part, taken = std::move(taken)] {
          engine_->on_sealed(generation, streams, last_part, now_);
          if (last_part) taken();
        });
  });
}

void Loop::on_trim(Incarnation stream, Position earliest) {
  mailbox_.leave([&](Mail& mail) {
    mail.tasks.emplace_back(
        [this, stream, earliest] { engine_->on_trim(stream, earliest, now_, actions_); });
  });
}

void Loop::on_due(Incarnation stream) {
  mailbox_.leave([&](Mail& mail) {
    mail.tasks.emplace_back([this, stream] { engine_->on_due(stream, now_, actions_); });
  });
}

void Loop::with_engine(std::function<void(engine::Engine&)> task) {
  mailbox_.leave([&](Mail& mail) {
    mail.tasks.emplace_back([this, task = std::move(task)] { task(*engine_); });
  });
}

void Loop::begin_drain() {
  mailbox_.leave([this](Mail& mail) {
    mail.tasks.emplace_back([this] {
      draining_ = true;
      engine_->end_live_readers(now_, actions_);
      for (Slot& slot : slots_) {
        if (slot.connection != nullptr) slot.connection->drain();
      }
    });
  });
}

// --- Turns --------------------------------------------------------------------------------------

void Loop::begin_turn() {
  now_ = std::max(now_, shared_.clock.now());
  writer_.set_time(now_);
  check_storage();
}

void Loop::measure_catalog() {
  uint64_t bytes = 0;
  for (const char* name : {"/catalog.db", "/catalog.db-wal"}) {
    struct stat file {};
    if (stat((shared_.config.data_dir + name).c_str(), &file) == 0) {
      bytes += static_cast<uint64_t>(file.st_size);
    }
  }
  shared_.catalog_bytes.store(bytes, std::memory_order_relaxed);
}

void Loop::check_storage() {
  if (shared_.log == nullptr) return;
  wire::ErrorCode refusal = wire::ErrorCode::kNone;
  if (shared_.ballast->full()) {
    refusal = wire::ErrorCode::kStorageFull;
  } else if (over_disk_limit()) {
    refusal = wire::ErrorCode::kDiskLimit;
  }
  if (refusal == storage_refusal_) return;
  storage_refusal_ = refusal;
  engine_->set_storage(refusal);
}

// What a turn adds may go beyond the limit: one body per connection at most.
bool Loop::over_disk_limit() const {
  const uint64_t limit = shared_.config.disk_bytes_max;
  if (limit == 0) return false;
  const uint64_t used = shared_.log->stats().bytes + shared_.sealer->stats().segment_bytes +
                        shared_.catalog_bytes.load(std::memory_order_relaxed);
  return used >= limit;
}

void Loop::end_turn() {
  for (;;) {
    // First of all, so that the commit runs while the rest is written.
    submit_batch();
    carry_out_actions();
    if (engine_->has_batch()) continue;
    if (dirty_.empty()) {
      if (events_due_.empty()) break;
      deliver_events();
      continue;
    }
    finishing_.swap(dirty_);
    for (Connection* connection : finishing_) {
      connection->finish_turn();
      write_early();
    }
    finishing_.clear();
  }
  unwritten_bytes_ = 0;
  deliver_outboxes();
  bury_dead();
  commit_in_place();
  if (!ready_.empty() || !unread_.empty()) continue_later();
  if (draining_) check_drained();
  arm_timer();
}

// All answers of a turn exist at once until they are written, and may be copies. When it is much,
// they are written before more is asked for.
void Loop::write_early() {
  if (unwritten_bytes_ < kUnwrittenBytesMax) return;
  unwritten_bytes_ = 0;
  submit_batch();
  carry_out_actions();
  for (Connection* connection : dirty_) connection->send_now();
}

void Loop::watch_sockets() {
  sockets_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        begin_turn();
                        events_ = serve_sockets();
                        gather_writes();
                        end_turn();
                        events_ = 0;
                        watch_sockets();
                      });
}

// Returns how many were ready.
int Loop::serve_sockets() {
  epoll_event events[kEventsPerTurn];
  const int count = epoll_wait(sockets_.native_handle(), events, kEventsPerTurn, 0);
  for (int i = 0; i < count; ++i) {
    Slot& slot = slots_[events[i].data.u32];
    if (slot.connection != nullptr) slot.connection->on_events(events[i].events);
    submit_early();
    write_early();
  }
  return std::max(count, 0);
}

void Loop::read_mail() {
  mail_.clear();
  mailbox_.take(mail_);
  begin_turn();
  for (const CommitEnd& end : mail_.commits) {
    --commits_outstanding_;
    if (end.outcome != engine::CommitOutcome::kDurable) {
      // Those taken after it under the same epoch are void, and will not be reported.
      commits_outstanding_ = 0;
      const bool full = end.outcome == engine::CommitOutcome::kDiskFull;
      uint64_t left_out = 0;
      if (failures_logged_.admits(now_, &left_out)) {
        log_event(LogLevel::kError, "a commit has failed",
                  {{"reason", full ? "disk full" : "I/O error"}, {"not_logged", left_out}});
      }
    }
    engine_->on_commit(end.batch_id, end.outcome, end.first_record, now_, actions_);
  }
  for (LoadEnd& end : mail_.loads) {
    engine_->on_loaded(end.load_id, end.outcome, std::move(end.bytes), now_, actions_);
  }
  for (SealedReadEnd& end : mail_.sealed_reads) {
    engine_->on_sealed_read(end.load_id, end.outcome, std::move(end.chunk), now_, actions_);
  }
  for (const FindEnd& end : mail_.finds) {
    engine_->on_found(end.find_id, end.found, end.snapshot, now_, actions_);
  }
  for (ToEngine& message : mail_.to_engine) {
    handle(message);
    submit_early();
  }
  for (engine::Action& answer : mail_.answers) actions_.push_back(std::move(answer));
  take_sockets();
  for (Task& task : mail_.tasks) task();
  end_turn();
}

void Loop::take_sockets() {
  for (NewSocket& fresh : mail_.sockets) {
    if (free_slots_.empty()) {
      free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
      slots_.emplace_back();
      deadlines_.push_back(kNever);
    }
    const uint32_t number = free_slots_.back();
    Slot& slot = slots_[number];
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u32 = number;
    const uint64_t id_base = uint64_t{index_} << 56 | uint64_t{number} << 32;
    slot.connection = std::make_unique<Connection>(*this, fresh.socket, std::move(fresh.peer),
                                                   number, id_base, slot.next_serial);
    free_slots_.pop_back();
    ++open_;
    counters_.connections_opened.add();
    if (epoll_ctl(sockets_.native_handle(), EPOLL_CTL_ADD, slot.connection->socket(), &event) !=
        0) {
      log_event(LogLevel::kError, "cannot watch a connection", {{"errno", errno}});
      slot.connection->abandon();
    }
  }
}

// Work that must let others go first: readers that have taken all and want more, connections that
// have sent more than their share.
void Loop::continue_later() {
  if (std::exchange(continuing_, true)) return;
  boost::asio::post(io_, [this] {
    continuing_ = false;
    begin_turn();
    std::vector<ReadyReader> ready = std::exchange(ready_, {});
    for (const ReadyReader& reader : ready) {
      if (reader.owner == index_) {
        engine_->on_reader_ready(reader.id, now_, actions_);
      } else {
        to_engine(reader.owner, ReaderReady{reader.id});
      }
    }
    std::vector<uint32_t> unread = std::exchange(unread_, {});
    for (const uint32_t slot : unread) {
      if (slots_[slot].connection == nullptr) continue;
      slots_[slot].connection->resume();
      submit_early();
    }
    end_turn();
  });
}

Connection* Loop::connection_of(engine::RequestId id) {
  const uint64_t slot = (id.value >> 32) & 0xffffff;
  return slot < slots_.size() ? slots_[slot].connection.get() : nullptr;
}

void Loop::bury_dead() {
  for (const uint32_t number : dead_) {
    Slot& slot = slots_[number];
    if (slot.connection == nullptr) continue;
    slot.next_serial = slot.connection->next_serial();
    slot.connection.reset();
    deadlines_[number] = kNever;
    free_slots_.push_back(number);
    --open_;
    counters_.connections_closed.add();
    shared_.connections.fetch_sub(1, std::memory_order_relaxed);
  }
  dead_.clear();
}

// --- Time ---------------------------------------------------------------------------------------

// One timer for everything: the engine's next deadline, or the next look at the connections'.
void Loop::arm_timer() {
  Instant due = engine_->next_deadline();
  const bool ticks = open_ > 0 || draining_ || send_cache_.bytes() > 0;
  if (ticks) due = std::min(due, now_ + kTick);
  if (index_ == 0) due = std::min(due, now_ + kResyncTick);
  // Firing early is harmless: the timer is moved forward only, and set anew when it fires.
  if (due >= timer_due_) return;
  timer_due_ = due;
  const int64_t wait_us = std::clamp<int64_t>(due.us - now_.us, 1000, 3600 * int64_t{1000000});
  timer_.expires_after(std::chrono::microseconds(wait_us));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    on_timer();
  });
}

void Loop::on_timer() {
  timer_due_ = kNever;
  if (index_ == 0) {
    shared_.clock.resync();
    measure_catalog();
  }
  begin_turn();
  send_cache_.on_time(now_);
  if (engine_->next_deadline() <= now_) engine_->on_time(now_, actions_);
  // A request may have parked after the first round of goodbyes.
  if (draining_) engine_->end_live_readers(now_, actions_);
  sweep_deadlines();
  end_turn();
}

void Loop::sweep_deadlines() {
  size_t count = std::min(slots_.size(), kSweptPerTick);
  for (; count > 0; --count) {
    if (swept_ >= slots_.size()) swept_ = 0;
    const size_t slot = swept_++;
    if (deadlines_[slot] > now_ || slots_[slot].connection == nullptr) continue;
    slots_[slot].connection->on_deadline();
  }
}

void Loop::check_drained() {
  if (drained_ || open_ > 0 || commits_outstanding_ > 0 || engine_->has_batch()) return;
  drained_ = true;
  shared_.on_drained();
}

// --- Bookkeeping --------------------------------------------------------------------------------

bool Loop::charge_body(uint64_t bytes) {
  const uint64_t before = shared_.body_memory.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= shared_.config.body_memory_bytes) return true;
  release_body(bytes);
  return false;
}

void Loop::release_body(uint64_t bytes) {
  shared_.body_memory.fetch_sub(bytes, std::memory_order_relaxed);
}

uint32_t Loop::owner_of(std::string_view path) const {
  const size_t loops = shared_.loops.size();
  return loops == 1 ? 0 : static_cast<uint32_t>(path_hash(path) % loops);
}

void Loop::answered(const AnsweredRequest& request) {
  counters_.count_request(request.route, request.method, request.status);
  counters_.answered_bytes.add(request.body_bytes);
  if (request.path.empty()) return;
  const int64_t took_us = shared_.clock.now().us - request.started.us;
  log_event(LogLevel::kInfo, "request",
            {{"method", request.method},
             {"path", request.path},
             {"status", request.status},
             {"bytes", request.body_bytes},
             {"us", std::max<int64_t>(0, took_us)},
             {"peer", request.peer},
             {"request_id", request.request_id}});
}

void Loop::dropped(DropReason reason) { counters_.dropped[static_cast<size_t>(reason)].add(); }

}  // namespace ds::server
