// Ops: the facts that a log records and a state is made of. An op is decided once, made durable,
// and then applied, now and at every recovery, by the same function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/stream/lives.h"
#include "core/wire/request.h"

namespace ds::stream {

// Stored in records: values never change.
enum class OpType : uint8_t {
  kCreate =
      1,  // a stream comes to be, perhaps as a fork, perhaps with a first message, perhaps closed
  kAppend = 2,   // a message, perhaps the last one
  kClose = 3,    // no message will follow
  kDelete = 4,   // by its owner; soft while forks share its bytes
  kExpire = 5,   // like kDelete, by time
  kTouch = 6,    // was read: its sliding time to live begins anew
  kPin = 7,      // a fork shares its bytes up to a position
  kUnpin = 8,    // that fork is gone
  kNewLife = 9,  // answered writes may be lost: later positions show another life
  kTrim = 10,    // retention: what is before a position can no longer be read
};

// How long a stream keeps its messages (PROTOCOL §4, retention). Absent: for ever.
struct Retention {
  std::optional<uint64_t> max_age_seconds;
  std::optional<uint64_t> max_bytes;
  friend bool operator==(const Retention&, const Retention&) = default;
};

// Where a fork comes from.
struct ForkOrigin {
  Incarnation source;  // the source's identity
  uint64_t source_path_hash = 0;
  std::string source_path;  // canonical, as requested
  Position anchor;          // Stream-Fork-Offset, resolved
  uint64_t sub_offset = 0;  // as requested
  Position position;        // the fork point: anchor refined by the sub-offset
};

// What an op says beside its payload. Strings are borrowed.
struct Op {
  struct Producer {
    std::string_view id;
    uint64_t epoch = 0;
    uint64_t seq = 0;
  };
  // A create's facts.
  struct Create {
    std::string_view path;
    std::string_view content_type;
    std::optional<uint64_t> ttl_seconds;
    std::optional<Instant> expires_at;
    Retention retention;
    std::optional<ForkOrigin> fork;
    std::vector<LifeSpan> lives;  // all of them, the stream's own last
  };
  // A pin's or unpin's facts.
  struct Pin {
    Incarnation child;
    uint64_t child_path_hash = 0;
    Position position;
  };

  OpType type = OpType::kAppend;
  bool closes = false;  // kCreate, kAppend, kClose
  Incarnation stream;   // the identity of the stream: its first own life
  uint64_t path_hash = 0;
  Position position;  // the tail before this op
  Instant time;
  std::string_view payload;  // the message in stored form; kCreate and kAppend
  std::optional<Producer> producer;
  std::optional<std::string_view> stream_seq;
  std::optional<Create> create;
  std::optional<Pin> pin;
  std::optional<Incarnation> new_life;
  std::optional<Position> earliest;  // kTrim, and a fork's kCreate: what is before cannot be read

  Position end() const { return position + payload.size(); }
};

// Appends the record of `op`. If `body` is given it is stored in place of op.payload. Returns where
// in `out` the record starts. REQUIRES: the record is smaller than 2^32 bytes.
size_t append_record(std::string& out, const Op& op, const wire::Body* body = nullptr);

// The op that a record holds; nothing if its checksum, sizes or contents do not hold. The result
// borrows from `record`.
std::optional<Op> decode_record(std::string_view record);
// The same without looking at the checksum: for records that have just been encoded.
std::optional<Op> decode_record_unchecked(std::string_view record);

}  // namespace ds::stream
