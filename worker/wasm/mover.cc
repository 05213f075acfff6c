#include "worker/wasm/mover.h"

#include <utility>
#include <vector>

#include "core/base/hash.h"
#include "core/segment/format.h"
#include "core/stream/op.h"

namespace ds::worker {

namespace {

constexpr std::string_view kObjectFact = "o";  // and the object's key
constexpr std::string_view kObjectLast = "p";  // behind all of them
constexpr size_t kLifeDigits = 16;

void append_hex(std::string& out, uint64_t value) {
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(value >> shift) & 15];
}

// <life>/<hash of the path, two halves>/<begin>
std::string object_key(std::string_view path, Incarnation stream, Position begin) {
  std::string key;
  append_hex(key, stream.value);
  key += '/';
  append_hex(key, path_hash(path));
  append_hex(key, siphash13(path, HashKey{0x6f626a, 0x6b6579}));
  key += '/';
  append_hex(key, begin.value);
  return key;
}

std::string life_text(Incarnation stream) {
  std::string text;
  append_hex(text, stream.value);
  return text;
}

}  // namespace

Part Mover::build(Incarnation stream, std::string& bytes) {
  Part moved;
  segment::Writer writer(bytes);
  bool intact = true;
  journal_.hot_parts([&](const Part& part) {
    if (moved.generation == 0) {
      moved.begin = part.begin;
      writer.begin_extent(stream, part.begin);
    }
    intact = journal_.read_generation(part.generation, [&](std::string_view record, LogPosition) {
      const std::optional<stream::Op> op = stream::decode_record(record);
      intact = op.has_value();
      if (!intact) return false;
      if (!op->payload.empty() && op->stream == stream) {
        writer.add_message(op->payload, static_cast<uint64_t>(op->time.us / 1000));
      }
      return true;
    }) && intact;
    moved.end = part.end;
    moved.generation = part.generation;
    moved.ops += part.ops;
    moved.newest_ms = part.newest_ms;
    return intact && writer.bytes() < options_.seal_bytes;
  });
  if (moved.generation == 0 || !intact) return Part{};
  writer.end_extent();
  moved.lists_offset = writer.bytes();
  const std::vector<segment::Extent> extents = writer.finish();
  const segment::Extent& extent = extents.front();
  moved.head_offset = extent.head_offset;
  moved.head_bytes = extent.head_bytes;
  return extent.end == moved.end ? moved : Part{};
}

void Mover::move(std::string_view path, Incarnation stream) {
  if (moving_ || options_.seal_bytes == 0) return;
  const uint64_t hot_bytes = journal_.hot_end() - journal_.hot_begin();
  if (hot_bytes < options_.seal_bytes && journal_.hot_ops() < options_.seal_ops) return;
  std::string bytes;
  Part moved = build(stream, bytes);
  if (moved.generation == 0) return;
  moved.object = object_key(path, stream, moved.begin);
  if (host_.put_fact(std::string(kObjectFact) + moved.object, {}) != Stored::kDone) return;
  moving_ = true;
  calls_.put_object(moved.object, bytes, [this, moved](ObjectOutcome outcome, std::string_view) {
    moving_ = false;
    if (outcome != ObjectOutcome::kDone) return;  // tried again at the next checkpoint
    // The stream may be gone by now, and what it had forgotten.
    if (journal_.hot_begin() != moved.begin || journal_.hot_end() < moved.end) return;
    journal_.put_moved(moved);
    owes_ = journal_.collect() || owes_;
  });
}

void Mover::remove(const std::string& object) {
  owes_ = true;
  calls_.delete_object(object, [this, object](ObjectOutcome outcome, std::string_view) {
    if (outcome == ObjectOutcome::kFailed) return;
    host_.erase_fact(std::string(kObjectFact) + object);
  });
}

void Mover::sweep(Incarnation stream) {
  owes_ = false;
  std::vector<std::string> needless;
  host_.read_facts(
      kObjectFact, kObjectLast, Host::Order::kAscending, [&](std::string_view key, auto) {
        if (!key.starts_with(kObjectFact)) return false;
        const std::string_view object = key.substr(kObjectFact.size());
        const bool kept =
            stream != Incarnation{} && object.substr(0, kLifeDigits) == life_text(stream);
        if (!kept) needless.emplace_back(object);
        return true;
      });
  for (const std::string& object : needless) remove(object);
}

}  // namespace ds::worker
