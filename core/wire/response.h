// The answer to a request as a value, and its header block as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/slice.h"
#include "core/base/types.h"
#include "core/wire/errors.h"
#include "core/wire/etag.h"

namespace ds::wire {

// How long caches may keep an answer (PROTOCOL §10.1).
struct CachePolicy {
  enum class Kind : uint8_t {
    kNoStore,  // errors, HEAD, offset=now, long-poll without data
    kNoCache,  // may be kept, must be revalidated: a chunk that reaches the tail; SSE
    kPublic,   // public, max-age=N[, stale-while-revalidate=M]
  };
  Kind kind = Kind::kNoStore;
  uint32_t max_age_seconds = 0;
  uint32_t stale_while_revalidate_seconds = 0;  // 0: left out
};

struct Response {
  uint16_t status = 0;
  ErrorCode error = ErrorCode::kNone;  // set: the body is the error's, `body` is empty
  bool closed = false;                 // Stream-Closed: true
  bool up_to_date = false;             // Stream-Up-To-Date: true
  bool sse = false;  // an SSE head: text/event-stream, no-cache, X-Accel-Buffering; no length
  bool sse_base64 = false;            // stream-sse-data-encoding: base64
  bool allow_stream_methods = false;  // Allow (405)
  CachePolicy cache;
  std::optional<Offset> next_offset;            // Stream-Next-Offset
  std::optional<Offset> earliest_offset;        // Stream-Earliest-Offset
  std::optional<uint64_t> cursor;               // Stream-Cursor
  std::optional<uint64_t> producer_epoch;       // Producer-Epoch
  std::optional<uint64_t> producer_seq;         // Producer-Seq
  std::optional<uint64_t> expected_seq;         // Producer-Expected-Seq
  std::optional<uint64_t> received_seq;         // Producer-Received-Seq
  std::optional<uint64_t> ttl_seconds;          // Stream-TTL
  std::optional<uint64_t> max_age_seconds;      // Stream-Max-Age
  std::optional<uint64_t> max_bytes;            // Stream-Max-Bytes
  std::optional<Instant> expires_at;            // Stream-Expires-At
  std::optional<uint64_t> write_timestamp_ms;   // Stream-Write-Timestamp
  std::optional<uint32_t> retry_after_seconds;  // Retry-After
  std::optional<ETag> etag;                     // ETag of a read
  std::optional<Offset> tail_etag;              // ETag of HEAD: the tail offset in quotes
  Slice content_type;                           // Content-Type; empty: left out
  std::string location;                         // Location; empty: left out
  // The body, in order. Copied or sent in place as the host sees fit.
  std::vector<Slice> body;

  uint64_t body_bytes() const {
    uint64_t total = 0;
    for (const Slice& slice : body) total += slice.bytes.size();
    return total;
  }
};

// An answer that refuses: status and error body from the table, Cache-Control: no-store.
Response error_response(ErrorCode code);

// Appends the protocol's header lines ("Name: value\r\n" each): everything that depends on the
// Response alone. Not the status line, Content-Length, Connection, Date, CORS or request id, which
// are the host's. For an error this includes Content-Type: application/json.
void append_headers(std::string& out, const Response& response);

// Appends {"code":"...","error":"..."}.
void append_error_body(std::string& out, ErrorCode code);

}  // namespace ds::wire
