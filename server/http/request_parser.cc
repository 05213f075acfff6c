#include "server/http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cstring>
#include <optional>
#include <utility>

#include "core/wire/text.h"
#include "server/http/host_name.h"

namespace ds::server {

namespace http = boost::beast::http;
using boost::beast::error_code;
using wire::ErrorCode;
using wire::HeaderId;

namespace {

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

wire::Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return wire::Method::kGet;
    case http::verb::head:
      return wire::Method::kHead;
    case http::verb::put:
      return wire::Method::kPut;
    case http::verb::post:
      return wire::Method::kPost;
    case http::verb::delete_:
      return wire::Method::kDelete;
    case http::verb::options:
      return wire::Method::kOptions;
    default:
      return wire::Method::kOther;
  }
}

bool request_id_valid(std::string_view id) {
  if (id.empty() || id.size() > 64) return false;
  for (char c : id) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && c != '-' && c != '_' && c != '.' && c != ':') return false;
  }
  return true;
}

bool all_digits(std::string_view text) {
  for (char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}

}  // namespace

// Beast's grammar with our rules in its callbacks. A parser of Beast's takes one message: it is
// made anew for each, in place.
class RequestParser::Grammar {
 public:
  explicit Grammar(uint32_t head_bytes_max) : head_bytes_max_(head_bytes_max) { reset(); }

  void reset() { parser_.emplace(*this, head_bytes_max_); }

  // The whole head at once.
  ErrorCode parse(std::string_view head_text) {
    head = RequestHead();
    hosts_ = lengths_ = codings_ = forwarded_hosts_ = forwarded_protos_ = 0;
    fault_ = ErrorCode::kNone;
    error_code error;
    parser_->put(boost::asio::const_buffer(head_text.data(), head_text.size()), error);
    if (fault_ != ErrorCode::kNone) return fault_;
    if (error == http::error::bad_version) return version_fault(head_text);
    if (error && error != http::error::need_more) return ErrorCode::kMalformedRequest;
    if (!parser_->is_header_done()) return ErrorCode::kMalformedRequest;
    if (head.http11 ? hosts_ != 1 : hosts_ > 1) return ErrorCode::kMalformedRequest;
    if (head.chunked && (lengths_ > 0 || !head.http11)) return ErrorCode::kMalformedRequest;
    if (!head.http11) head.expects_continue = false;
    head.keep_alive = head.http11 && parser_->keep_alive();
    return ErrorCode::kNone;
  }

  RequestHead head;

 private:
  class Parser : public http::basic_parser<true> {
   public:
    Parser(Grammar& grammar, uint32_t head_bytes_max) : grammar_(grammar) {
      header_limit(head_bytes_max);
      body_limit(UINT64_MAX);  // none would be a limit of nothing in some versions
    }

   private:
    void on_request_impl(http::verb verb, boost::beast::string_view method,
                         boost::beast::string_view target, int version, error_code&) override {
      RequestHead& parsed = grammar_.head;
      parsed.text.method = method_of(verb);
      parsed.method = view(method);
      parsed.target = view(target);
      parsed.http11 = version == 11;
    }
    void on_field_impl(http::field field, boost::beast::string_view name,
                       boost::beast::string_view value, error_code& error) override {
      const ErrorCode fault = grammar_.on_field(field, view(name), view(value));
      if (fault == ErrorCode::kNone) return;
      grammar_.fault_ = fault;
      error = http::error::bad_value;
    }
    void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
    size_t on_body_impl(boost::beast::string_view, error_code&) override { return 0; }
    void on_chunk_header_impl(uint64_t, boost::beast::string_view, error_code&) override {}
    size_t on_chunk_body_impl(uint64_t, boost::beast::string_view, error_code&) override {
      return 0;
    }
    void on_finish_impl(error_code&) override {}

    Grammar& grammar_;
  };

  // "HTTP/2.0" is a version that we do not speak; "HTTP/x" is no version at all, and neither is
  // what follows the space in a target that has one.
  static ErrorCode version_fault(std::string_view head_text) {
    const std::string_view line = head_text.substr(0, head_text.find('\r'));
    const std::string_view version = line.substr(line.rfind(' ') + 1);
    const auto digit = [&](size_t i) { return version[i] >= '0' && version[i] <= '9'; };
    const bool three_words = std::count(line.begin(), line.end(), ' ') == 2;
    const bool well_formed = three_words && version.size() == 8 && version.starts_with("HTTP/") &&
                             digit(5) && version[6] == '.' && digit(7);
    return well_formed ? ErrorCode::kHttpVersion : ErrorCode::kMalformedRequest;
  }

  ErrorCode on_field(http::field field, std::string_view name, std::string_view value) {
    switch (field) {
      case http::field::host:
        ++hosts_;
        head.host = value;
        return is_host(value) ? ErrorCode::kNone : ErrorCode::kMalformedRequest;
      case http::field::content_length:
        if (++lengths_ > 1 || !all_digits(value)) return ErrorCode::kMalformedRequest;
        head.content_length = wire::parse_decimal(value, UINT64_MAX);
        return head.content_length ? ErrorCode::kNone : ErrorCode::kMalformedRequest;
      case http::field::transfer_encoding:
        if (lengths_ > 0 || ++codings_ > 1) return ErrorCode::kMalformedRequest;
        if (!boost::beast::iequals({value.data(), value.size()}, "chunked")) {
          return ErrorCode::kNotImplemented;
        }
        head.chunked = true;
        return ErrorCode::kNone;
      case http::field::expect:
        if (!boost::beast::iequals({value.data(), value.size()}, "100-continue")) {
          return ErrorCode::kExpectationFailed;
        }
        head.expects_continue = true;
        return ErrorCode::kNone;
      case http::field::content_type:
        set(HeaderId::kContentType, value);
        return ErrorCode::kNone;
      case http::field::if_match:
        set(HeaderId::kIfMatch, value);
        return ErrorCode::kNone;
      case http::field::if_none_match:
        set(HeaderId::kIfNoneMatch, value);
        return ErrorCode::kNone;
      case http::field::unknown:
        on_other_field(name, value);
        return ErrorCode::kNone;
      default:
        return ErrorCode::kNone;
    }
  }

  void on_other_field(std::string_view name, std::string_view value) {
    if ((name[0] | 0x20) == 'x') {
      const auto is = [&](const char* other) {
        return boost::beast::iequals({name.data(), name.size()}, other);
      };
      if (is("X-Request-Id")) {
        if (request_id_valid(value)) head.request_id = value;
      } else if (is("X-Forwarded-Host")) {
        const std::string_view host = first_element(value);
        if (++forwarded_hosts_ == 1 && is_host(host)) head.forwarded_host = host;
      } else if (is("X-Forwarded-Proto")) {
        if (++forwarded_protos_ == 1) head.forwarded_proto = first_element(value);
      }
      return;
    }
    if (const auto id = wire::header_id(name)) set(*id, value);
  }

  void set(HeaderId id, std::string_view value) {
    std::optional<std::string_view>& slot = head.text.headers[static_cast<size_t>(id)];
    if (!slot) {
      slot = value;
    } else if (id == HeaderId::kIfNoneMatch) {
      // May be what `slot` already points at: build the longer list beside it.
      std::string joined(*slot);
      joined.append(", ").append(value);
      joined_ = std::move(joined);
      slot = joined_;
    } else {
      head.text.repeated_header = true;
    }
  }

  const uint32_t head_bytes_max_;
  std::optional<Parser> parser_;
  std::string joined_;  // a repeated If-None-Match
  uint32_t hosts_ = 0;
  uint32_t lengths_ = 0;
  uint32_t codings_ = 0;
  uint32_t forwarded_hosts_ = 0;
  uint32_t forwarded_protos_ = 0;
  ErrorCode fault_ = ErrorCode::kNone;
};

RequestParser::RequestParser(const ParserLimits& limits)
    : limits_(limits),
      grammar_(std::make_unique<Grammar>(static_cast<uint32_t>(limits.head_bytes_max + 16))) {}

RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  grammar_->reset();
  scanned_ = line_begin_ = lines_ = head_bytes_ = 0;
  problem_ = ErrorCode::kNone;
}

RequestParser::Status RequestParser::fail(ErrorCode code) {
  problem_ = code;
  return Status::kFailed;
}

// Finds the end of the head, line by line, so that the grammar sees it whole and once. What the
// grammar would tolerate is refused here: lone LF, folded lines.
RequestParser::Status RequestParser::scan(std::string_view input) {
  const std::string_view window = input.substr(0, limits_.head_bytes_max);
  constexpr size_t kAroundTarget = 32;  // method, version and blanks
  for (;;) {
    const void* found = scanned_ == window.size()
                            ? nullptr
                            : std::memchr(window.data() + scanned_, '\n', window.size() - scanned_);
    if (found == nullptr) {
      scanned_ = window.size();
      if (lines_ == 0 && scanned_ > limits_.uri_bytes_max + kAroundTarget) {
        return fail(ErrorCode::kUriTooLong);
      }
      const bool folded = lines_ > 0 && line_begin_ < window.size() &&
                          (window[line_begin_] == ' ' || window[line_begin_] == '\t');
      if (folded) return fail(ErrorCode::kMalformedRequest);
      if (input.size() >= limits_.head_bytes_max) return fail(ErrorCode::kHeadersTooLarge);
      return Status::kNeedMore;
    }
    const auto at = static_cast<size_t>(static_cast<const char*>(found) - window.data());
    if (lines_ == 0 && at > limits_.uri_bytes_max + kAroundTarget) {
      return fail(ErrorCode::kUriTooLong);
    }
    const char first = window[line_begin_];
    if (lines_ > 0 && (first == ' ' || first == '\t')) return fail(ErrorCode::kMalformedRequest);
    if (at == line_begin_ || window[at - 1] != '\r') return fail(ErrorCode::kMalformedRequest);
    scanned_ = at + 1;
    const bool blank = at == line_begin_ + 1;
    line_begin_ = scanned_;
    if (blank) {
      if (lines_ == 0) return fail(ErrorCode::kMalformedRequest);
      head_bytes_ = scanned_;
      return Status::kDone;
    }
    if (++lines_ > limits_.headers_max + 1) return fail(ErrorCode::kHeadersTooLarge);
  }
}

RequestParser::Status RequestParser::parse_head(std::string_view input) {
  const Status scanned = scan(input);
  if (scanned != Status::kDone) return scanned;
  const ErrorCode fault = grammar_->parse(input.substr(0, head_bytes_));
  if (fault != ErrorCode::kNone) return fail(fault);
  if (head().target.size() > limits_.uri_bytes_max) return fail(ErrorCode::kUriTooLong);
  return Status::kDone;
}

size_t RequestParser::head_bytes() const { return head_bytes_; }
RequestHead& RequestParser::head() { return grammar_->head; }
wire::ErrorCode RequestParser::problem() const { return problem_; }

}  // namespace ds::server
