// From the text of a request to a checked value. Everything that is wrong with a request whatever
// the state of its stream (every 400) is found here, before any state is looked at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "core/base/types.h"
#include "core/wire/content_type.h"
#include "core/wire/errors.h"
#include "core/wire/json_scan.h"
#include "core/wire/offset_text.h"

namespace ds::wire {

enum class Method : uint8_t { kGet, kHead, kPut, kPost, kDelete, kOptions, kOther };

// The request headers that the protocol gives a meaning. A host recognises them without regard to
// case and passes on their values with outer whitespace trimmed.
enum class HeaderId : uint8_t {
  kContentType,
  kStreamSeq,
  kStreamTtl,
  kStreamExpiresAt,
  kStreamMaxAge,
  kStreamMaxBytes,
  kStreamClosed,
  kStreamForkedFrom,
  kStreamForkOffset,
  kStreamForkSubOffset,
  kProducerId,
  kProducerEpoch,
  kProducerSeq,
  kIfMatch,
  kIfNoneMatch,
  kCount,
};
inline constexpr size_t kHeaderCount = static_cast<size_t>(HeaderId::kCount);

// The header that `name` names, in any case, or nothing.
std::optional<HeaderId> header_id(std::string_view name);

// A request as a host received it. All views are borrowed for the duration of one call.
struct RequestText {
  Method method = Method::kOther;
  // The canonical stream path "<project>/<stream...>" made by parse_stream_path().
  std::string_view path;
  // What follows '?' in the target, undecoded; empty if there is none.
  std::string_view query;
  std::array<std::optional<std::string_view>, kHeaderCount> headers;
  // Headers that came twice with different meaning possible. If-None-Match is a list: a host joins
  // repeated ones with ", ". Any other repetition sets this and is answered 400.
  bool repeated_header = false;
  // The whole body, decoded from its transfer coding.
  std::string_view body;
  // "http://host:port", the origin that the client sees, for Location. Empty if unknown.
  std::string_view origin;
  // The path of the target as it was sent, for Location.
  std::string_view raw_path;

  std::optional<std::string_view> header(HeaderId id) const {
    return headers[static_cast<size_t>(id)];
  }
};

// A producer's tuple (PROTOCOL §5.2.1). epoch and seq are at most 2^53 - 1.
struct ProducerTuple {
  std::string_view id;  // 1 to kProducerIdBytesMax bytes, printable
  uint64_t epoch = 0;
  uint64_t seq = 0;
};
inline constexpr size_t kProducerIdBytesMax = 256;
inline constexpr size_t kStreamSeqBytesMax = 1024;
inline constexpr size_t kContentTypeBytesMax = 256;
inline constexpr uint64_t kIntegerMax = (uint64_t{1} << 53) - 1;
// About 317 years, so that no deadline overflows an Instant. For Stream-Max-Age too.
inline constexpr uint64_t kTtlSecondsMax = 10000000000;

// A body, checked for its content type. For JSON, `elements` are the messages' ranges in `bytes`
// (the elements of a top-level array, or the one value), outer whitespace trimmed. Borrows both.
struct Body {
  std::string_view bytes;
  bool json = false;
  std::span<const JsonElement> elements;

  // The number of bytes that the body takes up in the stream: JSON elements each gain a comma.
  uint64_t stored_bytes() const;
  // Appends exactly stored_bytes() bytes.
  void append_stored(std::string& out) const;
};

// Whether a JSON body may be `[]` (PROTOCOL §9.1.3): it may create a stream, but not append to one.
enum class EmptyArray : uint8_t { kRefused, kAllowed };

// Checks `bytes` as a body of `content_type` and sets `out`, which borrows `bytes` and `elements`
// (replaced). Of no bytes at all makes an empty body, whatever the type. Errors: kInvalidJson,
// kJsonTooDeep, kEmptyArray; kBodyTooLarge from 4 GiB of JSON on. parse_request() calls it, but for
// a fork that inherits its source's type: whoever knows the type must.
ErrorCode check_body(std::string_view bytes, std::string_view content_type, EmptyArray empty_array,
                     std::vector<JsonElement>& elements, Body& out);

struct ForkSource {
  std::string_view path;  // canonical stream path of the source; valid as long as the parse buffers
  // Absent: the source's tail. The zero-zero offset is the beginning of any source.
  std::optional<Offset> offset;
  std::string_view offset_text;  // as requested, "" if absent
  uint64_t sub_offset = 0;       // above 0 only with `offset`
};

struct CreateRequest {
  std::string_view content_type;  // "" if the header is absent
  std::optional<uint64_t> ttl_seconds;
  std::optional<Instant> expires_at;
  // Retention: older messages, and the oldest ones beyond so many stored bytes, may go.
  std::optional<uint64_t> max_age_seconds;  // above 0
  std::optional<uint64_t> max_bytes;        // above 0
  bool closed = false;
  std::optional<ForkSource> fork;
  Body body;  // checked as JSON only if content_type says JSON: see check_body
};

struct AppendRequest {
  std::string_view content_type;  // "" only if the body is empty
  bool close = false;
  std::optional<ProducerTuple> producer;
  std::optional<std::string_view> stream_seq;
  // If-Match: kOffset for the offset that the tail must have; kAny for "*"; kNever for a tag that
  // cannot be a tail of ours and so never matches.
  enum class Match : uint8_t { kNone, kAny, kOffset, kNever };
  Match match = Match::kNone;
  Offset match_offset;
  Body body;  // empty only if close
};

enum class LiveMode : uint8_t { kCatchUp, kLongPoll, kSse };

struct ReadRequest {
  OffsetParam offset;  // kBeginning if absent
  bool offset_present = false;
  LiveMode live = LiveMode::kCatchUp;
  std::optional<uint64_t> cursor;  // a cursor that is not a number of ours is ignored
  std::string_view if_none_match;  // "" if absent
};

struct HeadRequest {};
struct DeleteRequest {};

using Request = std::variant<CreateRequest, AppendRequest, ReadRequest, HeadRequest, DeleteRequest>;

// Buffers that a parsed request may point into besides the request's own text (a decoded fork
// source). Reused from call to call, so that the common path does not allocate.
struct ParseScratch {
  std::string fork_path;
  std::string query_value;
  std::vector<JsonElement> elements;
};

// Checks all that can be checked without a stream. The result borrows from `text` and `scratch`.
// HEAD and DELETE have no query, GET no protocol headers but If-None-Match: what they do not use is
// not looked at. The producer headers of a PUT are checked but mean nothing yet.
// REQUIRES: text.method is kGet, kHead, kPut, kPost or kDelete.
Result<Request, ErrorCode> parse_request(const RequestText& text, ParseScratch& scratch);

}  // namespace ds::wire
