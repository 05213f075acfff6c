#include "tests/sim/relaxed_world.h"

#include <algorithm>
#include <cstdio>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/wire/errors.h"
#include "tests/sim/request_bytes.h"
#include "tests/sim/violation.h"

namespace ds::sim {

using fakes::FaultyDisk;
using tests::Random;

namespace {

constexpr Instant kEpoch{1767225600000000};
constexpr uint64_t kPaths = 4;
constexpr size_t kToldMax = 200;  // offsets that are asked for again after a start
constexpr int kTurnsMax = 20000;

Random random_of(uint64_t seed, uint64_t number) {
  Random mixed(seed * 0x9e3779b97f4a7c15 + number);
  return Random(mixed.next());
}

}  // namespace

RelaxedWorld::RelaxedWorld(uint64_t seed, bool verbose)
    : seed_(seed),
      verbose_(verbose),
      options_([seed] {
        Random random = random_of(seed, UINT64_MAX);
        HostOptions options;
        options.engines = static_cast<uint32_t>(1 + random.below(3));
        options.engine.has_catalog = true;
        options.engine.tail_cache_bytes = random.below(2) == 0 ? 300 : 1 << 20;
        options.engine.evict_after = random.below(2) == 0 ? Duration{} : seconds(5);
        options.frame_bytes_max = random.below(3) == 0 ? 400 : 16 << 20;
        options.durability = store::Durability::kRelaxed;
        options.sync_interval = milliseconds(static_cast<int64_t>(20 + random.below(400)));
        return options;
      }()),
      disk_(seed),
      host_(disk_, *this, options_),
      now_(kEpoch),
      began_(kEpoch) {
  sync_faults_ = random_of(seed, UINT64_MAX - 1).below(3) == 0;
  start();
}

void RelaxedWorld::say(const std::string& what) const {
  if (!verbose_) return;
  std::printf("  %10.6f %s\n", static_cast<double>((now_ - began_).us) / 1e6, what.c_str());
}

// --- What the log was given
// -----------------------------------------------------------------------

void RelaxedWorld::apply(Streams& streams, const Op& op) {
  if (op.failed) return;
  if (op.kind == Op::Kind::kCreate) streams[op.path] = Stream{op.id, "", false};
  const auto found = streams.find(op.path);
  if (found == streams.end() || found->second.id != op.id) return;
  if (op.kind == Op::Kind::kDelete) {
    streams.erase(found);
    return;
  }
  found->second.content += op.bytes;
  found->second.closed = found->second.closed || op.closes;
}

void RelaxedWorld::on_submitted(const Submitted& batch, std::string_view records) {
  while (!records.empty()) {
    const auto size = stream::peek_record_size(records);
    require(size && *size <= records.size(), "a batch does not consist of records");
    const auto record = stream::decode_record(records.substr(0, *size));
    require(record.has_value(), "a record that cannot be read");
    records.remove_prefix(*size);
    Op op;
    op.id = record->stream.value;
    op.bytes = record->payload;
    op.closes = record->closes;
    op.batch = batch;
    const auto failed = failed_epochs_.find(batch.engine);
    op.failed = failed != failed_epochs_.end() && batch.epoch <= failed->second;
    if (record->new_life) lives_[record->new_life->value] = op.id;
    if (record->type == stream::OpType::kCreate) {
      op.kind = Op::Kind::kCreate;
      paths_[op.id] = record->create->path;
      lives_[op.id] = op.id;
    }
    if (record->type == stream::OpType::kDelete) op.kind = Op::Kind::kDelete;
    op.path = paths_[op.id];
    say("op of type " + std::to_string(static_cast<int>(record->type)) + " at " + op.path + ", " +
        std::to_string(record->position.value) + " + " + std::to_string(op.bytes.size()));
    apply(streams_, op);
    ops_.push_back(std::move(op));
  }
}

void RelaxedWorld::on_failed(uint32_t engine, uint64_t batch) {
  say("a batch fails");
  const auto first = std::find_if(ops_.begin(), ops_.end(), [&](const Op& op) {
    return op.batch.engine == engine && op.batch.batch == batch;
  });
  require(first != ops_.end(), "a batch failed that was not submitted");
  failed_epochs_[engine] = first->batch.epoch;
  for (auto op = first; op != ops_.end(); ++op) {
    op->failed =
        op->failed || (op->batch.engine == engine && op->batch.epoch <= first->batch.epoch);
  }
  streams_ = base_;
  for (const Op& op : ops_) apply(streams_, op);
}

// --- Clients
// --------------------------------------------------------------------------------------

void RelaxedWorld::client_step(Random& random) {
  const uint64_t request = ++last_request_;
  RequestBytes bytes;
  Sent sent;
  sent.path = "p/" + std::to_string(random.below(kPaths));
  bytes.text.path = bytes.keep(sent.path);
  bytes.text.raw_path = bytes.keep("/v1/stream/" + sent.path);
  bytes.text.origin = "http://localhost";
  const uint64_t kind = random.below(20);
  bytes.set(wire::HeaderId::kContentType, "text/plain");
  if (kind < 4) {
    bytes.text.method = wire::Method::kPut;
  } else if (kind < 18) {
    bytes.text.method = wire::Method::kPost;
    sent.writes = true;
    sent.bytes = "<" + std::to_string(++last_tag_) + std::string(random.below(200), 'x') + ">";
    bytes.text.body = bytes.keep(sent.bytes);
    if (random.below(40) == 0) bytes.set(wire::HeaderId::kStreamClosed, "true");
  } else if (kind < 19) {
    bytes.text.method = wire::Method::kGet;
    bytes.text.query = "offset=-1";
  } else {
    bytes.text.method = wire::Method::kDelete;
  }
  say("request " + std::to_string(request) + ": " +
      (kind < 4    ? "PUT "
       : kind < 18 ? "POST "
       : kind < 19 ? "GET "
                   : "DELETE ") +
      sent.path + " " + std::to_string(sent.bytes.size()));
  open_[request] = sent;
  host_.send(request, bytes.text, now_, random.below(2) == 0);
}

void RelaxedWorld::on_answer(uint64_t request, const wire::Response& response) {
  answer_ = response;
  say("answer to " + std::to_string(request) + ": " + std::to_string(response.status) +
      (response.next_offset ? " " + offset_text(*response.next_offset) : ""));
  fingerprint_ = (fingerprint_ ^ request ^ response.status) * 0x100000001b3;
  const auto found = open_.find(request);
  if (found == open_.end()) return;
  const Sent sent = std::move(found->second);
  open_.erase(found);
  if (response.status >= 500) {
    require(sync_faults_, "a server error though nothing has failed");
    return;
  }
  if (!sent.writes || response.status >= 300) return;
  const Offset offset = response.next_offset.value();
  // It was submitted, or an answer would be early: somewhere it is in what the log was given.
  uint64_t place = ops_.size();
  while (place > 0 && (ops_[place - 1].failed || ops_[place - 1].bytes != sent.bytes)) --place;
  require(place > 0, "a write was answered that the log was not given");
  answered_.emplace_back(now_, place);
  Streams then = base_;
  for (uint64_t i = 0; i < place; ++i) apply(then, ops_[i]);
  const auto known = then.find(sent.path);
  require(known != then.end() && known->second.content.size() == offset.position.value,
          "a write was answered with another offset than its own");
  const auto key = std::pair(offset.life.value, offset.position.value);
  const auto value = std::pair(sent.path, known->second.content);
  const auto [entry, is_new] = told_.emplace(key, value);
  require(entry->second == value, "an offset was given out twice");
}

wire::Response RelaxedWorld::ask(wire::Method method, const std::string& path,
                                 const std::string& query) {
  RequestBytes bytes;
  bytes.text.method = method;
  bytes.text.path = bytes.keep(path);
  bytes.text.raw_path = bytes.keep("/v1/stream/" + path);
  bytes.text.origin = "http://localhost";
  bytes.text.query = bytes.keep(query);
  answer_.reset();
  host_.send(++last_request_, bytes.text, now_, false);
  settle();
  require(answer_.has_value(), "a request is not answered though nothing else is under way");
  return *answer_;
}

// --- Steps
// ----------------------------------------------------------------------------------------

void RelaxedWorld::step(uint32_t number) {
  Random random = random_of(seed_, number);
  now_ = now_ + Duration{static_cast<int64_t>(random.below(8000))};
  const uint64_t kind = random.below(1000);
  if (host_.writes_lost()) {
    say("answered writes are lost, and the process ends");
    return end_process(std::nullopt);
  }
  if (kind < 350) {
    client_step(random);
  } else if (kind < 950) {
    server_step(random);
  } else if (kind < 960) {
    if (sync_faults_) disk_.fail_next_sync(static_cast<FaultyDisk::SyncFault>(random.below(3)));
  } else if (kind < 975) {
    now_ = now_ + milliseconds(static_cast<int64_t>(random.below(1000)));
  } else if (kind < 995) {
    end_process(static_cast<FaultyDisk::Crash>(random.below(3)));
  } else {
    end_process(std::nullopt);
  }
}

void RelaxedWorld::server_step(Random& random) {
  const size_t engine = random.below(host_.engines());
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      host_.read_mail(engine, 1 + random.below(6), now_);
      return;
    case 3:
    case 4:
      host_.end_turn(engine);
      return;
    case 5:
      if (random.below(4) == 0) host_.rotate();
      return;
    case 6:
      host_.prepare_generation();
      return;
    case 7:
      host_.serve_job(random.next(), now_);
      return;
    case 8:
      host_.seal();
      host_.remove_sealed();
      return;
    case 9:
      host_.tidy();
      host_.on_time(engine, now_);
      return;
    default:
      return commit();
  }
}

// What was answered a sync interval ago is on the medium by now.
void RelaxedWorld::commit() {
  host_.commit(now_);
  if (!host_.log_healthy() || host_.writes_lost()) return;
  for (const auto& [when, place] : answered_) {
    if (when + options_.sync_interval < now_) safe_ = std::max(safe_, place);
  }
}

// --- A process's life
// -----------------------------------------------------------------------------

void RelaxedWorld::start() {
  ++starts_;
  const std::string problem = host_.start(now_, seed_ * 64 + starts_);
  require(problem.empty(), "the server cannot start: " + problem);
}

// Killed, or in order.
void RelaxedWorld::end_process(std::optional<FaultyDisk::Crash> how) {
  // Everything that an orderly end commits is there afterwards.
  bool all = false;
  if (how) {
    ++crashes_;
    constexpr const char* kNames[] = {"forgets", "tears", "keeps"};
    say(std::string("crash: the disk ") + kNames[static_cast<size_t>(*how)] + " what is unsynced");
    host_.kill(*how);
  } else {
    all = host_.log_healthy() && !host_.writes_lost();
    if (all) settle();
    all = all && host_.log_healthy() && !host_.writes_lost();
    all = host_.stop() && all;
  }
  disk_.heal();
  open_.clear();
  failed_epochs_.clear();
  now_ = now_ + milliseconds(1);
  start();
  find_prefix(all);
  check_old_offsets();
}

void RelaxedWorld::settle() {
  for (int turns = 0;; ++turns) {
    require(turns < kTurnsMax, "the server keeps itself busy for ever");
    bool more = false;
    for (size_t i = 0; i < host_.engines(); ++i) {
      more = host_.read_mail(i, SIZE_MAX, now_) || more;
      more = host_.end_turn(i) || more;
    }
    more = host_.commit(now_) || more;
    while (host_.serve_job(0, now_)) more = true;
    for (size_t i = 0; i < host_.engines(); ++i) more = more || host_.mail(i) > 0;
    if (!host_.log_healthy() && !host_.writes_lost()) {
      now_ = now_ + milliseconds(250);
      more = true;
    }
    if (!more) return;
  }
}

// All that there is, as readers see it.
RelaxedWorld::Streams RelaxedWorld::look() {
  Streams seen;
  for (uint64_t i = 0; i < kPaths; ++i) {
    const std::string path = "p/" + std::to_string(i);
    const wire::Response read = ask(wire::Method::kGet, path, "offset=-1");
    if (read.status == 404) continue;
    require(read.status == 200, "a catch-up read is refused");
    Stream stream;
    stream.id = lives_.at(read.next_offset.value().life.value);
    for (const Slice& part : read.body) stream.content += part.bytes;
    stream.closed = read.closed;
    seen.emplace(path, std::move(stream));
  }
  return seen;
}

// What is there is what the log's first ops come to: those that are safe, and perhaps more.
void RelaxedWorld::find_prefix(bool all) {
  // Looking begins new lives, which are ops too.
  const std::vector<Op> ops = std::exchange(ops_, {});
  answered_.clear();
  const Streams seen = look();
  Streams streams = base_;
  std::optional<uint64_t> found;
  std::optional<Streams> left;
  for (uint64_t i = 0; i <= ops.size(); ++i) {
    if (i > 0) apply(streams, ops[i - 1]);
    if (i < (all ? ops.size() : safe_) || streams != seen) continue;
    found = i;
    left = streams;
  }
  if (!found) {
    for (const auto& [path, stream] : seen) {
      say(path + " holds " + stream.content + (stream.closed ? " and is closed" : ""));
    }
    throw Violation("what is left is not what the first " + std::to_string(safe_) + " to " +
                    std::to_string(ops.size()) + " ops of the log come to");
  }
  lost_ += ops.size() - *found;
  base_ = streams_ = std::move(*left);
  ops_.clear();
  safe_ = 0;
}

// Whoever holds an offset from before goes on with what comes after the bytes that he has seen, or
// is told that they are gone.
void RelaxedWorld::check_old_offsets() {
  size_t asked = 0;
  for (auto one = told_.rbegin(); one != told_.rend() && asked < kToldMax; ++one, ++asked) {
    const Offset offset{Incarnation{one->first.first}, Position{one->first.second}};
    const auto& [path, before] = one->second;
    const wire::Response read = ask(wire::Method::kGet, path, "offset=" + offset_text(offset));
    const auto now = streams_.find(path);
    if (read.status != 200) {
      require(read.status == 404 || read.error == wire::ErrorCode::kOffsetGone,
              "an old offset is refused with another error");
      require(read.status == 410 || now == streams_.end(), path + " is not there");
      const bool is_there = now != streams_.end() && now->second.id == offset.life.value &&
                            now->second.content.starts_with(before);
      require(!is_there, offset_text(offset) + " is refused, and nothing of it is lost");
      continue;
    }
    std::string bytes;
    for (const Slice& part : read.body) bytes += part.bytes;
    require(now != streams_.end() && now->second.content == before + bytes,
            "a reader goes on at " + offset_text(offset) + " and misses what is lost");
  }
  ops_.clear();
}

void RelaxedWorld::finish() {
  disk_.heal();
  end_process(std::nullopt);
  end_process(FaultyDisk::Crash::kForget);
}

}  // namespace ds::sim
