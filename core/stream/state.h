// One stream as a value: what recovery rebuilds and every decision looks at.
//
// StreamState is the committed state. `apply` is its only mutator, used after a commit and at
// recovery alike. WriterState is the small part that writers are decided against; an engine keeps a
// second one that runs ahead of the committed one by the ops that are not durable yet, advanced by
// the same function.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/producer/producer_state.h"
#include "core/stream/message_index.h"
#include "core/stream/op.h"
#include "core/wire/content_type.h"

namespace ds::stream {

// What was said at creation and never changes.
struct StreamConfig {
  std::string content_type;
  wire::ContentKind kind = wire::ContentKind::kBinary;
  std::optional<uint64_t> ttl_seconds;
  std::optional<Instant> expires_at;
  Retention retention;
  std::optional<ForkOrigin> fork;
};

struct WriterState {
  Position tail;
  bool closed = false;
  bool has_seq = false;
  std::string last_seq;  // the last Stream-Seq, if has_seq
};

// Looked up by borrowed ids, so that a retry costs no allocation. A tree, not a hash table: clients
// choose the ids, and could choose ones that collide.
using ProducerTable = std::map<std::string, producer::ProducerState, std::less<>>;

// What a fork of this stream holds on to.
struct Pin {
  uint64_t child_path_hash = 0;
  Position position;
};

struct StreamState {
  Incarnation id;  // its first own life: what identifies it for ever
  std::string path;
  uint64_t path_hash = 0;
  StreamConfig config;
  WriterState writer;
  ProducerTable producers;
  std::vector<LifeSpan> lives;
  MessageIndex index;               // of what has not been sealed; what is before is in segments
  Position earliest;                // what is before was dropped by retention
  uint64_t newest_ms = 0;           // when its newest own message was written; 0: there is none
  std::map<Incarnation, Pin> pins;  // by the life of the fork
  Instant accessed;                 // the last access that is on record
  bool soft_deleted = false;        // deleted or expired while pins hold its bytes
  bool gone = false;                // nothing is left of it

  Offset tail_offset() const { return offset_at(lives, writer.tail); }
  // The life that ETags and the stream's own appends show.
  Incarnation life() const { return lives.back().life; }
};

// The scalar facts of a write. REQUIRES: op.position == writer.tail.
void advance(WriterState& writer, const Op& op);

// The stream that a kCreate op is about to make: as it was said to be, without its first message.
// `inherited` is what a fork shares with its source, up to the fork point (empty otherwise).
StreamState new_state(const Op& op, MessageIndex inherited);

// Applies any op; a stream's kCreate to what new_state made of it. False if it does not fit the
// state: the log is not this stream's.
[[nodiscard]] bool apply(StreamState& state, const Op& op, LogPosition record);

// Whether the stream, or a fork of it, still needs its own messages in [begin, end).
bool needs(const StreamState& state, Position begin, Position end);

// When the stream expires if it is not accessed after `accessed`; kNever if it does not.
Instant expiry(const StreamConfig& config, Instant accessed);

}  // namespace ds::stream
