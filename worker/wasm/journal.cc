#include "worker/wasm/journal.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/snapshot.h"
#include "worker/wasm/record_scanner.h"

namespace ds::worker {

namespace {

// Keys of facts. Parts are "p" and the 16 hexadecimal digits of their beginning.
constexpr std::string_view kBaseFirst =
    "b00";  // the checkpoint; what does not fit goes on in "b01"
constexpr std::string_view kBaseLast = "b99";
constexpr std::string_view kHeat = "h";
constexpr std::string_view kPartFirst = "p";
constexpr std::string_view kPartLast = "pg";  // behind every hexadecimal digit

constexpr size_t kFactBytesMax = 1900000;  // of 2 MB that a row may have
constexpr uint32_t kDroppedAtOnce = 5000;

std::string part_key(Position begin) {
  std::string key(kPartFirst);
  for (int shift = 60; shift >= 0; shift -= 4) {
    key.push_back("0123456789abcdef"[(begin.value >> shift) & 15]);
  }
  return key;
}

std::string base_key(uint32_t row) {
  std::string key(kBaseFirst);
  key[1] = static_cast<char>('0' + row / 10);
  key[2] = static_cast<char>('0' + row % 10);
  return key;
}

std::optional<Position> begin_of(std::string_view key) {
  if (key.size() != 17) return std::nullopt;
  uint64_t value = 0;
  for (const char c : key.substr(1)) {
    value = value << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return Position{value};
}

std::optional<Part> decode_part(std::string_view key, std::string_view value) {
  const std::optional<Position> begin = begin_of(key);
  if (!begin) return std::nullopt;
  ByteReader in(value);
  Part part;
  part.begin = *begin;
  part.end = Position{in.take<uint64_t>()};
  part.generation = in.take<uint32_t>();
  part.ops = in.take<uint32_t>();
  part.newest_ms = in.take<uint64_t>();
  if (!in.at_end()) {
    part.object = in.take_string();
    part.lists_offset = in.take<uint64_t>();
    part.head_offset = in.take<uint64_t>();
    part.head_bytes = in.take<uint32_t>();
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return part;
}

}  // namespace

// --- Waking -------------------------------------------------------------------------------------

bool Journal::open() {
  std::string base;
  snapshot_rows_ = 0;
  host_.read_facts(kBaseFirst, kBaseLast, Host::Order::kAscending,
                   [&](auto, std::string_view value) {
                     ++snapshot_rows_;
                     base.append(value);
                     return true;
                   });
  if (!base.empty()) {
    if (base.size() < 4 || crc32c(std::string_view(base).substr(4)) != get_at<uint32_t>(base, 0)) {
      return false;
    }
    ByteReader in(std::string_view(base).substr(4));
    highest_life_ = Incarnation{in.take<uint64_t>()};
    closed_through_ = in.take<uint32_t>();
    closed_ops_ = in.take<uint64_t>();
    open_begin_ = Position{in.take<uint64_t>()};
    snapshot_ = in.take_bytes(in.left());
    if (in.failed()) return false;
  }
  floor_ = closed_through_ + 1;
  hot_begin_ = open_begin_;
  cold_ops_ = closed_ops_;
  bool intact = true;
  host_.read_facts(kHeat, kHeat, Host::Order::kAscending, [&](auto, std::string_view value) {
    ByteReader in(value);
    floor_ = in.take<uint32_t>();
    hot_begin_ = Position{in.take<uint64_t>()};
    cold_ops_ = in.take<uint64_t>();
    heat_stored_ = true;
    intact = !in.failed();
    return false;
  });
  next_ = log_position(open_generation(), 0);
  return intact;
}

bool Journal::replay(const RecordSink& record) {
  RecordScanner scanner;
  bool intact = true;
  const LogPosition from = log_position(open_generation(), 0);
  host_.read_rows(from, LogPosition{uint64_t{1} << 53},
                  [&](LogPosition at, std::string_view bytes) {
                    intact = scanner.feed(at, bytes, [&](std::string_view one, LogPosition where) {
                      ++open_ops_;
                      intact = record(one, where);
                      return intact;
                    }) && intact;
                    open_bytes_ += bytes.size();
                    return intact;
                  });
  if (open_bytes_ > 0) next_ = scanner.end();
  return intact && !scanner.inside_record();
}

// --- Writing ------------------------------------------------------------------------------------

Journal::Appended Journal::append(std::string_view records, uint32_t ops) {
  Appended result;
  result.at = next_;
  result.stored = host_.append_rows(next_, records);
  if (result.stored != Stored::kDone) return result;
  next_ = LogPosition{next_.value + records.size()};
  open_ops_ += ops;
  open_bytes_ += records.size();
  return result;
}

void Journal::put_base() {
  std::string base;
  put(base, uint32_t{0});
  put(base, highest_life_.value);
  put(base, closed_through_);
  put(base, closed_ops_);
  put(base, open_begin_.value);
  base.append(snapshot_);
  put_at(base, 0, crc32c(std::string_view(base).substr(4)));
  uint32_t rows = 0;
  for (size_t at = 0; at < base.size(); at += kFactBytesMax) {
    store_fact(host_, base_key(rows++), std::string_view(base).substr(at, kFactBytesMax));
  }
  for (uint32_t old = rows; old < snapshot_rows_; ++old) host_.erase_fact(base_key(old));
  snapshot_rows_ = rows;
}

void Journal::put_heat() {
  std::string heat;
  put(heat, floor_);
  put(heat, hot_begin_.value);
  put(heat, cold_ops_);
  store_fact(host_, kHeat, heat);
  heat_stored_ = true;
}

void Journal::put_part(const Part& part) {
  std::string value;
  put(value, part.end.value);
  put(value, part.generation);
  put(value, part.ops);
  put(value, part.newest_ms);
  if (!part.object.empty()) {
    put_string(value, part.object);
    put(value, part.lists_offset);
    put(value, part.head_offset);
    put(value, part.head_bytes);
  }
  store_fact(host_, part_key(part.begin), value);
}

void Journal::close_generation(const stream::StreamState& state, Incarnation highest_life) {
  const uint32_t generation = open_generation();
  const Position end = state.writer.tail;
  if (end > open_begin_) {
    Part part;
    part.begin = open_begin_;
    part.end = end;
    part.generation = generation;
    part.ops = open_ops_;
    part.newest_ms = state.newest_ms;
    put_part(part);
  }
  closed_through_ = generation;
  closed_ops_ += open_ops_;
  highest_life_ = highest_life;
  open_begin_ = end;
  snapshot_.clear();
  stream::append_snapshot(snapshot_, state);
  put_base();
  release_snapshot();
  if (!heat_stored_) put_heat();
  open_ops_ = 0;
  open_bytes_ = 0;
  next_ = log_position(open_generation(), 0);
}

void Journal::replace_stream(Position at) {
  drop_parts([](const Part&) { return true; });
  floor_ = open_generation();
  cold_ops_ = closed_ops_;
  begin_stream(at);
}

void Journal::clear(Incarnation highest_life) {
  drop_parts([](const Part&) { return true; });
  closed_through_ = open_generation();
  highest_life_ = highest_life;
  closed_ops_ = cold_ops_ = 0;
  floor_ = open_generation();
  hot_begin_ = open_begin_ = Position{};
  open_ops_ = 0;
  open_bytes_ = 0;
  next_ = log_position(open_generation(), 0);
  snapshot_.clear();
  put_base();
  put_heat();
  collect();
}

void Journal::put_highest_life(Incarnation life) {
  if (life <= highest_life_) return;
  // Of what has no checkpoint to be kept in yet.
  highest_life_ = life;
  if (snapshot_rows_ == 0 || closed_ops_ == 0) put_base();
}

bool Journal::collect() {
  return host_.drop_rows(log_position(floor_, 0), kDroppedAtOnce) == kDroppedAtOnce;
}

// --- Reading back -------------------------------------------------------------------------------

std::optional<Part> Journal::part_around(Position at) {
  std::optional<Part> found;
  if (at >= open_begin_) return found;
  host_.read_facts(kPartFirst, part_key(at), Host::Order::kDescending,
                   [&](std::string_view key, std::string_view value) {
                     found = decode_part(key, value);
                     return false;
                   });
  if (found && found->end <= at) found.reset();
  return found;
}

bool Journal::read_generation(uint32_t generation, const RecordSink& record) {
  RecordScanner scanner;
  bool intact = true;
  host_.read_rows(log_position(generation, 0), log_position(generation + 1, 0),
                  [&](LogPosition at, std::string_view bytes) {
                    bool more = true;
                    intact = scanner.feed(at, bytes, [&](std::string_view one, LogPosition where) {
                      more = record(one, where);
                      return more;
                    });
                    return intact && more;
                  });
  return intact;
}

// --- Moving history -----------------------------------------------------------------------------

void Journal::parts_from(Position begin, const PartSink& sink) {
  host_.read_facts(part_key(begin), kPartLast, Host::Order::kAscending,
                   [&](std::string_view key, std::string_view value) {
                     const std::optional<Part> part = decode_part(key, value);
                     return part && sink(*part);
                   });
}

void Journal::parts(const PartSink& sink) { parts_from(Position{}, sink); }
void Journal::hot_parts(const PartSink& sink) { parts_from(hot_begin_, sink); }

void Journal::put_moved(const Part& moved) {
  std::vector<Part> old;
  hot_parts([&](const Part& part) {
    if (part.begin >= moved.end) return false;
    old.push_back(part);
    return true;
  });
  for (const Part& part : old) {
    if (part.begin != moved.begin) host_.erase_fact(part_key(part.begin));
    cold_ops_ += part.ops;
  }
  put_part(moved);
  hot_begin_ = moved.end;
  floor_ = std::max(floor_, moved.generation + 1);
  put_heat();
}

Position Journal::drop_parts(const PartSink& needless) {
  std::vector<Part> old;
  parts([&](const Part& part) {
    if (!needless(part)) return false;
    old.push_back(part);
    return true;
  });
  if (old.empty()) return Position{};
  for (const Part& part : old) {
    host_.erase_fact(part_key(part.begin));
    if (part.object.empty()) cold_ops_ += part.ops;
  }
  hot_begin_ = std::max(hot_begin_, old.back().end);
  floor_ = std::max(floor_, old.back().generation + 1);
  put_heat();
  return old.back().end;
}

}  // namespace ds::worker
