// A stream as an engine holds it: its committed state, what is pending on top, and who follows it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/types.h"
#include "core/engine/actions.h"
#include "core/stream/state.h"

namespace ds::engine {

struct Reader;

// What the ops that are not durable yet will have done. Equal to the committed state when there are
// none.
struct PendingState {
  uint32_t ops = 0;
  uint64_t last_batch = 0;                   // the batch that holds the newest of them
  bool created = false;                      // the stream's own create is one of them
  bool soft_deleted = false;                 // by one of them, or committed
  bool gone = false;                         // by one of them
  uint32_t pins = 0;                         // pins after all of them
  std::optional<stream::LifeSpan> new_life;  // begun by one of them
  stream::WriterState writer;
  stream::ProducerTable producers;  // only those touched by one of them
};

struct StreamEntry {
  stream::StreamState state;
  PendingState pending;
  SharedBytes content_type;  // the config's, shared by all answers
  // The life before this one at the same path, while its deletion is not durable yet.
  StreamEntry* previous = nullptr;

  // Every long-poll and SSE reader of the stream, wherever it stands.
  std::vector<Reader*> readers;

  Instant accessed;            // the last access, on record or not
  bool touch_pending = false;  // a kTouch is on its way
  // Answered writes may be lost: nothing may be written before a kNewLife is, which is on its way
  // unless its commit has just failed.
  bool owes_new_life = false;
  bool wake_pending = false;  // on the list of streams whose readers are to be woken

  uint32_t last_generation = 0;  // of the newest op that is not known to be sealed
  uint32_t reads_under_way = 0;
  uint64_t loaded_at_find = 0;  // finds of a lower number were asked for before it was loaded
  Instant loaded;               // when it came from the catalog
  Instant expiry_timer;         // when the one timer that looks at its expiry is due
  bool idle = false;            // on the list of streams that may leave the memory

  bool committed() const { return !pending.created; }
  bool readable() const { return committed() && !state.soft_deleted && !state.gone; }
  Instant expiry() const { return stream::expiry(state.config, accessed); }
};

}  // namespace ds::engine
