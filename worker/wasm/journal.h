// What a stream object stores, and how (docs/cloudflare.md, "Storage"). Over a Host's rows and
// facts; knows ops as records and a stream as its snapshot, and decides nothing about either.
//
// The log is cut into generations. The newest is open; when it is full it is closed: a checkpoint
// (the stream's snapshot) makes it unnecessary for waking, and a part tells which messages its rows
// hold. Later parts may move to objects in R2.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/stream/state.h"
#include "worker/wasm/host.h"

namespace ds::worker {

// Messages [begin, end) of the stream's own, in rows or in an object.
struct Part {
  Position begin;
  Position end;
  uint32_t generation = 0;  // that holds them, or the newest of those that did
  uint32_t ops = 0;
  uint64_t newest_ms = 0;  // when the last of them was written
  // In an object: its key, and where its one extent's lists and head are.
  std::string object;
  uint64_t lists_offset = 0;
  uint64_t head_offset = 0;
  uint32_t head_bytes = 0;
};

class Journal {
 public:
  // Borrows `host` for its whole life.
  explicit Journal(Host& host) : host_(host) {}

  // --- Waking
  // Reads the checkpoint. False: it is damaged.
  [[nodiscard]] bool open();
  // The stream's, "" if there is none. In memory until it is released.
  const std::string& snapshot() const { return snapshot_; }
  void release_snapshot() { std::string().swap(snapshot_); }
  Incarnation highest_life() const { return highest_life_; }
  // The newest closed generation; 0: none.
  uint32_t closed_through() const { return closed_through_; }
  // The records of the open generation, in order. False if they are damaged or refused.
  using RecordSink = std::function<bool(std::string_view record, LogPosition at)>;
  [[nodiscard]] bool replay(const RecordSink& record);

  // --- Writing
  struct Appended {
    Stored stored = Stored::kFailed;
    LogPosition at;
  };
  Appended append(std::string_view records, uint32_t ops);
  uint32_t open_ops() const { return open_ops_; }
  uint64_t open_bytes() const { return open_bytes_; }
  // Where the messages of the open generation begin.
  Position open_begin() const { return open_begin_; }
  // The first op of a stream has been appended: its own messages begin at `at`.
  void begin_stream(Position at) {
    open_begin_ = hot_begin_ = at;
    heat_stored_ = false;
  }
  // The same, of a stream that has followed another in one op log: what the other had is needless.
  void replace_stream(Position at);
  uint32_t open_generation() const { return closed_through_ + 1; }

  // Writes the checkpoint and begins the next generation.
  void close_generation(const stream::StreamState& state, Incarnation highest_life);
  // The stream is gone: forgets everything but how far its lives have come.
  void clear(Incarnation highest_life);
  void put_highest_life(Incarnation life);
  // Removes some of what is not needed any more. False: nothing is left of it.
  bool collect();

  // --- Reading back
  // The part around `at`, in rows or in an object; nothing if that is in the open generation.
  std::optional<Part> part_around(Position at);
  // The records of the generation that `at` is in; `record` says when to stop.
  [[nodiscard]] bool read_generation(uint32_t generation, const RecordSink& record);

  // --- Moving history
  // Closed messages that are still in rows, and their ops.
  Position hot_begin() const { return hot_begin_; }
  Position hot_end() const { return open_begin_; }
  uint64_t hot_ops() const { return closed_ops_ - cold_ops_; }
  // The parts, or those that are still in rows, oldest first, until `part` says false.
  using PartSink = std::function<bool(const Part&)>;
  void parts(const PartSink& part);
  void hot_parts(const PartSink& part);
  // `moved` holds in an object what parts in rows held up to moved.end.
  void put_moved(const Part& moved);
  // Forgets the oldest parts for as long as `needless` says so. Returns where the rest begins.
  Position drop_parts(const PartSink& needless);

 private:
  void put_base();
  void put_heat();
  void put_part(const Part& part);
  void parts_from(Position begin, const PartSink& part);

  Host& host_;
  std::string snapshot_;
  Incarnation highest_life_;
  uint32_t closed_through_ = 0;
  uint64_t closed_ops_ = 0;
  uint32_t snapshot_rows_ = 0;
  uint32_t floor_ = 1;  // generations before it are not needed
  Position hot_begin_;
  uint64_t cold_ops_ = 0;
  bool heat_stored_ = false;
  uint32_t open_ops_ = 0;
  uint64_t open_bytes_ = 0;
  Position open_begin_;
  LogPosition next_;
};

}  // namespace ds::worker
