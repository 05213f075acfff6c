// Snapshots, their checksums made right: whatever they hold is refused, or decoded to a state that
// can be written again, once and for all the same. Ops of any kind then fit that state and are
// applied, or do not and change nothing.
//
// Input: a byte that says where the snapshot ends, the snapshot without its checksum, records.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"
#include "core/stream/snapshot.h"

namespace {

using namespace ds;
using namespace ds::stream;

std::string snapshot_of(const StreamState& state) {
  std::string bytes;
  append_snapshot(bytes, state);
  return bytes;
}

void check_round_trip(const StreamState& state) {
  const std::string bytes = snapshot_of(state);
  const auto again = decode_snapshot(bytes);
  DS_ASSERT(again.has_value());
  DS_ASSERT(snapshot_of(*again) == bytes);
}

// One of the records behind the snapshot: its first byte says how long it is.
std::string next_record(ByteReader& in, const StreamState& state) {
  const uint64_t extras = in.take<uint8_t>();
  const uint64_t size = kRecordHeaderBytes + extras;
  std::string record(in.take_bytes(std::min<uint64_t>(size, in.left())));
  if (record.size() < kRecordHeaderBytes) return {};
  // Of this stream and at its tail, or else nothing would ever fit.
  put_at(record, layout::kSize, static_cast<uint32_t>(record.size()));
  put_at(record, layout::kStream, state.id.value);
  put_at(record, layout::kPathHash, state.path_hash);
  put_at(record, layout::kPosition, state.writer.tail.value);
  put_at(record, layout::kCrc, crc32c(std::string_view(record).substr(layout::kSize)));
  return record;
}

void check_ops(StreamState& state, ByteReader& in) {
  uint64_t place = 1;
  while (!in.at_end()) {
    const std::string record = next_record(in, state);
    const auto op = decode_record(record);
    if (!op) continue;
    const std::string before = snapshot_of(state);
    const Position tail = state.writer.tail;
    if (!apply(state, *op, LogPosition{place++})) {
      DS_ASSERT(snapshot_of(state) == before);
      continue;
    }
    DS_ASSERT(state.writer.tail == tail + op->payload.size());
    DS_ASSERT(state.index.end() == state.writer.tail);
    check_round_trip(state);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)decode_snapshot(bytes);
  if (size == 0) return 0;
  ByteReader in(bytes.substr(1));
  std::string snapshot(in.take_bytes(std::min<uint64_t>(data[0] * uint64_t{4}, in.left())));
  put(snapshot, crc32c(snapshot));
  auto state = decode_snapshot(snapshot);
  if (!state) return 0;
  DS_ASSERT(state->lives.size() + state->pins.size() + state->producers.size() <= size);
  check_round_trip(*state);
  check_ops(*state, in);
  return 0;
}
