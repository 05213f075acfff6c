// A live reader: a parked long-poll or an SSE response. It always has a position; live delivery is
// an optimisation of catch-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/types.h"
#include "core/engine/actions.h"

namespace ds::engine {

struct StreamEntry;

struct Reader {
  enum class Mode : uint8_t { kLongPoll, kSse };
  enum class State : uint8_t {
    kParked,   // at the tail: what is committed next is pushed to it
    kPulling,  // was sent a frame and will ask for the next one
    kLagging,  // its queue was full: will ask when it has drained
    kLoading,  // its next frame is being read back
  };

  RequestId id;
  StreamEntry* stream = nullptr;
  Mode mode = Mode::kLongPoll;
  State state = State::kParked;
  bool greeted = false;            // SSE: has been sent its first event
  bool names_place = false;        // its URL names a place in a life: its answer may be cached
  uint32_t slot = 0;               // in its stream's list
  uint64_t load = 0;               // kLoading: the load it waits for
  Position at;                     // it has, or has been sent, everything before
  std::optional<uint64_t> cursor;  // the one it brought
  Instant ends;                    // the timeout of a long-poll, the end of an SSE response
  Instant last_sent;               // SSE: for heartbeats
};

}  // namespace ds::engine
