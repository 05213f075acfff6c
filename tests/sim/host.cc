#include "tests/sim/host.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/base/hash.h"
#include "core/stream/op_record.h"
#include "store/retention.h"
#include "tests/sim/sqlite_vfs.h"
#include "tests/sim/violation.h"

namespace ds::sim {

using engine::Actions;
using engine::LoadOutcome;
using engine::RequestId;
using Found = engine::Engine::Found;

namespace {
constexpr const char* kCatalogName = "catalog.db";
constexpr const char* kBallastName = "ballast";
constexpr size_t kDueAtOnce = 1000;
constexpr size_t kTrimsAtOnce = 1000;
}  // namespace

Host::Host(fakes::FaultyDisk& disk, Clients& clients, const HostOptions& options)
    : disk_(disk), clients_(clients), options_(options), sockets_(clients) {}

Host::~Host() { end_process(); }

// --- A process's life
// -----------------------------------------------------------------------------

std::string Host::start(Instant now, uint64_t seed) {
  std::string problem = open_store(now, seed);
  if (!problem.empty()) end_process();
  return problem;
}

std::string Host::open_store(Instant now, uint64_t seed) {
  root_ = disk_.root();
  if (!root_->lock("LOCK").ok()) return "cannot lock the data directory";
  prepare_ballast();
  for (auto [name, opened] :
       {std::pair("log", &log_directory_), std::pair("segments", &segments_directory_)}) {
    auto inside = root_->subdirectory(name);
    if (!inside.ok()) return "cannot open a directory";
    *opened = std::move(*inside);
  }
  set_database_directory(root_.get(), seed);
  auto catalog = store::Catalog::open(kCatalogName, store::Catalog::Mode::kReadWrite);
  if (!catalog.ok()) return "catalog: " + catalog.error().message;
  catalog_ = std::move(*catalog);
  if (!root_->sync().ok()) return "cannot sync the data directory";
  const auto state = catalog_->state();
  if (!state.ok()) return "catalog: " + state.error().message;
  catalog_state_ = *state;
  const auto streams = catalog_->stream_count();
  if (!streams.ok()) return "catalog: " + streams.error().message;
  quota_.count = static_cast<int64_t>(*streams);
  files_ = std::make_unique<store::SegmentFiles>(*segments_directory_);
  sealer_ = std::make_unique<store::Sealer>(*log_directory_, *segments_directory_, *catalog_,
                                            *files_, options_.sealer);
  const auto swept = sealer_->sweep();
  if (!swept.ok()) return "sweep: " + swept.error().message;
  if (!swept->missing.empty()) return "a segment is missing: " + swept->missing.front();
  engine::EngineConfig config = options_.engine;
  config.quota = &quota_;
  for (uint32_t i = 0; i < options_.engines; ++i) {
    engines_.push_back(std::make_unique<engine::Engine>(config, i, HashKey{3, 4}));
  }
  std::string problem = replay(seed);
  if (!problem.empty()) return problem;
  sealed_through_ = catalog_state_.sealed_through;
  std::vector<Actions> actions(engines_.size());
  for (size_t i = 0; i < engines_.size(); ++i) {
    engines_[i]->finish_replay(now, catalog_state_.highest_life, catalog_state_.lost_life,
                               catalog_state_.sealed_through, *this, actions[i]);
  }
  if (!peers_problem_.empty()) return "catalog: " + peers_problem_;
  store::Committer::Options committing;
  committing.frame_bytes_max = options_.frame_bytes_max;
  committing.durability = options_.durability;
  committing.sync_interval = options_.sync_interval;
  committer_ = std::make_unique<store::Committer>(*log_, *this, committing, options_.engines);
  loops_.resize(engines_.size());
  set_full(disk_full_);
  for (size_t i = 0; i < engines_.size(); ++i) carry_out(i, std::move(actions[i]), now);
  return "";
}

std::string Host::replay(uint64_t seed) {
  store::OpLogOptions options;
  options.generation_bytes = store::kGenerationBytesMin;
  options.first_generation = catalog_state_.sealed_through + 1;
  options.salt_seed = seed + 1;
  options.saves_space = disk_full_;
  keep_generations(catalog_state_.sealed_through);
  store::OpLog::Recovery recovery;
  auto log = store::OpLog::open(
      *log_directory_, options,
      [this](std::string_view record, LogPosition at) {
        return owner_of(stream::record_path_hash(record)).replay(record, at, *this);
      },
      &recovery);
  if (!peers_problem_.empty()) return "catalog: " + peers_problem_;
  if (!log.ok()) return "log: " + log.error().message;
  const bool relaxed = options_.durability == store::Durability::kRelaxed;
  require(relaxed || !recovery.lost_writes, "the log believes that answered writes are lost");
  log_ = std::move(*log);
  const auto pins = catalog_->open_pins();
  if (!pins.ok()) return "catalog: " + pins.error().message;
  for (const auto& [source, fork] : *pins) {
    const auto stream = catalog_->find(source);
    if (!stream.ok()) return "catalog: " + stream.error().message;
    if (*stream) owner_of(path_hash((*stream)->path)).recover_pin(source, fork, *this);
  }
  Incarnation& highest = catalog_state_.highest_life;
  for (const auto& one : engines_) highest = std::max(highest, one->highest_life());
  return recovery.lost_writes ? settle_lost_life() : "";
}

// Streams that may have lost answered writes go on under new lives: that has to be on record.
std::string Host::settle_lost_life() {
  Incarnation& highest = catalog_state_.highest_life;
  highest = Incarnation{highest.value + 1};
  catalog_state_.lost_life = highest;
  store::CatalogChange change;
  change.state = catalog_state_;
  const auto committed = catalog_->commit(change);
  return committed.ok() ? "" : "catalog: " + committed.error().message;
}

std::optional<std::string> Host::sealed_snapshot(Incarnation stream) {
  auto found = catalog_->find(stream);
  if (!found.ok()) {
    peers_problem_ = found.error().message;
    return std::nullopt;
  }
  if (!*found) return std::nullopt;
  return std::move((*found)->snapshot);
}

void Host::kill(fakes::FaultyDisk::Crash how) {
  disk_.crash(how);
  end_process();
}

bool Host::stop() {
  committer_->stop();
  commit(Instant{INT64_MAX / 2});
  const bool closed = log_healthy_ && log_->close().ok();
  end_process();
  return closed;
}

void Host::end_process() {
  committer_.reset();
  log_.reset();
  engines_.clear();
  sealer_.reset();
  files_.reset();
  reading_catalog_.reset();
  catalog_.reset();
  set_database_directory(nullptr, 0);
  segments_directory_.reset();
  log_directory_.reset();
  root_.reset();
  loops_.clear();
  jobs_.clear();
  open_.clear();
  sockets_.clear();
  log_healthy_ = true;
  disk_full_ = writes_lost_ = false;
  newest_ = settled_ = {};
  removing_ = 0;
  untold_ = 0;
  told_ = {Instant{INT64_MIN}, Incarnation{}};
  peers_problem_.clear();
}

// --- Clients
// --------------------------------------------------------------------------------------

void Host::send(uint64_t request, const wire::RequestText& text, Instant now, bool by_mail) {
  const size_t engine = path_hash(text.path) % engines_.size();
  open_[request] = engine;
  if (by_mail) {
    loops_[engine].mail.emplace_back(
        std::make_unique<engine::OwnedRequest>(RequestId{request}, text));
    return;
  }
  Actions actions;
  engines_[engine]->on_request(RequestId{request}, text, now, actions);
  carry_out(engine, std::move(actions), now);
}

void Host::disconnect(uint64_t request, std::string_view path) {
  open_.erase(request);
  sockets_.forget(request);
  loops_[path_hash(path) % engines_.size()].mail.emplace_back(Gone{request});
}

void Host::reader_lagging(uint64_t request, Position accepted) {
  engines_[sockets_.engine_of(request)]->on_reader_lagging(RequestId{request}, accepted);
}

void Host::reader_ready(uint64_t request, Instant now) {
  const size_t engine = sockets_.engine_of(request);
  Actions actions;
  engines_[engine]->on_reader_ready(RequestId{request}, now, actions);
  carry_out(engine, std::move(actions), now);
}

// --- Turns
// ----------------------------------------------------------------------------------------

// Requests, disconnects and messages between engines share one queue.
int Host::rank(const Mail& mail) {
  constexpr int kRanks[] = {0, 1, 2, 3, 4, 4, 4, 5, 5, 5};
  return kRanks[mail.index()];
}

bool Host::read_mail(size_t engine, size_t at_most, Instant now) {
  std::deque<Mail>& waiting = loops_[engine].mail;
  if (waiting.empty()) return false;
  std::vector<Mail> taken;
  while (!waiting.empty() && taken.size() < at_most) {
    taken.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  std::stable_sort(taken.begin(), taken.end(),
                   [](const Mail& a, const Mail& b) { return rank(a) < rank(b); });
  Actions actions;
  for (Mail& mail : taken) handle(engine, mail, now, actions);
  carry_out(engine, std::move(actions), now);
  return true;
}

void Host::handle(size_t i, Mail& mail, Instant now, Actions& actions) {
  engine::Engine& engine = *engines_[i];
  if (const auto* commit = std::get_if<CommitEnd>(&mail)) {
    engine.on_commit(commit->batch, commit->outcome, commit->first, now, actions);
  } else if (auto* load = std::get_if<LoadEnd>(&mail)) {
    engine.on_loaded(load->load, load->outcome, std::move(load->bytes), now, actions);
  } else if (auto* read = std::get_if<SealedReadEnd>(&mail)) {
    engine.on_sealed_read(read->load, read->outcome, std::move(read->chunk), now, actions);
  } else if (const auto* find = std::get_if<FindEnd>(&mail)) {
    engine.on_found(find->find, find->found, find->snapshot, now, actions);
  } else if (const auto* arrival = std::get_if<Arrival>(&mail)) {
    engine.on_request((*arrival)->id, (*arrival)->text, now, actions);
  } else if (const auto* gone = std::get_if<Gone>(&mail)) {
    engine.on_disconnect(RequestId{gone->request});
  } else if (const auto* peer = std::get_if<engine::PeerMessage>(&mail)) {
    engine.on_peer(*peer, now, actions);
  } else if (const auto* sealed = std::get_if<SealedTask>(&mail)) {
    engine.on_sealed(sealed->generation, sealed->streams, sealed->last, now);
    if (sealed->last) --untold_;
  } else if (const auto* due = std::get_if<DueTask>(&mail)) {
    engine.on_due(due->stream, now, actions);
  } else {
    const auto& trim = std::get<TrimTask>(mail);
    engine.on_trim(trim.stream, trim.earliest, now, actions);
  }
}

bool Host::end_turn(size_t engine) {
  std::optional<engine::Batch> batch = engines_[engine]->take_batch();
  if (!batch) return false;
  const auto number = static_cast<uint32_t>(engine);
  clients_.on_submitted({number, engines_[engine]->epoch(), batch->batch_id}, *batch->records);
  committer_->submit(static_cast<uint32_t>(engine), engines_[engine]->epoch(), std::move(*batch));
  return true;
}

bool Host::on_time(size_t engine, Instant now) {
  if (engines_[engine]->next_deadline() > now) return false;
  Actions actions;
  engines_[engine]->on_time(now, actions);
  carry_out(engine, std::move(actions), now);
  return true;
}

Instant Host::next_deadline() const {
  Instant due = kNever;
  for (const auto& engine : engines_) due = std::min(due, engine->next_deadline());
  return due;
}

void Host::end_live_readers(Instant now) {
  for (size_t i = 0; i < engines_.size(); ++i) {
    Actions actions;
    engines_[i]->end_live_readers(now, actions);
    carry_out(i, std::move(actions), now);
  }
}

void Host::carry_out(size_t engine, Actions actions, Instant now) {
  while (!actions.empty()) {
    Actions more;
    for (engine::Action& action : actions) carry_out(engine, action, now, more);
    actions = std::move(more);
  }
}

void Host::carry_out(size_t engine, engine::Action& action, Instant now, Actions& more) {
  if (auto* respond = std::get_if<engine::Respond>(&action)) {
    require(!sockets_.has(respond->to.value), "an answer to an SSE reader");
    if (open_.erase(respond->to.value) > 0) {
      clients_.on_answer(respond->to.value, respond->response);
    }
  } else if (const auto* opened = std::get_if<engine::OpenSse>(&action)) {
    if (open_.erase(opened->to.value) == 0) return;
    sockets_.open(opened->to.value, engine, opened->position);
    clients_.on_sse_open(opened->to.value, opened->head, opened->position);
  } else if (const auto* send = std::get_if<engine::SendSse>(&action)) {
    sockets_.push(*send);
  } else if (const auto* end = std::get_if<engine::EndSse>(&action)) {
    sockets_.end(end->to.value);
  } else if (auto* load = std::get_if<engine::Load>(&action)) {
    jobs_.push_back({engine, std::move(*load)});
  } else if (auto* read = std::get_if<engine::ReadSealed>(&action)) {
    jobs_.push_back({engine, std::move(*read)});
  } else if (auto* find = std::get_if<engine::Find>(&action)) {
    jobs_.push_back({engine, std::move(*find)});
  } else {
    auto& message = std::get<engine::PeerMessage>(action);
    const size_t to = message.to_path_hash % engines_.size();
    if (to == engine) {
      engines_[engine]->on_peer(message, now, more);
    } else {
      loops_[to].mail.emplace_back(std::move(message));
    }
  }
}

// --- The committer's thread and the one that prepares generations
// ---------------------------------

bool Host::commit(Instant now) {
  const LogPosition before = newest_;
  const bool did_something = committer_->run_once(now);
  if (newest_ != before) settled_ = before;
  return did_something;
}

void Host::on_committed(uint32_t engine, uint64_t batch_id, engine::CommitOutcome outcome,
                        LogPosition first_record) {
  if (outcome == engine::CommitOutcome::kDurable) {
    newest_ = first_record;
  } else {
    clients_.on_failed(engine, batch_id);
  }
  loops_[engine].mail.emplace_back(CommitEnd{batch_id, outcome, first_record});
}

bool Host::prepare_generation() {
  if (!log_->wants_next_generation()) return false;
  const ports::IoStatus prepared = log_->prepare_next_generation();
  const bool full = !prepared.ok() && prepared.error() == ports::IoError::kNoSpace;
  if (full && make_room()) (void)log_->prepare_next_generation();
  return true;
}

// --- The ballast
// ----------------------------------------------------------------------------------

void Host::prepare_ballast() {
  if (options_.ballast_bytes == 0) return;
  const std::vector<std::string> names = disk_.names();
  const bool in_place = std::find(names.begin(), names.end(), kBallastName) != names.end();
  const bool room =
      in_place || disk_.free_space() >= options_.ballast_bytes + store::kGenerationBytesMin;
  disk_full_ = !room || !make_ballast();
}

bool Host::make_ballast() {
  using Open = ports::Directory::Open;
  auto made = root_->open(kBallastName, Open::kCreateNew);
  if (!made.ok()) made = root_->open(kBallastName, Open::kExisting);
  if (made.ok() && (*made)->reserve(options_.ballast_bytes).ok()) return true;
  (void)root_->remove(kBallastName);
  return false;
}

bool Host::make_room() {
  if (options_.ballast_bytes == 0) return false;
  if (disk_full_) return true;
  (void)root_->remove(kBallastName);
  set_full(true);
  return true;
}

void Host::set_full(bool full) {
  disk_full_ = full;
  if (log_ != nullptr) log_->save_space(full);
  const auto refusal = full ? wire::ErrorCode::kStorageFull : wire::ErrorCode::kNone;
  for (const auto& engine : engines_) engine->set_storage(refusal);
}

bool Host::look_for_room() {
  if (!disk_full_ || disk_.free_space() / 2 < options_.ballast_bytes || !make_ballast()) {
    return false;
  }
  set_full(false);
  return true;
}

// --- The reader pool
// ------------------------------------------------------------------------------

bool Host::serve_job(size_t which, Instant) {
  if (jobs_.empty()) return false;
  which %= jobs_.size();
  const Job job = std::move(jobs_[which]);
  jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(which));
  if (reading_catalog_ == nullptr) {
    auto opened = store::Catalog::open(kCatalogName, store::Catalog::Mode::kReadOnly);
    if (opened.ok()) reading_catalog_ = std::move(*opened);
  }
  std::deque<Mail>& mail = loops_[job.engine].mail;
  std::visit([&](const auto& what) { mail.emplace_back(serve(what)); }, job.what);
  return true;
}

Host::LoadEnd Host::serve(const engine::Load& load) {
  std::vector<store::OpLog::Piece> pieces;
  for (const engine::LoadPiece& piece : load.pieces) {
    pieces.push_back({piece.record, piece.skip, piece.bytes});
  }
  std::string bytes;
  bool corrupt = false;
  const ports::IoStatus status = log_->read_payloads(pieces, bytes, &corrupt);
  if (status.ok()) return {load.load_id, LoadOutcome::kDone, share(std::move(bytes))};
  if (corrupt) return {load.load_id, LoadOutcome::kCorrupt, nullptr};
  const bool gone = status.error() == ports::IoError::kNotFound;
  return {load.load_id, gone ? LoadOutcome::kGone : LoadOutcome::kFailed, nullptr};
}

Host::SealedReadEnd Host::serve(const engine::ReadSealed& read) {
  if (reading_catalog_ == nullptr) return {read.load_id, LoadOutcome::kFailed, {}};
  std::string problem;
  auto chunk = store::read_sealed(*reading_catalog_, *files_, read.read, &problem);
  if (chunk.ok()) return {read.load_id, LoadOutcome::kDone, std::move(*chunk)};
  const bool corrupt = chunk.error() == store::SealedReadError::kCorrupt;
  if (corrupt) last_problem_ = problem;
  return {read.load_id, corrupt ? LoadOutcome::kCorrupt : LoadOutcome::kFailed, {}};
}

Host::FindEnd Host::serve(const engine::Find& find) {
  if (reading_catalog_ == nullptr) return {find.find_id, Found::kFailed, ""};
  auto found =
      find.path.empty() ? reading_catalog_->find(find.stream) : reading_catalog_->find(find.path);
  if (!found.ok()) {
    const bool corrupt = found.error().kind == store::CatalogError::Kind::kCorrupt;
    if (corrupt) last_problem_ = found.error().message;
    return {find.find_id, corrupt ? Found::kCorrupt : Found::kFailed, ""};
  }
  if (!*found) return {find.find_id, Found::kNo, ""};
  return {find.find_id, Found::kYes, std::move((*found)->snapshot)};
}

// --- The sealing thread
// ---------------------------------------------------------------------------

bool Host::sealing_behind() const {
  return removing_ > 0 || log_->stats().last_generation > sealed_through_ + 1;
}

bool Host::seal() {
  const uint32_t next = sealed_through_ + 1;
  if (removing_ > 0 || log_->stats().last_generation <= next) return false;
  auto sealed = sealer_->seal(next);
  if (!sealed.ok()) {
    last_problem_ = sealed.error().message;
    if (sealed.error().kind == store::SealError::Kind::kNoSpace) make_room();
    return true;
  }
  sealed_through_ = removing_ = next;
  keep_generations(next);
  std::vector<std::vector<Incarnation>> touched(engines_.size());
  for (const store::SealedStream& one : *sealed) {
    touched[one.path_hash % engines_.size()].push_back(one.id);
  }
  untold_ = engines_.size();
  for (size_t i = 0; i < engines_.size(); ++i) {
    // In two parts, as a host may.
    const auto half = touched[i].begin() + static_cast<std::ptrdiff_t>(touched[i].size() / 2);
    loops_[i].mail.emplace_back(SealedTask{next, {touched[i].begin(), half}, false});
    loops_[i].mail.emplace_back(SealedTask{next, {half, touched[i].end()}, true});
  }
  return true;
}

void Host::keep_generations(uint32_t through) {
  for (const std::string& name : disk_.names()) {
    if (!name.starts_with("log/") || archive_.count(name) > 0) continue;
    const uint64_t generation = std::strtoull(name.c_str() + 4, nullptr, 10);
    if (generation == 0 || generation > through) continue;
    archive_.emplace(name, disk_.contents(name));
  }
}

bool Host::remove_sealed() {
  if (removing_ == 0 || untold_ > 0) return false;
  (void)log_->remove_through(std::exchange(removing_, 0));
  return true;
}

bool Host::tidy() {
  store::Sealer::Room room;
  if (options_.ballast_bytes > 0) {
    const uint64_t free = disk_.free_space();
    const uint64_t kept = store::kGenerationBytesMin * (disk_full_ ? 1 : 2);
    room = {free - std::min(free, kept), disk_full_};
  }
  const auto tidied = sealer_->tidy(room);
  if (!tidied.ok()) last_problem_ = tidied.error().message;
  return tidied.ok() && *tidied;
}

bool Host::bring_due(Instant now) {
  const auto due = catalog_->due(told_, now, kDueAtOnce);
  if (!due.ok()) return false;
  for (const store::Catalog::Due& one : *due) {
    told_ = one;
    const auto stream = catalog_->find(one.id);
    if (!stream.ok() || !*stream) continue;
    loops_[path_hash((*stream)->path) % engines_.size()].mail.emplace_back(DueTask{one.id});
  }
  return !due->empty();
}

bool Host::trim(Instant now) {
  const auto trims = store::plan_trims(*catalog_, stream::Retention(), now, kTrimsAtOnce, nullptr);
  if (!trims.ok()) return false;
  for (const store::Trim& one : *trims) {
    loops_[one.path_hash % engines_.size()].mail.emplace_back(TrimTask{one.stream, one.earliest});
  }
  return !trims->empty();
}

}  // namespace ds::sim
