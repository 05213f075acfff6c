// What a stream object asks of the runtime that it lives in: storage, requests, other objects. The
// shell (worker/src) implements it by imports of the module; tests implement it in memory.
//
// Storage calls are synchronous. Everything that is written during one event becomes durable as a
// whole or not at all, and nothing that is sent during it leaves before (the runtime's output
// gate).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/types.h"

namespace ds::worker {

enum class Stored : uint8_t {
  kDone,
  kFull,    // no room; nothing was written
  kFailed,  // nothing was written
};

// How an object in R2 was met with.
enum class ObjectOutcome : uint8_t { kDone, kMissing, kFailed };

// Names something asynchronous that was begun; chosen by whoever begins it.
using Token = uint32_t;

class Host {
 public:
  virtual ~Host() = default;

  // --- The log: bytes at growing positions, read back as they were written ----------------------

  // May be kept in several rows; all of them or none.
  virtual Stored append_rows(LogPosition at, std::string_view bytes) = 0;
  // The rows that begin in [from, to), in order, until `row` says false.
  using RowSink = std::function<bool(LogPosition at, std::string_view bytes)>;
  virtual void read_rows(LogPosition from, LogPosition to, const RowSink& row) = 0;
  // Removes rows that begin before `before`, at most `most`, and returns how many there were.
  virtual uint32_t drop_rows(LogPosition before, uint32_t most) = 0;

  // --- Facts: small values under keys, in the keys' order ---------------------------------------

  virtual Stored put_fact(std::string_view key, std::string_view value) = 0;
  virtual void erase_fact(std::string_view key) = 0;
  // Those in [from, through], until `fact` says false.
  using FactSink = std::function<bool(std::string_view key, std::string_view value)>;
  enum class Order : uint8_t { kAscending, kDescending };
  virtual void read_facts(std::string_view from, std::string_view through, Order order,
                          const FactSink& fact) = 0;

  // Bytes that this object's storage takes up.
  virtual uint64_t stored_bytes() = 0;
  // When StreamObject::on_time is to be called though nobody is there; kNever: not at all.
  virtual void set_alarm(Instant when) = 0;

  // --- Requests ---------------------------------------------------------------------------------

  // `head`: header lines beside the common ones, "Name: value\r\n" each.
  virtual void respond(uint64_t request, uint16_t status, std::string_view head,
                       std::string_view body) = 0;
  // `reader` names the reader for on_reader_back, `at` is its position; the shell keeps both.
  virtual void open_sse(uint64_t request, std::string_view head, std::string_view reader,
                        Position at) = 0;
  // `message` for all of them. They have everything before `end` then. `pulled`: call
  // on_reader_ready once it has been taken.
  virtual void send_sse(std::span<const uint64_t> requests, Position begin, Position end,
                        bool pulled, std::string_view frame) = 0;
  virtual void end_sse(uint64_t request) = 0;

  // --- Others: asynchronous, their end is reported with the same token ---------------------------

  // To the object of the stream at `path`; reported by on_peer_reply.
  virtual void call_peer(Token token, std::string_view path, std::string_view message) = 0;
  // The answer to a call that came by on_peer.
  virtual void answer_peer(Token token, std::string_view message) = 0;
  // Objects in R2; reported by on_object.
  virtual void put_object(Token token, std::string_view key, std::string_view bytes) = 0;
  virtual void get_object(Token token, std::string_view key, uint64_t offset, uint64_t size) = 0;
  virtual void delete_object(Token token, std::string_view key) = 0;
};

// A fact without which what else the event writes would be wrong: if it cannot be stored the object
// ends, and with it everything of this event is undone.
inline void store_fact(Host& host, std::string_view key, std::string_view value) {
  DS_ASSERT(host.put_fact(key, value) == Stored::kDone);
}

}  // namespace ds::worker
