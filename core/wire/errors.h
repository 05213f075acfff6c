// Every error that a client can meet: a stable machine-readable code, its HTTP status and a
// sentence that says what to do. Error bodies are {"code":"<code>","error":"<sentence>"}. The table
// in docs/http-api.md is checked against this one.
#pragma once

#include <cstdint>
#include <string_view>

namespace ds::wire {

// Order is not part of any format.
enum class ErrorCode : uint8_t {
  kNone,
  // 400: the request cannot be understood, whatever the state of the stream.
  kInvalidPath,
  kInvalidQuery,
  kInvalidOffset,
  kOffsetRequired,
  kInvalidHeader,
  kRepeatedHeader,
  kMissingContentType,
  kInvalidContentType,
  kEmptyBody,
  kInvalidJson,
  kEmptyArray,
  kJsonTooDeep,
  kInvalidTtl,
  kInvalidExpiresAt,
  kTtlAndExpiresAt,
  kInvalidRetention,
  kIncompleteProducer,
  kInvalidProducer,
  kNewEpochNotAtZero,
  kInvalidForkOffset,
  kForkOffsetBeyondTail,
  kInvalidForkSubOffset,
  kForkSubOffsetBeyondMessage,
  kForkHeaderWithoutSource,
  kInvalidForkSource,
  kInvalidListing,
  // 403, 404, 405, 409, 410, 412, 413, 414, 417, 429, 431
  kReservedPath,
  kProducerFenced,
  kNotFound,
  kForkSourceNotFound,
  kMethodNotAllowed,
  kRequestTimeout,
  kStreamExists,
  kStreamClosed,
  kContentTypeMismatch,
  kSequenceGap,
  kSequenceRegression,
  kStreamDeleted,
  kPathHeld,
  kForkSourceDeleted,
  kOffsetGone,
  kOffsetTrimmed,
  kPreconditionFailed,
  kBodyTooLarge,
  kUriTooLong,
  kExpectationFailed,
  kHeadersTooLarge,
  kLengthRequired,
  kMalformedRequest,
  kTooManyStreams,
  // 5xx
  kInternal,
  kNotImplemented,
  kHttpVersion,
  kTooManyReaders,
  kOverloaded,
  kStorageFailed,
  kStorageFull,
  kDiskLimit,
  kCorruptData,
  kShuttingDown,
  kCount,
};

struct ErrorInfo {
  std::string_view code;      // e.g. "stream_closed"; stable
  uint16_t status;            // HTTP status
  std::string_view sentence;  // what is wrong and what to do, without any stream's data
};

// REQUIRES: code is neither kNone nor kCount.
const ErrorInfo& error_info(ErrorCode code);

}  // namespace ds::wire
