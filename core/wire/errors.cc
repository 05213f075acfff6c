#include "core/wire/errors.h"

#include <cstddef>

#include "core/base/assert.h"

namespace ds::wire {
namespace {

struct Row {
  ErrorCode id;
  ErrorInfo info;
};

// One row per ErrorCode, in its order, kNone left out.
constexpr Row kRows[] = {
    {ErrorCode::kInvalidPath,
     {"invalid_path", 400,
      "The stream's path is malformed: use /v1/stream/<project>/<name> without empty, '.' or '..' "
      "segments, control characters or backslashes."}},
    {ErrorCode::kInvalidQuery,
     {"invalid_query", 400,
      "A query parameter has a value that is not allowed: 'live' must be 'long-poll' or 'sse'."}},
    {ErrorCode::kInvalidOffset,
     {"invalid_offset", 400,
      "The 'offset' parameter must be given once and be '-1', 'now' or an offset that this server "
      "returned."}},
    {ErrorCode::kOffsetRequired,
     {"offset_required", 400,
      "Live reads need an 'offset' parameter: add '-1', 'now' or an "
      "offset that this server returned."}},
    {ErrorCode::kInvalidHeader,
     {"invalid_header", 400,
      "A request header has a malformed value: check Stream-Seq (printable, at most 1024 bytes) "
      "and If-Match (one quoted offset, or *)."}},
    {ErrorCode::kRepeatedHeader,
     {"repeated_header", 400,
      "A header that may occur once was sent more than once: send it "
      "once."}},
    {ErrorCode::kMissingContentType,
     {"missing_content_type", 400,
      "An append with a body needs a Content-Type header: send the stream's content type."}},
    {ErrorCode::kInvalidContentType,
     {"invalid_content_type", 400,
      "The Content-Type header is malformed or too long: send type/subtype with optional "
      "parameters, at most 256 bytes."}},
    {ErrorCode::kEmptyBody,
     {"empty_body", 400,
      "An append needs a body: send some bytes, or 'Stream-Closed: true' to close the stream."}},
    {ErrorCode::kInvalidJson,
     {"invalid_json", 400, "The body is not valid JSON in UTF-8: nothing of it was stored."}},
    {ErrorCode::kEmptyArray,
     {"empty_array", 400,
      "An append of an empty JSON array would add nothing: send at least one "
      "message."}},
    {ErrorCode::kJsonTooDeep,
     {"json_too_deep", 400, "The JSON in the body is nested deeper than 512 levels: flatten it."}},
    {ErrorCode::kInvalidTtl,
     {"invalid_ttl", 400,
      "Stream-TTL must be a number of seconds in plain decimal digits, at most 10000000000."}},
    {ErrorCode::kInvalidExpiresAt,
     {"invalid_expires_at", 400,
      "Stream-Expires-At must be an RFC 3339 timestamp such as 2030-01-02T03:04:05Z."}},
    {ErrorCode::kTtlAndExpiresAt,
     {"ttl_and_expires_at", 400,
      "Stream-TTL and Stream-Expires-At exclude each other: send one of them."}},
    {ErrorCode::kInvalidRetention,
     {"invalid_retention", 400,
      "Stream-Max-Age (seconds, at most 10000000000) and Stream-Max-Bytes (at most "
      "9007199254740991) must be plain decimal numbers above 0."}},
    {ErrorCode::kIncompleteProducer,
     {"incomplete_producer", 400,
      "Producer-Id, Producer-Epoch and Producer-Seq belong together: send all three or none."}},
    {ErrorCode::kInvalidProducer,
     {"invalid_producer", 400,
      "A producer header is malformed: Producer-Id is 1 to 256 printable ASCII characters, "
      "Producer-Epoch and Producer-Seq are plain decimal numbers up to 9007199254740991."}},
    {ErrorCode::kNewEpochNotAtZero,
     {"new_epoch_not_at_zero", 400, "A producer's new epoch must begin with Producer-Seq 0."}},
    {ErrorCode::kInvalidForkOffset,
     {"invalid_fork_offset", 400,
      "Stream-Fork-Offset must be an offset of the source stream that this server returned."}},
    {ErrorCode::kForkOffsetBeyondTail,
     {"fork_offset_beyond_tail", 400,
      "Stream-Fork-Offset lies beyond the end of the source stream: use its Stream-Next-Offset or "
      "an earlier offset."}},
    {ErrorCode::kInvalidForkSubOffset,
     {"invalid_fork_sub_offset", 400,
      "Stream-Fork-Sub-Offset must be a plain decimal number, and needs Stream-Fork-Offset unless "
      "it is 0."}},
    {ErrorCode::kForkSubOffsetBeyondMessage,
     {"fork_sub_offset_beyond_message", 400,
      "Stream-Fork-Sub-Offset points past the end of the message that begins at "
      "Stream-Fork-Offset."}},
    {ErrorCode::kForkHeaderWithoutSource,
     {"fork_header_without_source", 400,
      "Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From: name the source "
      "stream."}},
    {ErrorCode::kInvalidForkSource,
     {"invalid_fork_source", 400,
      "Stream-Forked-From must be the URL path of a stream in the same project, such as "
      "/v1/stream/<project>/<name>."}},
    {ErrorCode::kInvalidListing,
     {"invalid_listing", 400,
      "A parameter of the listing is malformed or repeated: 'limit' is a number from 1 to 1000, "
      "'prefix' and 'after' are spelt like a stream's path below its project, and then escaped."}},

    {ErrorCode::kReservedPath,
     {"reserved_path", 404,
      "Paths below '__ds' are reserved for control APIs, and nothing is "
      "served here: choose another stream path."}},
    {ErrorCode::kProducerFenced,
     {"producer_fenced", 403,
      "A newer epoch of this producer has taken over: stop, or claim a higher epoch than the one "
      "in the Producer-Epoch header of this answer."}},
    {ErrorCode::kNotFound,
     {"not_found", 404, "There is no stream at this path: create it with PUT."}},
    {ErrorCode::kForkSourceNotFound,
     {"fork_source_not_found", 404, "There is no stream at the path in Stream-Forked-From."}},
    {ErrorCode::kMethodNotAllowed,
     {"method_not_allowed", 405,
      "This method is not supported here: use one of those in the Allow "
      "header."}},
    {ErrorCode::kRequestTimeout,
     {"request_timeout", 408, "The request did not arrive in time: send it again, faster."}},
    {ErrorCode::kStreamExists,
     {"stream_exists", 409,
      "A stream with another configuration exists at this path: choose another path, or match its "
      "configuration."}},
    {ErrorCode::kStreamClosed,
     {"stream_closed", 409,
      "The stream is closed and takes no more appends: its end is in the "
      "Stream-Next-Offset header."}},
    {ErrorCode::kContentTypeMismatch,
     {"content_type_mismatch", 409,
      "The Content-Type differs from the stream's: send what HEAD shows."}},
    {ErrorCode::kSequenceGap,
     {"sequence_gap", 409,
      "Earlier requests of this producer are missing: go on from the number in the "
      "Producer-Expected-Seq header."}},
    {ErrorCode::kSequenceRegression,
     {"sequence_regression", 409,
      "Stream-Seq is not greater than the last one that was accepted: another writer may be ahead "
      "of this one."}},
    {ErrorCode::kStreamDeleted,
     {"stream_deleted", 410, "The stream was deleted; its data is only kept for its forks."}},
    {ErrorCode::kPathHeld,
     {"path_held", 409,
      "A deleted stream still holds this path, because forks share its data: delete its forks "
      "first, or choose another path."}},
    {ErrorCode::kForkSourceDeleted,
     {"fork_source_deleted", 409,
      "The source stream was deleted and can no longer be forked: fork one of its forks."}},
    {ErrorCode::kOffsetGone,
     {"offset_gone", 410,
      "The offset belongs to an earlier stream at this path that is gone: start again from offset "
      "-1."}},
    {ErrorCode::kOffsetTrimmed,
     {"offset_trimmed", 410,
      "What was at the offset is older than this stream keeps: go on from the offset in the "
      "Stream-Earliest-Offset header, or from -1."}},
    {ErrorCode::kPreconditionFailed,
     {"precondition_failed", 412,
      "The stream's tail is not where If-Match expects it: read on up to the Stream-Next-Offset of "
      "this answer and decide again."}},
    {ErrorCode::kBodyTooLarge,
     {"body_too_large", 413,
      "The body is larger than this server accepts: split it into several "
      "appends."}},
    {ErrorCode::kUriTooLong, {"uri_too_long", 414, "The URL is too long: shorten it."}},
    {ErrorCode::kExpectationFailed,
     {"expectation_failed", 417, "The only expectation supported is '100-continue'."}},
    {ErrorCode::kHeadersTooLarge,
     {"headers_too_large", 431,
      "The request's headers are too large: send fewer or shorter ones."}},
    {ErrorCode::kLengthRequired,
     {"length_required", 411,
      "The body's length is unknown: send Content-Length or 'Transfer-Encoding: chunked'."}},
    {ErrorCode::kMalformedRequest,
     {"malformed_request", 400, "The request is not well-formed HTTP/1.1."}},
    {ErrorCode::kTooManyStreams,
     {"too_many_streams", 429,
      "The server has as many streams as it may: delete some, and try again after Retry-After."}},

    {ErrorCode::kInternal,
     {"internal", 500,
      "Something went wrong in the server: its log tells what, under this "
      "request's id."}},
    {ErrorCode::kNotImplemented,
     {"not_implemented", 501, "The server does not support what this request asks for."}},
    {ErrorCode::kHttpVersion,
     {"http_version", 505, "This HTTP version is not supported: use HTTP/1.1."}},
    {ErrorCode::kTooManyReaders,
     {"too_many_readers", 503,
      "The server has as many live readers as it may: try again after Retry-After."}},
    {ErrorCode::kOverloaded,
     {"overloaded", 503, "The server is busy: try again after Retry-After."}},
    {ErrorCode::kStorageFailed,
     {"storage_failed", 503,
      "The write could not be made durable and was not stored: try again after Retry-After."}},
    {ErrorCode::kStorageFull,
     {"storage_full", 507,
      "The server's disk is full and nothing was stored: free some space and "
      "try again."}},
    {ErrorCode::kDiskLimit,
     {"disk_limit", 507,
      "The server stores as many bytes as it may, and nothing was stored: delete streams, and try "
      "again after Retry-After."}},
    {ErrorCode::kCorruptData,
     {"corrupt_data", 500,
      "Stored data in this range fails its checksum and is not served: the server's log names the "
      "place."}},
    {ErrorCode::kShuttingDown,
     {"shutting_down", 503, "The server is shutting down: connect again after Retry-After."}},
};

constexpr size_t kRowCount = sizeof kRows / sizeof kRows[0];
static_assert(kRowCount == static_cast<size_t>(ErrorCode::kCount) - 1);

// Sentences go into JSON bodies as they are.
constexpr bool rows_well_formed() {
  for (size_t i = 0; i < kRowCount; ++i) {
    if (static_cast<size_t>(kRows[i].id) != i + 1) return false;
    for (const char c : kRows[i].info.sentence) {
      if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') return false;
    }
  }
  return true;
}
static_assert(rows_well_formed());

}  // namespace

const ErrorInfo& error_info(ErrorCode code) {
  DS_ASSERT(code != ErrorCode::kNone);
  DS_ASSERT(code < ErrorCode::kCount);
  return kRows[static_cast<size_t>(code) - 1].info;
}

}  // namespace ds::wire
