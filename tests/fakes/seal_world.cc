#include "tests/fakes/seal_world.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "core/base/assert.h"
#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/snapshot.h"

namespace ds::fakes {

using stream::Op;
using stream::OpType;
using stream::StreamState;

// --- The model -------------------------------------------------------------------------------

bool StreamModel::apply(std::string_view record, LogPosition at) {
  const std::optional<Op> op = stream::decode_record(record);
  if (!op) return false;
  if (op->type == OpType::kCreate) {
    if (states.count(op->stream) != 0) return false;
    for (const auto& [id, state] : states) {
      if (state.path == op->create->path) return false;
    }
    states.emplace(op->stream, stream::new_state(*op, stream::MessageIndex()));
  }
  const auto found = states.find(op->stream);
  if (found == states.end() || !stream::apply(found->second, *op, at)) return false;
  if (!op->payload.empty()) {
    own[op->stream].push_back({op->position, op->end(), static_cast<uint64_t>(op->time.us / 1000),
                               std::string(op->payload)});
  }
  if (found->second.gone) {
    states.erase(found);
    own.erase(op->stream);
  }
  return true;
}

std::vector<StreamModel::Message> StreamModel::messages_until(Incarnation id, Position end) const {
  std::vector<Message> all;
  const StreamState& state = states.at(id);
  if (state.config.fork) {
    all = messages_until(state.config.fork->source, std::min(end, state.config.fork->position));
  }
  const auto found = own.find(id);
  if (found == own.end()) return all;
  for (const Message& message : found->second) {
    if (message.begin >= end) break;
    all.push_back(message);
    if (message.end > end) {
      all.back().end = end;
      all.back().bytes.resize(end - message.begin);
    }
  }
  return all;
}

std::vector<StreamModel::Message> StreamModel::messages(Incarnation id) const {
  return messages_until(id, states.at(id).writer.tail);
}

std::vector<segment::SealedPiece> StreamModel::pieces(Incarnation id, Position from) const {
  std::vector<segment::SealedPiece> all;
  Position to = states.at(id).writer.tail;
  while (true) {
    const StreamState& state = states.at(id);
    const Position begin = state.config.fork ? state.config.fork->position : Position{0};
    if (std::max(begin, from) < to) all.insert(all.begin(), {id, std::max(begin, from), to});
    if (!state.config.fork) return all;
    to = std::min(to, begin);
    id = state.config.fork->source;
  }
}

// --- Writing ---------------------------------------------------------------------------------

SealWorld::SealWorld(ports::Directory& root, const std::string& catalog_path, uint64_t seed)
    : random(seed), catalog_path_(catalog_path) {
  log_directory_ = std::move(root.subdirectory("log")).value();
  segments_directory_ = std::move(root.subdirectory("segments")).value();
  store::OpLogOptions log_options;
  log_options.generation_bytes = store::kGenerationBytesMin;
  log_options.salt_seed = seed + 1;
  store::OpLog::Recovery recovery;
  auto opened = store::OpLog::open(
      *log_directory_, log_options, [](std::string_view, LogPosition) { return true; }, &recovery);
  log_ = std::move(opened).value();
  // Small, so that a generation needs several passes, several changes of the catalog in each, and
  // has streams with segments of their own.
  options.single_stream_bytes = 12 << 10;
  options.pass_bytes = 20 << 10;
  options.change_bytes = 1000;
}

Op SealWorld::op_for(Incarnation id, OpType type) {
  now_.us += static_cast<int64_t>(below(5000));
  const StreamState& state = written.states.at(id);
  Op op;
  op.type = type;
  op.stream = id;
  op.path_hash = state.path_hash;
  op.position = state.writer.tail;
  op.time = now_;
  return op;
}

void SealWorld::add(const Op& op) {
  std::string record;
  stream::append_record(record, op);
  const bool follows = written.apply(record, LogPosition{});
  DS_ASSERT(follows);
  frame_.push_back(std::move(record));
}

Incarnation SealWorld::create(const std::string& path, std::string_view first_message) {
  Op op;
  op.type = OpType::kCreate;
  op.stream = next_life();
  op.path_hash = op.stream.value * 31;
  op.time = now_;
  op.payload = first_message;
  op.create.emplace();
  op.create->path = path;
  op.create->content_type = "text/plain";
  op.create->lives = {{Position{0}, op.stream, false}};
  add(op);
  return op.stream;
}

Incarnation SealWorld::create_with_ttl(const std::string& path, uint64_t seconds) {
  Op op;
  op.type = OpType::kCreate;
  op.stream = next_life();
  op.time = now_;
  op.create.emplace();
  op.create->path = path;
  op.create->content_type = "text/plain";
  op.create->ttl_seconds = seconds;
  op.create->lives = {{Position{0}, op.stream, false}};
  add(op);
  return op.stream;
}

Incarnation SealWorld::pin(Incarnation source, Position at) {
  Op op = op_for(source, OpType::kPin);
  const Incarnation fork = next_life();
  op.pin = Op::Pin{fork, 7, at};
  add(op);
  waiting_pins_[fork] = {source, written.states.at(source).earliest};
  return fork;
}

void SealWorld::pin_again(Incarnation source, Incarnation fork) {
  Op op = op_for(source, OpType::kPin);
  op.pin = Op::Pin{fork, 7, written.states.at(source).pins.at(fork).position};
  add(op);
}

void SealWorld::create_fork(Incarnation source, Incarnation fork, const std::string& path,
                            Position at) {
  const StreamState& from = written.states.at(source);
  Op op;
  op.earliest = waiting_pins_.at(fork).earliest;
  waiting_pins_.erase(fork);
  op.type = OpType::kCreate;
  op.stream = fork;
  op.position = at;
  op.time = now_;
  op.create.emplace();
  op.create->path = path;
  op.create->content_type = "text/plain";
  op.create->fork.emplace();
  op.create->fork->source = source;
  op.create->fork->source_path = from.path;
  op.create->fork->anchor = at;
  op.create->fork->position = at;
  op.create->lives = stream::lives_until(from.lives, at);
  op.create->lives.push_back({at, fork, false});
  add(op);
}

Incarnation SealWorld::fork(Incarnation source, const std::string& path, Position at) {
  const Incarnation id = pin(source, at);
  create_fork(source, id, path, at);
  return id;
}

void SealWorld::unpin(Incarnation source, Incarnation fork) {
  waiting_pins_.erase(fork);
  Op op = op_for(source, OpType::kUnpin);
  op.pin = Op::Pin{fork, 0, Position{0}};
  const std::optional<stream::ForkOrigin> origin = written.states.at(source).config.fork;
  add(op);
  // What was only there for this fork is gone, and lets go of what it was forked from.
  if (written.states.count(source) == 0 && origin) unpin(origin->source, source);
}

void SealWorld::append(Incarnation id, std::string_view message) {
  Op op = op_for(id, OpType::kAppend);
  op.payload = message;
  add(op);
}

void SealWorld::close(Incarnation id) {
  Op op = op_for(id, OpType::kClose);
  op.closes = true;
  add(op);
}

void SealWorld::remove(Incarnation id) {
  const std::optional<stream::ForkOrigin> origin = written.states.at(id).config.fork;
  add(op_for(id, below(2) == 0 ? OpType::kDelete : OpType::kExpire));
  if (written.states.count(id) == 0 && origin) unpin(origin->source, id);
}

void SealWorld::touch(Incarnation id) { add(op_for(id, OpType::kTouch)); }

void SealWorld::trim(Incarnation id, Position earliest) {
  Op op = op_for(id, OpType::kTrim);
  op.earliest = earliest;
  add(op);
}

void SealWorld::new_life(Incarnation id) {
  Op op = op_for(id, OpType::kNewLife);
  op.new_life = next_life();
  add(op);
}

void SealWorld::commit() {
  if (frame_.empty()) return;
  std::vector<std::string_view> batches(frame_.begin(), frame_.end());
  std::vector<LogPosition> begins(batches.size());
  const ports::IoStatus appended = log_->append(batches, false, begins);
  DS_ASSERT(appended.ok());
  const ports::IoStatus synced = log_->sync();
  DS_ASSERT(synced.ok());
  for (size_t i = 0; i < frame_.size(); ++i) {
    entries_.push_back({std::move(frame_[i]), begins[i]});
  }
  frame_.clear();
}

std::string SealWorld::text(uint64_t bytes) {
  std::string made;
  while (made.size() < bytes) {
    made.push_back(static_cast<char>('a' + below(26)));
  }
  return made;
}

std::optional<Incarnation> SealWorld::random_stream(bool writable) {
  std::vector<Incarnation> candidates;
  for (const auto& [id, state] : written.states) {
    if (state.soft_deleted || (writable && state.writer.closed)) continue;
    candidates.push_back(id);
  }
  if (candidates.empty()) return std::nullopt;
  // Half of the time one of the first few, so that some streams grow.
  const size_t range = below(2) == 0 ? std::min<size_t>(3, candidates.size()) : candidates.size();
  return candidates[below(range)];
}

void SealWorld::churn(int ops) {
  for (int i = 0; i < ops; ++i) {
    const std::string path = "/s/" + std::to_string(below(60));
    const bool taken =
        std::any_of(written.states.begin(), written.states.end(),
                    [&path](const auto& entry) { return entry.second.path == path; });
    const uint64_t kind = below(100);
    const auto any = random_stream(false);
    if (kind < 10 || !any) {
      if (!taken) create(path, below(2) == 0 ? text(1 + below(200)) : "");
    } else if (kind < 80) {
      const auto id = random_stream(true);
      if (id) append(*id, text(below(20) == 0 ? 1 + below(3000) : 1 + below(200)));
    } else if (kind < 82) {
      const auto id = random_stream(true);
      if (id) close(*id);
    } else if (kind < 86) {
      remove(*any);
    } else if (kind < 91) {
      const StreamState& state = written.states.at(*any);
      const uint64_t room = state.writer.tail - state.earliest;
      if (!taken) fork(*any, path, state.earliest + below(room + 1));
    } else if (kind < 93) {
      const StreamState& state = written.states.at(*any);
      pin(*any, state.earliest + below(state.writer.tail - state.earliest + 1));
    } else if (kind < 95) {
      if (!waiting_pins_.empty()) {
        const Incarnation id = waiting_pins_.begin()->first;
        const Incarnation source = waiting_pins_.begin()->second.source;
        const stream::Pin made = written.states.at(source).pins.at(id);
        if (below(2) == 0 || taken) {
          unpin(source, id);
        } else {
          create_fork(source, id, path, made.position);
        }
      }
    } else if (kind < 97) {
      touch(*any);
    } else if (kind < 99) {
      const StreamState& state = written.states.at(*any);
      trim(*any, state.earliest + below(state.writer.tail - state.earliest + 1));
    } else {
      new_life(*any);
    }
    if (below(4) == 0) commit();
  }
  commit();
}

void SealWorld::fill_generation() {
  commit();
  if (written.states.empty()) create("/filler");
  const uint32_t generation = last_generation();
  while (last_generation() == generation) {
    const auto id = random_stream(true);
    if (id) {
      append(*id, text(500));
    } else {
      create("/filler/" + std::to_string(last_life_));
    }
    commit();
  }
}

// --- Sealing ---------------------------------------------------------------------------------

void SealWorld::open_sealer() {
  sealer.reset();
  files.reset();
  catalog.reset();
  auto opened = store::Catalog::open(catalog_path_, store::Catalog::Mode::kReadWrite);
  catalog = std::move(opened).value();
  files = std::make_unique<store::SegmentFiles>(*segments_directory_);
  sealer = std::make_unique<store::Sealer>(*log_directory_, *segments_directory_, *catalog, *files,
                                           options);
}

void SealWorld::reopen(ports::Directory& root) {
  log_.reset();
  sealer.reset();
  files.reset();
  log_directory_ = std::move(root.subdirectory("log")).value();
  segments_directory_ = std::move(root.subdirectory("segments")).value();
  open_sealer();
}

void SealWorld::follow_seal() {
  ++sealed_through_;
  while (followed_ < entries_.size() && entries_[followed_].at.generation() <= sealed_through_) {
    const bool follows = sealed.apply(entries_[followed_].record, entries_[followed_].at);
    DS_ASSERT(follows);
    ++followed_;
  }
}

std::string SealWorld::seal_next() {
  const auto done = sealer->seal(sealed_through_ + 1);
  if (!done.ok()) return done.error().message;
  follow_seal();
  for (const store::SealedStream& each : *done) {
    const auto found = sealed.states.find(each.id);
    if (found == sealed.states.end()) return "a stream was touched that is not there";
    if (found->second.path_hash != each.path_hash) return "a stream has another hash";
  }
  return "";
}

std::string SealWorld::seal_all() {
  while (sealed_through_ + 1 < last_generation()) {
    const std::string wrong = seal_next();
    if (!wrong.empty()) return wrong;
  }
  return "";
}

// --- Looking ---------------------------------------------------------------------------------

std::string SealWorld::compare() {
  std::ostringstream wrong;
  const store::CatalogState state = *catalog->state();
  if (state.sealed_through != sealed_through_) wrong << "sealed through another generation; ";
  if (*catalog->stream_count() != sealed.states.size()) {
    wrong << *catalog->stream_count() << " streams, not " << sealed.states.size() << "; ";
  }
  uint64_t live_bytes = 0;
  std::map<Incarnation, Incarnation> open_pins;  // fork -> source
  for (const auto& [id, expected] : sealed.states) {
    const auto found = *catalog->find(id);
    if (!found) {
      wrong << "stream " << id.value << " is missing; ";
      continue;
    }
    std::string snapshot;
    stream::append_snapshot(snapshot, expected);
    if (found->snapshot != snapshot) wrong << "snapshot of " << id.value << "; ";
    if (found->path != expected.path) wrong << "path of " << id.value << "; ";
    if (found->pinned == expected.pins.empty()) wrong << "pinned of " << id.value << "; ";
    Position end{0};
    for (const store::CatalogExtent& each : extents(id)) {
      live_bytes += each.extent.end - each.extent.begin;
      if (each.extent.begin < end) wrong << "extents of " << id.value << " overlap; ";
      end = each.extent.end;
      if (!stream::needs(expected, each.extent.begin, each.extent.end)) {
        wrong << "an extent of " << id.value << " that nobody needs; ";
      }
    }
    for (const auto& [fork, pin] : expected.pins) {
      if (sealed.states.count(fork) == 0) open_pins[fork] = id;
    }
    if (!expected.soft_deleted) wrong << compare_reads(id);
  }
  for (const auto& [source, fork] : this->open_pins()) {
    if (open_pins.count(fork) == 0 || open_pins[fork] != source) {
      wrong << "pin of " << fork.value << " is not open; ";
    }
    open_pins.erase(fork);
  }
  for (const auto& [fork, source] : open_pins) wrong << "pin of " << fork.value << " is open; ";
  for (const store::CatalogSegment& segment : segments()) {
    live_bytes -= segment.live_bytes;
    if (segment.live_bytes == 0) wrong << "segment " << segment.id << " is empty; ";
    if (segment.id >= state.next_segment) wrong << "segment " << segment.id << " is too new; ";
  }
  if (live_bytes != 0) wrong << "live bytes do not add up; ";
  return wrong.str();
}

std::string SealWorld::compare_reads(Incarnation id) {
  const std::vector<StreamModel::Message> messages = sealed.messages(id);
  const StreamState& state = sealed.states.at(id);
  if (messages.empty() || state.earliest == state.writer.tail) return "";
  const uint64_t room = state.writer.tail - state.earliest;
  for (int i = 0; i < 3; ++i) {
    const Position from = i == 0 ? state.earliest : state.earliest + below(room);
    segment::SealedRead read;
    read.pieces = sealed.pieces(id, from);
    read.max_chunk_bytes = i == 0 ? uint64_t{1} << 40 : 1 + below(20000);
    const auto first = std::find_if(messages.begin(), messages.end(),
                                    [from](const StreamModel::Message& m) { return m.end > from; });
    Position boundary = segment::chunk_boundary(first->begin, read.max_chunk_bytes);
    if (i == 2) boundary = read.boundary = Position{from.value + 1 + below(3000)};
    segment::SealedChunk expected;
    std::string bytes;
    expected.begin = first->begin;
    for (auto message = first; message != messages.end(); ++message) {
      bytes += message->bytes;
      expected.end = message->end;
      expected.ends.push_back(message->end);
      expected.newest_ms = message->time_ms;
      if (message->end >= boundary) break;
    }
    std::string problem;
    const auto got = store::read_sealed(*catalog, *files, read, &problem);
    const std::string which =
        "read of " + std::to_string(id.value) + " from " + std::to_string(from.value) + ": ";
    if (!got.ok()) return which + problem + "; ";
    if (got->begin != expected.begin || got->end != expected.end || got->ends != expected.ends ||
        got->newest_ms != expected.newest_ms || *got->bytes != bytes) {
      return which + "differs; ";
    }
  }
  return "";
}

std::string SealWorld::dump() {
  std::ostringstream all;
  const store::CatalogState state = *catalog->state();
  all << state.sealed_through << " " << state.highest_life.value << " " << state.next_segment
      << "\n";
  for (const store::CatalogSegment& segment : segments()) {
    all << "segment " << segment.id << " " << segment.level << " " << segment.live_bytes << "\n";
  }
  const auto streams = catalog->list("", "", SIZE_MAX / 2);
  for (const store::CatalogStream& stream : *streams) {
    all << stream.id.value << " " << stream.path << " " << stream.due.us << " " << stream.pinned
        << " " << stream.snapshot << "\n";
    for (const store::CatalogExtent& each : extents(stream.id)) {
      all << "  [" << each.extent.begin.value << ", " << each.extent.end.value << ") in "
          << each.segment << " at " << each.extent.head_offset << "\n";
    }
  }
  for (const auto& [source, fork] : this->open_pins()) {
    all << "pin " << source.value << " " << fork.value << "\n";
  }
  return all.str();
}

}  // namespace ds::fakes
