#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/sim/sqlite_vfs.h"
#include "tests/sim/violation.h"

namespace ds::sim {

using fakes::FaultyDisk;
using tests::Random;

namespace {

constexpr Instant kEpoch{1767225600000000};
constexpr int kStartsMax = 5;
constexpr uint64_t kBallastCatalogBytes = 512 << 10;

Random random_of(uint64_t seed, uint64_t number) {
  Random mixed(seed * 0x9e3779b97f4a7c15 + number);
  return Random(mixed.next());
}

}  // namespace

Weather::Weather(uint64_t seed) {
  Random random = random_of(seed, UINT64_MAX);
  host.engines = static_cast<uint32_t>(1 + random.below(3));
  host.engine.has_catalog = true;
  host.engine.max_chunk_bytes = random.below(2) == 0 ? 1 + random.below(400) : 1 << 20;
  const uint64_t caches[] = {1, 300, 1 << 20};
  host.engine.tail_cache_bytes = caches[random.below(3)];
  host.engine.kept_messages_min = random.below(4) == 0 ? 8 : 1;
  host.engine.evict_after = random.below(2) == 0 ? Duration{} : seconds(5);
  host.engine.long_poll_timeout = seconds(3);
  host.engine.sse_lifetime = seconds(20);
  host.engine.sse_heartbeat = seconds(2);
  host.frame_bytes_max = random.below(3) == 0 ? 400 : 16 << 20;
  host.sealer.single_stream_bytes = random.below(2) == 0 ? 12 << 10 : 4 << 20;
  const uint64_t passes[] = {4 << 10, 24 << 10, 32 << 20};
  host.sealer.pass_bytes = passes[random.below(3)];
  if (host.sealer.pass_bytes < 1 << 20) host.sealer.change_bytes = host.sealer.pass_bytes / 8;
  host.sealer.merge_fan_in = static_cast<uint32_t>(2 + random.below(4));
  kind = static_cast<Kind>(random.below(3));
  payload_bytes = random.below(4) == 0 ? 4000 : 120;
  checkpoint_pages = random.below(2) == 0 ? 4 : 1000;
  crashes = random.below(8) > 0;
  dooms = crashes && random.below(2) == 0;
  io_faults = random.below(3) == 0;
  sync_faults = random.below(3) == 0;
  full_disks = random.below(5) == 0;
  flips = random.below(8) == 0;
  patient = random.below(2) == 0;
  ttl_s = kTtlMin + random.below(kTtlMax - kTtlMin + 1);
  if (random.below(3) > 0) retention.max_bytes = 100 + random.below(1500);
  if (!retention.max_bytes || random.below(2) == 0) {
    retention.max_age_seconds = 1 + random.below(20);
  }
  if (full_disks && random.below(3) > 0) {
    host.ballast_bytes = 2 * store::kGenerationBytesMin + kBallastCatalogBytes;
  }
}

World::World(uint64_t seed, bool verbose)
    : seed_(seed),
      verbose_(verbose),
      weather_(seed),
      disk_(seed),
      oracle_(weather_.kind),
      host_(disk_, *this, weather_.host),
      now_(kEpoch),
      began_(kEpoch),
      plain_paths_{"p/a", "p/b", "p/c", "p/r", "p/t"},
      fork_paths_{"p/f", "p/g", "p/h"} {
  for (const char* path : {"p/a", "p/b", "p/b", "p/r", "p/t", "p/f", "p/g"}) {
    producers_.push_back({"w" + std::to_string(producers_.size()), path, 0, {}, {}});
  }
  set_checkpoint_pages(weather_.checkpoint_pages);
  oracle_.set_faults(weather_.io_faults || weather_.sync_faults || weather_.full_disks,
                     weather_.flips, weather_.host.ballast_bytes > 0 && !weather_.io_faults);
  start();
}

std::string World::say(const std::string& what) {
  if (verbose_) {
    std::printf("  %10.6f %s\n", static_cast<double>((now_ - began_).us) / 1e6, what.c_str());
  }
  return what;
}

// --- A process's life
// -----------------------------------------------------------------------------

// Starts may be cut short too; one without faults must succeed.
void World::start() {
  Random random = random_of(seed_, UINT64_MAX - 1 - ++starts_);
  for (int attempt = 0;; ++attempt) {
    const bool faulty = starts_ > 1 && attempt < kStartsMax - 1 && random.below(4) == 0;
    const bool dies = weather_.dooms && random.below(2) == 0;
    const uint64_t doom = disk_.calls() + random.below(120);
    if (faulty && dies) disk_.fail_from(doom, ports::IoError::kFailed);
    if (faulty && !dies && weather_.io_faults) disk_.fail_call(doom, ports::IoError::kFailed);
    const std::string problem = host_.start(now_, seed_ * 64 + starts_);
    const bool hit = faulty && disk_.calls() > doom;
    disk_.heal();
    if (problem.empty() && !(hit && dies)) break;
    const bool damaged = flip_ && flip_->file.starts_with("log/");
    require(problem.empty() || hit || damaged, "the server cannot start: " + problem);
    say("the start is cut short: " + problem);
    host_.kill(dies ? static_cast<FaultyDisk::Crash>(random.below(3)) : FaultyDisk::Crash::kKeep);
    if (!hit && damaged) flip_back();
  }
  if (host_.from_snapshots()) ++starts_from_snapshots_;
  say("started");
}

void World::crash(Random& random) {
  const auto how = static_cast<FaultyDisk::Crash>(random.below(3));
  constexpr const char* kNames[] = {"forgets", "tears", "keeps"};
  say(std::string("crash: the disk ") + kNames[static_cast<size_t>(how)] + " what is unsynced");
  ++crashes_;
  host_.kill(how);
  network_.clear();
  at_server_.clear();
  live_.clear();
  oracle_.crashed(now_);
  if (weather_.host.ballast_bytes == 0) disk_.set_space(std::nullopt);
  now_ = now_ + milliseconds(static_cast<int64_t>(random.below(2000)));
  start();
  if (random.below(2) == 0) audit();
}

void World::restart_cleanly() {
  say("an orderly restart");
  quiesce();
  host_.end_live_readers(now_);
  quiesce();
  host_.stop();
  network_.clear();
  at_server_.clear();
  live_.clear();
  oracle_.crashed(now_);
  start();
}

void World::pass(Duration by) {
  now_ = now_ + by;
  for (size_t i = 0; i < host_.engines(); ++i) host_.on_time(i, now_);
}

// --- Steps
// ----------------------------------------------------------------------------------------

void World::step(uint32_t number) {
  Random random = random_of(seed_, number);
  now_ = now_ + Duration{static_cast<int64_t>(random.below(4000))};
  const uint64_t kind = random.below(1000);
  if (kind < 300) {
    client_step(random);
    if (!weather_.patient) return;
    for (uint64_t n = random.below(8); n > 0; --n) server_step(random);
  } else if (kind < 900) {
    for (uint64_t n = 1 + random.below(3); n > 0; --n) server_step(random);
  } else if (kind < 940) {
    socket_step(random);
  } else if (kind < 965) {
    pass(milliseconds(static_cast<int64_t>(random.below(random.below(8) == 0 ? 9000 : 900))));
  } else if (kind < 985) {
    fault_step(random);
  } else if (kind < 996) {
    if (weather_.crashes) crash(random);
  } else if (kind < 998) {
    restart_cleanly();
  } else {
    audit();
  }
}

void World::server_step(Random& random) {
  const size_t engine = random.below(host_.engines());
  switch (random.below(16)) {
    case 0:
    case 1:
    case 2:
      if (!network_.empty()) arrive(random.below(network_.size()), random.below(2) == 0);
      return;
    case 3:
    case 4:
    case 5:
      host_.read_mail(engine, 1 + random.below(6), now_);
      return;
    case 6:
    case 7:
      host_.end_turn(engine);
      return;
    case 8:
      if (random.below(3) > 0 || (host_.disk_full() && host_.sealing_behind())) return;
      host_.rotate();
      return;
    case 9:
      host_.bring_due(now_);
      host_.on_time(engine, now_);
      if (random.below(4) == 0) host_.look_for_room();
      return;
    default:
      break;
  }
  // Power may fail in the middle of what the disk is needed for.
  if (!weather_.dooms || random.below(40) > 0) {
    physical_step(random);
    return;
  }
  const uint64_t doom = disk_.calls() + random.below(30);
  disk_.fail_from(doom, ports::IoError::kFailed);
  for (int n = 0; n < 6 && disk_.calls() <= doom; ++n) physical_step(random);
  const bool hit = disk_.calls() > doom;
  disk_.heal();
  if (hit) crash(random);
}

bool World::physical_step(Random& random) {
  switch (random.below(13)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return host_.commit(now_);
    case 11:
      return host_.trim(now_);
    case 4:
      return host_.prepare_generation();
    case 5:
    case 6:
      return host_.serve_job(random.next(), now_);
    case 7:
    case 8:
      return host_.seal();
    case 9:
      return host_.remove_sealed();
    case 10:
      return host_.tidy();
    default:
      return host_.commit(now_);
  }
}

void World::socket_step(Random& random) {
  const std::vector<uint64_t> all = host_.sockets().all();
  if (all.empty()) return;
  const uint64_t request = all[random.below(all.size())];
  if (random.below(6) == 0) {
    if (host_.sockets().stalled(request)) {
      host_.sockets().drain(request);
    } else {
      host_.sockets().stall(request);
    }
    return;
  }
  for (uint64_t n = random.below(4); n > 0 && host_.sockets().has(request); --n) {
    host_.sockets().deliver(request);
  }
  const auto thing = host_.sockets().take(request);
  if (!thing) return;
  if (thing->lagging) {
    host_.reader_lagging(request, *thing->lagging);
  } else {
    host_.reader_ready(request, now_);
  }
}

void World::fault_step(Random& random) {
  const uint64_t soon = disk_.calls() + random.below(40);
  switch (random.below(5)) {
    case 0:
      if (!weather_.io_faults) return;
      say("a call of the disk will fail");
      disk_.fail_call(soon,
                      random.below(3) == 0 ? ports::IoError::kNoSpace : ports::IoError::kFailed);
      return;
    case 1:
      if (!weather_.full_disks) return;
      say("the disk is nearly full");
      disk_.set_space(disk_.used_space() + random.below(3000));
      return;
    case 2:
      if (!weather_.sync_faults) return;
      say("the next sync will fail");
      disk_.fail_next_sync(static_cast<FaultyDisk::SyncFault>(random.below(3)));
      return;
    case 3:
      if (weather_.flips && !flip_) flip_a_bit(random);
      return;
    default:
      heal();
  }
}

// In a segment, or in what has been synced of the log. Damage to the log's newest frame cannot be
// told from one that power failure has torn: it is left alone.
void World::flip_a_bit(Random& random) {
  std::vector<std::pair<std::string, uint64_t>> files;
  for (const std::string& name : disk_.names()) {
    uint64_t bytes = disk_.contents(name).size();
    if (name.starts_with("log/")) {
      const uint64_t generation = std::strtoull(name.c_str() + 4, nullptr, 10);
      const LogPosition settled = host_.settled();
      if (generation == 0 || generation > settled.generation()) continue;
      if (generation == settled.generation()) bytes = settled.byte_offset();
    } else if (!name.starts_with("segments/")) {
      continue;
    }
    if (bytes > 0) files.emplace_back(name, bytes);
  }
  if (files.empty()) return;
  const auto& [file, bytes] = files[random.below(files.size())];
  // Generations are mostly empty.
  const uint64_t below = random.below(2) == 0 ? std::min<uint64_t>(bytes, 4000) : bytes;
  flip_ = Flip{file, random.below(below), static_cast<int>(random.below(8)),
               host_.archive().count(file) > 0};
  say("a bit flips in " + file + " at " + std::to_string(flip_->byte));
  disk_.flip_bit(flip_->file, flip_->byte, flip_->bit);
}

void World::flip_back() {
  if (!flip_) return;
  const std::vector<std::string> names = disk_.names();
  if (std::find(names.begin(), names.end(), flip_->file) != names.end()) {
    disk_.flip_bit(flip_->file, flip_->byte, flip_->bit);
  }
  const auto archived = host_.archive().find(flip_->file);
  if (!flip_->archived && archived != host_.archive().end()) {
    char& byte = archived->second.at(flip_->byte);
    byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << flip_->bit));
  }
  flip_.reset();
}

void World::heal() {
  disk_.heal();
  disk_.set_space(std::nullopt);
  flip_back();
}

}  // namespace ds::sim
