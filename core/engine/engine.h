// Many streams under one sequencer. An engine takes events (a request, the end of a commit, the
// passing of time) and returns actions. It does no I/O, reads no clock and has no thread: one
// thread at a time may call it, and every call returns at once.
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
#include <span>
#include <string>
#include <string_view>

#include "core/base/hash.h"
#include "core/base/types.h"
#include "core/engine/actions.h"
#include "core/engine/config.h"
#include "core/stream/listing.h"
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
    // The snapshot of a stream whose earlier ops have been sealed; nothing if there is none.
    virtual std::optional<std::string> sealed_snapshot(Incarnation stream) = 0;
  };

  // One record of the log, in log order, at the engine that owns its path hash. False if the record
  // cannot follow what was replayed before: the log is corrupt or not ours.
  [[nodiscard]] bool replay(std::string_view record, LogPosition at, Peers& peers);

  // Forks that were pinned in sealed generations but whose creation has not been sealed: at the
  // engine that owns the source, after the replay.
  void recover_pin(Incarnation source, Incarnation child, Peers& peers);

  // A stream of the catalog that is to be in memory from the start, whether the log has ops of it
  // or not. After the replay.
  void recover_stream(Incarnation stream, Peers& peers);

  // Records that were replayed, back to back, kept for readers as if they had been committed just
  // now. In log order.
  void recover_cache(LogPosition first_record, SharedBytes records);

  // All records have been replayed at all engines. `highest_life` is the highest life known to any
  // of them or to the catalog. Streams whose newest life is before `lost_life` may have lost
  // answered writes (relaxed durability after a crash) and go on under a new life.
  // `sealed_through`: the last generation that has been sealed.
  void finish_replay(Instant now, Incarnation highest_life, Incarnation lost_life,
                     uint32_t sealed_through, Peers& peers, Actions& out);
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

  // An SSE reader that was left behind by an engine before this one: it has been sent everything
  // before `at`, its first event included. `pulling`: it will ask for the next frame. It ends at
  // once if the stream is gone. REQUIRES: the stream is in memory if there is one.
  void on_reader_back(RequestId id, Incarnation stream, Position at, std::optional<uint64_t> cursor,
                      bool pulling, Instant now, Actions& out);

  // The end of the oldest batch taken and not yet reported. `first_record` is where its records
  // start in the log. After a failure every later batch that was taken is void and must not be
  // reported, and the engine's epoch has grown.
  void on_commit(uint64_t batch_id, CommitOutcome outcome, LogPosition first_record, Instant now,
                 Actions& out);

  // The result of a Load: its bytes if it is kDone.
  void on_loaded(uint64_t load_id, LoadOutcome outcome, SharedBytes bytes, Instant now,
                 Actions& out);
  // The result of a ReadSealed: `chunk` counts if it is kDone.
  void on_sealed_read(uint64_t load_id, LoadOutcome outcome, segment::SealedChunk chunk,
                      Instant now, Actions& out);

  // The result of a Find: the snapshot, or nothing if the catalog has no such stream.
  enum class Found : uint8_t { kYes, kNo, kFailed, kCorrupt };
  void on_found(uint64_t find_id, Found found, std::string_view snapshot, Instant now,
                Actions& out);

  // A generation has been sealed; `streams` are those of this engine that it touched, perhaps in
  // several parts. Once the last part has been taken by every engine the generation's file is not
  // read any more.
  void on_sealed(uint32_t generation, std::span<const Incarnation> streams, bool last_part,
                 Instant now);
  // A stream that may not be in memory has reached the time when it may expire.
  void on_due(Incarnation stream, Instant now, Actions& out);
  // Retention: what the stream has before `earliest`, a message end, is to go.
  void on_trim(Incarnation stream, Position earliest, Instant now, Actions& out);

  void on_peer(const PeerMessage& message, Instant now, Actions& out);

  // Fires every timer that is due.
  void on_time(Instant now, Actions& out);
  // When on_time wants to be called next; kNever if there is nothing to wait for.
  Instant next_deadline() const;

  // Whether there is room for more: until it is said again, creations and appends with a body are
  // answered with this error. Everything else goes on, as it gives room back or needs next to none.
  // kNone: there is.
  void set_storage(wire::ErrorCode refusal);

  // What it knows of the committed streams whose paths begin with `prefix` and come after `after`,
  // at most `limit` (above 0): all that the catalog may not know yet is among it. What a catalog
  // says that is asked afterwards holds for all others.
  stream::ListingPart list(std::string_view prefix, std::string_view after, size_t limit) const;

  // What is committed at `path`, if it is in memory, or null. Valid until the next event.
  const stream::StreamState* committed(std::string_view path) const;
  // When that expires if nobody uses it any more; kNever if it does not.
  Instant expiry(std::string_view path) const;

  // Ends every live reader, so that they reconnect elsewhere: long-polls 204, SSE closed cleanly.
  void end_live_readers(Instant now, Actions& out);

  // --- Commits ----------------------------------------------------------------------------------

  // The ops decided since the last call, or nothing. Best called when the requests at hand are in:
  // what is taken together is synced together.
  std::optional<Batch> take_batch();
  bool has_batch() const;
  // Its ops, and their bytes.
  uint32_t batch_ops() const;
  uint64_t batch_bytes() const;
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
    uint64_t finds = 0;            // streams looked up in the catalog
    uint64_t evictions = 0;        // streams that left the memory
    uint64_t memory_bytes = 0;     // estimate: streams, index, cache and kept bodies
  };
  Stats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ds::engine
