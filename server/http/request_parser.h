// The head of one HTTP/1.x request at a time (RFC 9112). Strict: whatever two
// implementations could read differently is refused, so that no request can be smuggled past a
// proxy. The grammar is Boost.Beast's; the rules on top of it are in request_parser.cc.
//
// The result depends on the bytes alone, not on how they were cut on their way here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/wire/errors.h"
#include "core/wire/request.h"

namespace ds::server {

struct ParserLimits {
  size_t head_bytes_max = 16 << 10;
  size_t uri_bytes_max = 8 << 10;
  size_t headers_max = 100;
};

// The head of a request. Views point into the bytes that were parsed, or into the parser.
struct RequestHead {
  // method, headers and repeated_header are filled in; path, query and body are not.
  wire::RequestText text;
  std::string_view method;
  std::string_view target;
  std::string_view host;
  std::string_view request_id;  // X-Request-Id, "" if absent or not to be echoed
  // X-Forwarded-*, to be believed from trusted proxies only. Lines and lists grow on their way
  // here: these are the first elements of the first lines. "" for a host that is none.
  std::string_view forwarded_host;
  std::string_view forwarded_proto;
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool http11 = false;
  bool keep_alive = false;
  bool expects_continue = false;

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

class RequestParser {
 public:
  explicit RequestParser(const ParserLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  enum class [[nodiscard]] Status : uint8_t{
      kNeedMore, kDone,
      kFailed,  // answer problem() and close: nothing after it can be trusted
  };

  // Begins a new request.
  void reset();

  // `input` is all that has been received of this request, from its first byte; it may grow and
  // move from call to call until kDone. Then the head took up head_bytes() of it.
  Status parse_head(std::string_view input);
  size_t head_bytes() const;
  // REQUIRES: parse_head was kDone, and its input is still where it was.
  RequestHead& head();

  // REQUIRES: the last status was kFailed.
  wire::ErrorCode problem() const;

 private:
  class Grammar;
  Status fail(wire::ErrorCode code);
  Status scan(std::string_view input);

  ParserLimits limits_;
  std::unique_ptr<Grammar> grammar_;
  size_t scanned_ = 0;     // every line that ends before this has been looked at
  size_t line_begin_ = 0;  // of the first line that has not ended
  size_t lines_ = 0;       // that have ended
  size_t head_bytes_ = 0;
  wire::ErrorCode problem_ = wire::ErrorCode::kNone;
};

}  // namespace ds::server
