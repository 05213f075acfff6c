// The messages between the engine of a fork and the engine of its source (PROTOCOL §4.2).
//
// A fork is created in two idempotent steps: the source pins (child, position), then the child is
// created. The deletion of the child releases the pin. A pin whose child never came to be is found
// at start-up and dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/slice.h"
#include "core/base/types.h"
#include "core/stream/lives.h"
#include "core/stream/message_index.h"
#include "core/wire/errors.h"

namespace ds::stream {

// From the child's engine: pin your stream at `source_path` for me.
struct PinRequest {
  uint64_t attempt = 0;  // names the waiting request at the child's engine
  uint64_t child_path_hash = 0;
  Incarnation child;  // the life that the fork will have
  std::string source_path;
  std::optional<Offset> offset;  // absent: the tail
  uint64_t sub_offset = 0;
  std::string content_type;  // of the fork request; "" inherits
};

// What a fork inherits, once the pin is durable.
struct ForkBase {
  Incarnation source;  // the source's own life
  uint64_t source_path_hash = 0;
  Position anchor;              // the offset that was asked for, before the sub-offset
  Position position;            // the fork point
  std::vector<LifeSpan> lives;  // the source's, up to the fork point
  std::string content_type;
  std::optional<uint64_t> ttl_seconds;
  std::optional<Instant> expires_at;
  Position earliest;  // what is before was dropped by the source's retention
  // The source's messages up to the fork point that have not been sealed, the last one clipped.
  MessageIndex index;
  SharedBytes bytes;  // all of theirs, if another engine cannot read them back
};

struct PinReply {
  uint64_t attempt = 0;
  wire::ErrorCode error = wire::ErrorCode::kNone;  // kNone: pinned, or to be asked again
  std::shared_ptr<ForkBase> base;                  // set if pinned
  // Unless 0: not pinned, because the child's life must be newer than this one of the source's, so
  // that the fork's offsets sort. The child is to ask again with another life.
  Incarnation newer_than;
};

// From the child's engine: the fork is gone for good, or never came to be.
struct Unpin {
  Incarnation source;
  uint64_t source_path_hash = 0;
  Incarnation child;
};

}  // namespace ds::stream
