// Many streams under one sequencer (DESIGN §3, §6). An engine takes events (a request, the end of a
// commit, the passing of time) and returns actions. It does no I/O, reads no clock and has no
// thread: one thread at a time may call it, and every call returns at once.
//
// The life of a write: on_request decides against the pending state and encodes an op into the open
// batch; the host takes the batch, commits it and calls on_commit; the engine then applies the op
// to the committed state, answers the writer and feeds the live readers. Readers and HEAD see
// committed state only. An answer that depends on a pending op, rejections included, waits for it.
//
// When a commit fails, everything pending fails with it: the writers get 503 or 507 and the engine
// stands again on its committed state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/base/hash.h"
#include "core/base/types.h"
#include "core/engine/actions.h"
#include "core/engine/config.h"
#include "core/wire/request.h"

namespace ds::engine {

class Engine {
 public:
  // `index` of `count` engines: what keeps the lives that they hand out apart.
  Engine(const EngineConfig& config, uint32_t index, HashKey hash_key);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // --- Recovery, before anything else -----------------------------------------------------------

  // The source of a fork that is being replayed may belong to another engine.
  class Peers {
   public:
    virtual ~Peers() = default;
    virtual Engine& owner_of(uint64_t path_hash) = 0;
  };

  // One record of the log, in log order, at the engine that owns its path hash. False if the record
  // cannot follow what was replayed before: the log is corrupt or not ours.
  [[nodiscard]] bool replay(std::string_view record, LogPosition at, Peers& peers);

  // All records have been replayed at all engines. `highest_life` is the highest life known to any
  // of them; `lost_writes` says that answered ops may be missing (relaxed durability after a
  // crash), so that every stream goes on under a new life.
  void finish_replay(Instant now, Incarnation highest_life, bool lost_writes, Peers& peers,
                     Actions& out);
  Incarnation highest_life() const;

  // --- Events -----------------------------------------------------------------------------------

  void on_request(RequestId id, const wire::RequestText& request, Instant now, Actions& out);

  // The client is gone. Its op, if it has one, still commits, and its answer may still come: a host
  // ignores actions that name a request it no longer has.
  void on_disconnect(RequestId id);

  // The reader's queue is full: everything after `accepted` was dropped. It becomes a pulling
  // reader.
  void on_reader_lagging(RequestId id, Position accepted);
  // The reader's queue has drained: give it more, or let it follow live.
  void on_reader_ready(RequestId id, Instant now, Actions& out);

  // The end of the oldest batch taken and not yet reported. `first_record` is where its records
  // start in the log. After a failure every later batch that was taken is void and must not be
  // reported, and the engine's epoch has grown.
  void on_commit(uint64_t batch_id, CommitOutcome outcome, LogPosition first_record, Instant now,
                 Actions& out);

  // The result of a Load; nothing if it failed, `corrupt` if what is there fails its checksum.
  void on_loaded(uint64_t load_id, SharedBytes bytes, bool corrupt, Instant now, Actions& out);

  void on_peer(const PeerMessage& message, Instant now, Actions& out);

  // Fires every timer that is due.
  void on_time(Instant now, Actions& out);
  // When on_time wants to be called next; kNever if there is nothing to wait for.
  Instant next_deadline() const;

  // Ends every live reader, so that they reconnect elsewhere: long-polls 204, SSE closed cleanly.
  void end_live_readers(Instant now, Actions& out);

  // --- Commits ----------------------------------------------------------------------------------

  // The ops decided since the last call, or nothing. Call it when the requests at hand are in.
  std::optional<Batch> take_batch();
  bool has_batch() const;
  // Grows with every failed commit: what was taken under an older epoch must not be written.
  uint64_t epoch() const;

  // --- Numbers for metrics ----------------------------------------------------------------------
  struct Stats {
    uint64_t streams = 0;
    uint64_t parked_long_polls = 0;
    uint64_t sse_readers = 0;
    uint64_t pending_ops = 0;
    uint64_t cache_bytes = 0;
    uint64_t cache_hits = 0;    // reads served without a Load
    uint64_t cache_misses = 0;  // reads that needed one
    uint64_t expired_streams = 0;
    uint64_t lagging_readers = 0;  // readers that fell behind, in total
  };
  Stats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ds::engine
