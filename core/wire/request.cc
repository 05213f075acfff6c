#include "core/wire/request.h"

#include "core/base/assert.h"
#include "core/wire/query_text.h"
#include "core/wire/stream_path.h"
#include "core/wire/text.h"

namespace ds::wire {
namespace {

struct HeaderName {
  std::string_view name;
  HeaderId id;
};
constexpr HeaderName kHeaderNames[] = {
    {"content-type", HeaderId::kContentType},
    {"stream-seq", HeaderId::kStreamSeq},
    {"stream-ttl", HeaderId::kStreamTtl},
    {"stream-max-age", HeaderId::kStreamMaxAge},
    {"stream-max-bytes", HeaderId::kStreamMaxBytes},
    {"stream-expires-at", HeaderId::kStreamExpiresAt},
    {"stream-closed", HeaderId::kStreamClosed},
    {"stream-forked-from", HeaderId::kStreamForkedFrom},
    {"stream-fork-offset", HeaderId::kStreamForkOffset},
    {"stream-fork-sub-offset", HeaderId::kStreamForkSubOffset},
    {"producer-id", HeaderId::kProducerId},
    {"producer-epoch", HeaderId::kProducerEpoch},
    {"producer-seq", HeaderId::kProducerSeq},
    {"if-match", HeaderId::kIfMatch},
    {"if-none-match", HeaderId::kIfNoneMatch},
};
static_assert(sizeof kHeaderNames / sizeof kHeaderNames[0] == kHeaderCount);

bool all_printable(std::string_view text) {
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return true;
  }
  return false;
}

// Only "true" counts, in any case (PROTOCOL §4.1); anything else is as if it were not there.
bool asks_to_close(const RequestText& text) {
  const auto value = text.header(HeaderId::kStreamClosed);
  return value && equals_ignoring_case(*value, "true");
}

ErrorCode parse_content_type(const RequestText& text, std::string_view& out) {
  const auto value = text.header(HeaderId::kContentType);
  if (!value) return ErrorCode::kNone;
  if (value->size() > kContentTypeBytesMax || !content_type_valid(*value)) {
    return ErrorCode::kInvalidContentType;
  }
  out = *value;
  return ErrorCode::kNone;
}

ErrorCode parse_producer(const RequestText& text, std::optional<ProducerTuple>& out) {
  const auto id = text.header(HeaderId::kProducerId);
  const auto epoch_text = text.header(HeaderId::kProducerEpoch);
  const auto seq_text = text.header(HeaderId::kProducerSeq);
  if (!id && !epoch_text && !seq_text) return ErrorCode::kNone;
  if (!id || !epoch_text || !seq_text) return ErrorCode::kIncompleteProducer;
  if (id->empty() || id->size() > kProducerIdBytesMax || !all_printable(*id)) {
    return ErrorCode::kInvalidProducer;
  }
  const auto epoch = parse_decimal(*epoch_text, kIntegerMax);
  const auto seq = parse_decimal(*seq_text, kIntegerMax);
  if (!epoch || !seq) return ErrorCode::kInvalidProducer;
  out = ProducerTuple{*id, *epoch, *seq};
  return ErrorCode::kNone;
}

ErrorCode parse_expiry(const RequestText& text, CreateRequest& out) {
  const auto ttl = text.header(HeaderId::kStreamTtl);
  const auto expires_at = text.header(HeaderId::kStreamExpiresAt);
  if (ttl) {
    out.ttl_seconds = parse_decimal(*ttl, kTtlSecondsMax);
    if (!out.ttl_seconds) return ErrorCode::kInvalidTtl;
  }
  if (expires_at) {
    out.expires_at = parse_rfc3339(*expires_at);
    if (!out.expires_at) return ErrorCode::kInvalidExpiresAt;
  }
  return ttl && expires_at ? ErrorCode::kTtlAndExpiresAt : ErrorCode::kNone;
}

ErrorCode parse_retention(const RequestText& text, CreateRequest& out) {
  if (const auto age = text.header(HeaderId::kStreamMaxAge)) {
    out.max_age_seconds = parse_decimal(*age, kTtlSecondsMax);
    if (!out.max_age_seconds || *out.max_age_seconds == 0) return ErrorCode::kInvalidRetention;
  }
  if (const auto bytes = text.header(HeaderId::kStreamMaxBytes)) {
    out.max_bytes = parse_decimal(*bytes, kIntegerMax);
    if (!out.max_bytes || *out.max_bytes == 0) return ErrorCode::kInvalidRetention;
  }
  return ErrorCode::kNone;
}

std::string_view project_of(std::string_view canonical_path) {
  return canonical_path.substr(0, canonical_path.find('/'));
}

ErrorCode parse_fork(const RequestText& text, ParseScratch& scratch,
                     std::optional<ForkSource>& out) {
  const auto from = text.header(HeaderId::kStreamForkedFrom);
  const auto offset_text = text.header(HeaderId::kStreamForkOffset);
  const auto sub_offset_text = text.header(HeaderId::kStreamForkSubOffset);
  if (!from) {
    return offset_text || sub_offset_text ? ErrorCode::kForkHeaderWithoutSource : ErrorCode::kNone;
  }
  const auto path = parse_stream_path(*from, scratch.fork_path);
  if (!path || project_of(*path) != project_of(text.path)) return ErrorCode::kInvalidForkSource;

  ForkSource fork;
  fork.path = *path;
  if (offset_text) {
    const auto offset = parse_offset(*offset_text);
    // "-1" and "now" are for reading; a fork point is an offset.
    const bool offset_like = offset_text->size() == kOffsetTextBytes;
    if (!offset || !offset_like) return ErrorCode::kInvalidForkOffset;
    fork.offset = offset->at;
    fork.offset_text = *offset_text;
  }
  if (sub_offset_text) {
    const auto sub_offset = parse_decimal(*sub_offset_text, kIntegerMax);
    // Without an offset the fork point is the tail, and nothing lies past it.
    if (!sub_offset || (*sub_offset > 0 && !offset_text)) return ErrorCode::kInvalidForkSubOffset;
    fork.sub_offset = *sub_offset;
  }
  out = fork;
  return ErrorCode::kNone;
}

Result<Request, ErrorCode> parse_create(const RequestText& text, ParseScratch& scratch) {
  CreateRequest request;
  request.closed = asks_to_close(text);
  std::optional<ProducerTuple> producer;
  ErrorCode error = parse_content_type(text, request.content_type);
  if (error == ErrorCode::kNone) error = parse_expiry(text, request);
  if (error == ErrorCode::kNone) error = parse_retention(text, request);
  if (error == ErrorCode::kNone) error = parse_producer(text, producer);
  if (error == ErrorCode::kNone) error = parse_fork(text, scratch, request.fork);
  if (error == ErrorCode::kNone) {
    error = check_body(text.body, request.content_type, EmptyArray::kAllowed, scratch.elements,
                       request.body);
  }
  if (error != ErrorCode::kNone) return error;
  return Request(request);
}

// What lies between the quotes of the one entity tag that `value` is; nothing if it is none.
std::optional<std::string_view> tag_content(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
  const std::string_view content = value.substr(1, value.size() - 2);
  for (const char c : content) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == 0x7f) return std::nullopt;
  }
  return content;
}

// RFC 9110 §13.1.1, for one tag: a stream has one tail, and whoever knows several does not know it.
ErrorCode parse_if_match(const RequestText& text, AppendRequest& out) {
  const auto value = text.header(HeaderId::kIfMatch);
  if (!value) return ErrorCode::kNone;
  if (*value == "*") {
    out.match = AppendRequest::Match::kAny;
    return ErrorCode::kNone;
  }
  const bool weak = value->substr(0, 2) == "W/";
  const auto content = tag_content(weak ? value->substr(2) : *value);
  if (!content) return ErrorCode::kInvalidHeader;
  const auto offset = parse_offset(*content);
  if (weak || !offset || offset->kind != OffsetParam::Kind::kAt) {
    out.match = AppendRequest::Match::kNever;
  } else {
    out.match = AppendRequest::Match::kOffset;
    out.match_offset = offset->at;
  }
  return ErrorCode::kNone;
}

ErrorCode parse_stream_seq(const RequestText& text, AppendRequest& out) {
  out.stream_seq = text.header(HeaderId::kStreamSeq);
  if (!out.stream_seq) return ErrorCode::kNone;
  const bool valid =
      out.stream_seq->size() <= kStreamSeqBytesMax && !has_control_character(*out.stream_seq);
  return valid ? ErrorCode::kNone : ErrorCode::kInvalidHeader;
}

ErrorCode parse_append_body(const RequestText& text, ParseScratch& scratch, AppendRequest& out) {
  // A request that only closes may carry whatever content type its client attaches.
  if (text.body.empty()) return out.close ? ErrorCode::kNone : ErrorCode::kEmptyBody;
  if (!text.header(HeaderId::kContentType)) return ErrorCode::kMissingContentType;
  const ErrorCode error = parse_content_type(text, out.content_type);
  if (error != ErrorCode::kNone) return error;
  return check_body(text.body, out.content_type, EmptyArray::kRefused, scratch.elements, out.body);
}

Result<Request, ErrorCode> parse_append(const RequestText& text, ParseScratch& scratch) {
  AppendRequest request;
  request.close = asks_to_close(text);
  ErrorCode error = parse_producer(text, request.producer);
  if (error == ErrorCode::kNone) error = parse_stream_seq(text, request);
  if (error == ErrorCode::kNone) error = parse_if_match(text, request);
  if (error == ErrorCode::kNone) error = parse_append_body(text, scratch, request);
  if (error != ErrorCode::kNone) return error;
  return Request(request);
}

// One parameter of a read. `live_present` tells a mode that was given from one that was not.
ErrorCode parse_parameter(std::string_view name, std::string_view raw_value, ParseScratch& scratch,
                          ReadRequest& out, bool& live_present) {
  const auto value = decode_query_component(raw_value, scratch.query_value);
  if (name == "offset") {
    const auto offset = value ? parse_offset(*value) : std::nullopt;
    if (!offset || out.offset_present) return ErrorCode::kInvalidOffset;
    out.offset = *offset;
    out.offset_present = true;
  } else if (name == "live") {
    if (!value || live_present) return ErrorCode::kInvalidQuery;
    if (*value == "long-poll") {
      out.live = LiveMode::kLongPoll;
    } else if (*value == "sse") {
      out.live = LiveMode::kSse;
    } else {
      return ErrorCode::kInvalidQuery;
    }
    live_present = true;
  } else if (name == "cursor" && value) {
    if (const auto cursor = parse_decimal(*value, kIntegerMax)) out.cursor = cursor;
  }
  return ErrorCode::kNone;
}

Result<Request, ErrorCode> parse_read(const RequestText& text, ParseScratch& scratch) {
  ReadRequest request;
  bool live_present = false;
  std::string_view left = text.query;
  while (!left.empty()) {
    const size_t separator = left.find('&');
    const std::string_view parameter = left.substr(0, separator);
    left = separator == std::string_view::npos ? std::string_view{} : left.substr(separator + 1);
    const size_t equals = parameter.find('=');
    // Names are short: the decoded one is compared before the buffer is used again for its value.
    const auto name = decode_query_component(parameter.substr(0, equals), scratch.query_value);
    if (!name) continue;  // no name of ours
    const std::string_view known = *name == "offset"   ? "offset"
                                   : *name == "live"   ? "live"
                                   : *name == "cursor" ? "cursor"
                                                       : "";
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : parameter.substr(equals + 1);
    const ErrorCode error = parse_parameter(known, value, scratch, request, live_present);
    if (error != ErrorCode::kNone) return error;
  }
  if (live_present && !request.offset_present) return ErrorCode::kOffsetRequired;
  request.if_none_match = text.header(HeaderId::kIfNoneMatch).value_or(std::string_view{});
  return Request(request);
}

}  // namespace

std::optional<HeaderId> header_id(std::string_view name) {
  for (const HeaderName& known : kHeaderNames) {
    if (name.size() != known.name.size()) continue;
    if (equals_ignoring_case(name, known.name)) return known.id;
  }
  return std::nullopt;
}

uint64_t Body::stored_bytes() const {
  if (!json) return bytes.size();
  uint64_t total = 0;
  for (const JsonElement& element : elements) total += element.end - element.begin + uint64_t{1};
  return total;
}

void Body::append_stored(std::string& out) const {
  if (!json) {
    out += bytes;
    return;
  }
  // What follows with nothing but a comma in between is stored as it is.
  for (size_t i = 0; i < elements.size(); ++i) {
    const uint32_t begin = elements[i].begin;
    while (i + 1 < elements.size() && elements[i + 1].begin == elements[i].end + 1) ++i;
    out += bytes.substr(begin, elements[i].end - begin);
    out += ',';
  }
}

ErrorCode check_body(std::string_view bytes, std::string_view content_type, EmptyArray empty_array,
                     std::vector<JsonElement>& elements, Body& out) {
  elements.clear();
  out = Body{bytes, content_kind(content_type) == ContentKind::kJson, {}};
  if (!out.json || bytes.empty()) return ErrorCode::kNone;
  if (bytes.size() > UINT32_MAX) return ErrorCode::kBodyTooLarge;
  switch (scan_json(bytes, elements)) {
    case JsonVerdict::kValue:
    case JsonVerdict::kArray:
      out.elements = elements;
      return ErrorCode::kNone;
    case JsonVerdict::kEmptyArray:
      return empty_array == EmptyArray::kAllowed ? ErrorCode::kNone : ErrorCode::kEmptyArray;
    case JsonVerdict::kTooDeep:
      return ErrorCode::kJsonTooDeep;
    case JsonVerdict::kInvalid:
      break;
  }
  return ErrorCode::kInvalidJson;
}

Result<Request, ErrorCode> parse_request(const RequestText& text, ParseScratch& scratch) {
  if (text.repeated_header) return ErrorCode::kRepeatedHeader;
  switch (text.method) {
    case Method::kGet:
      return parse_read(text, scratch);
    case Method::kHead:
      return Request(HeadRequest{});
    case Method::kPut:
      return parse_create(text, scratch);
    case Method::kPost:
      return parse_append(text, scratch);
    case Method::kDelete:
      return Request(DeleteRequest{});
    case Method::kOptions:
    case Method::kOther:
      break;
  }
  DS_ASSERT(false && "the caller answers other methods itself");
  return ErrorCode::kMethodNotAllowed;
}

}  // namespace ds::wire
