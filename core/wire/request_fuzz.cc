// A request made of arbitrary bytes is refused with a 400 or parsed into values within their
// limits, the same way each time. What a header or parameter means is what it says: its value,
// written again, is its text.
//
// Input: a byte that chooses the method, two that choose the headers, and lines: query, body,
// header values.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/cursor.h"
#include "core/wire/offset_text.h"
#include "core/wire/request.h"
#include "core/wire/text.h"

namespace {

using namespace ds::wire;

std::string decimal(uint64_t value) {
  std::string text;
  append_decimal(text, value);
  return text;
}

std::string offset_text(ds::Offset offset) {
  std::string text;
  append_offset(text, offset);
  return text;
}

void check_body(const RequestText& text, const Body& body) {
  std::string stored;
  body.append_stored(stored);
  DS_ASSERT(stored.size() == body.stored_bytes());
  DS_ASSERT(stored.size() <= text.body.size() + 1);
  DS_ASSERT(body.json || stored == text.body);
}

void check_append(const RequestText& text, const AppendRequest& append) {
  DS_ASSERT(append.close || !append.body.bytes.empty());
  DS_ASSERT(append.content_type.size() <= kContentTypeBytesMax);
  check_body(text, append.body);
  DS_ASSERT(append.close ==
            equals_ignoring_case(text.header(HeaderId::kStreamClosed).value_or(""), "true"));

  const bool asked = text.header(HeaderId::kProducerId).has_value();
  DS_ASSERT(append.producer.has_value() == asked);
  if (asked) {
    DS_ASSERT(append.producer->epoch <= kIntegerMax);
    DS_ASSERT(append.producer->seq <= kIntegerMax);
    DS_ASSERT(append.producer->id == *text.header(HeaderId::kProducerId));
    DS_ASSERT(decimal(append.producer->epoch) == *text.header(HeaderId::kProducerEpoch));
    DS_ASSERT(decimal(append.producer->seq) == *text.header(HeaderId::kProducerSeq));
  }
  DS_ASSERT(append.stream_seq == text.header(HeaderId::kStreamSeq));
  const auto match = text.header(HeaderId::kIfMatch);
  DS_ASSERT(match.has_value() == (append.match != AppendRequest::Match::kNone));
  if (append.match == AppendRequest::Match::kAny) DS_ASSERT(*match == "*");
  if (append.match == AppendRequest::Match::kOffset) {
    DS_ASSERT(*match == "\"" + offset_text(append.match_offset) + "\"");
  }
}

void check_create(const RequestText& text, const CreateRequest& create) {
  DS_ASSERT(!create.ttl_seconds || !create.expires_at);
  DS_ASSERT(create.ttl_seconds.has_value() == text.header(HeaderId::kStreamTtl).has_value());
  if (create.ttl_seconds) {
    DS_ASSERT(*create.ttl_seconds <= kTtlSecondsMax);
    DS_ASSERT(decimal(*create.ttl_seconds) == *text.header(HeaderId::kStreamTtl));
  }
  DS_ASSERT(create.expires_at.has_value() == text.header(HeaderId::kStreamExpiresAt).has_value());
  if (create.max_age_seconds) {
    DS_ASSERT(*create.max_age_seconds > 0);
    DS_ASSERT(decimal(*create.max_age_seconds) == *text.header(HeaderId::kStreamMaxAge));
  }
  if (create.max_bytes) {
    DS_ASSERT(*create.max_bytes > 0);
    DS_ASSERT(decimal(*create.max_bytes) == *text.header(HeaderId::kStreamMaxBytes));
  }
  check_body(text, create.body);
  if (!create.fork) return;
  DS_ASSERT(create.fork->path.substr(0, 5) == "shop/");
  DS_ASSERT(create.fork->sub_offset == 0 || create.fork->offset);
  if (create.fork->offset) {
    DS_ASSERT(offset_text(*create.fork->offset) == create.fork->offset_text);
  }
  if (const auto sub_offset = text.header(HeaderId::kStreamForkSubOffset)) {
    DS_ASSERT(decimal(create.fork->sub_offset) == *sub_offset);
  }
}

void check_read(const RequestText& text, const ReadRequest& read) {
  DS_ASSERT(read.live == LiveMode::kCatchUp || read.offset_present);
  DS_ASSERT(read.if_none_match == text.header(HeaderId::kIfNoneMatch).value_or(""));
  DS_ASSERT(!read.offset_present || text.query.find('=') != std::string_view::npos);
  // Whatever cursor a client brings, the next one is larger and still a number that it may bring.
  const ds::Instant now{1767323045000000};
  const uint64_t next = cursor_at(now, read.cursor);
  DS_ASSERT(next >= cursor_at(now, std::nullopt));
  if (read.cursor) {
    DS_ASSERT(*read.cursor <= kIntegerMax);
    DS_ASSERT(next > *read.cursor);
  }
}

void check(const RequestText& text, ParseScratch& scratch) {
  const auto result = parse_request(text, scratch);
  if (!result) {
    DS_ASSERT(error_info(result.error()).status == 400);
    return;
  }
  if (const auto* append = std::get_if<AppendRequest>(&*result)) {
    check_append(text, *append);
  } else if (const auto* create = std::get_if<CreateRequest>(&*result)) {
    check_create(text, *create);
  } else if (const auto* read = std::get_if<ReadRequest>(&*result)) {
    check_read(text, *read);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  constexpr Method kMethods[] = {Method::kGet, Method::kHead, Method::kPut, Method::kPost,
                                 Method::kDelete};
  std::string_view left(reinterpret_cast<const char*>(data + 3), size - 3);
  const auto next_line = [&left] {
    const size_t end = left.find('\n');
    const std::string_view line = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    return line;
  };
  RequestText text;
  text.method = kMethods[data[0] % 5];
  text.path = "shop/orders";
  text.query = next_line();
  text.body = next_line();
  const unsigned present = data[1] | static_cast<unsigned>(data[2]) << 8;
  for (size_t i = 0; i < kHeaderCount; ++i) {
    if ((present >> i & 1) != 0) text.headers[i] = next_line();
  }
  ParseScratch scratch;
  check(text, scratch);
  check(text, scratch);  // with buffers that hold something
  return 0;
}
