#include "worker/wasm/request_text.h"

#include "core/wire/text.h"

namespace ds::worker {

namespace {

std::string_view take_until(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

bool request_id_valid(std::string_view id) {
  if (id.empty() || id.size() > 64) return false;
  for (const char c : id) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && c != '-' && c != '_' && c != '.' && c != ':') return false;
  }
  return true;
}

constexpr std::string_view kReader = "ds-reader";
constexpr std::string_view kReaderAt = "ds-reader-at";

}  // namespace

wire::Method method_of(std::string_view name) {
  if (name == "GET") return wire::Method::kGet;
  if (name == "POST") return wire::Method::kPost;
  if (name == "HEAD") return wire::Method::kHead;
  if (name == "PUT") return wire::Method::kPut;
  if (name == "DELETE") return wire::Method::kDelete;
  if (name == "OPTIONS") return wire::Method::kOptions;
  return wire::Method::kOther;
}

IncomingRequest decode_request(std::string_view head, std::string_view body) {
  IncomingRequest request;
  wire::RequestText& text = request.text;
  text.method = method_of(take_until(head, '\n'));
  text.raw_path = take_until(head, '\n');
  text.query = take_until(head, '\n');
  text.origin = take_until(head, '\n');
  text.body = body;
  while (!head.empty()) {
    std::string_view value = take_until(head, '\n');
    const std::string_view name = take_until(value, ':');
    if (const auto id = wire::header_id(name)) {
      text.headers[static_cast<size_t>(*id)] = value;
    } else if (name == "x-request-id") {
      if (request_id_valid(value)) request.request_id = value;
    } else if (name == kReader) {
      request.reader = value;
    } else if (name == kReaderAt) {
      request.reader_at = Position{wire::parse_decimal(value, UINT64_MAX).value_or(0)};
    }
  }
  return request;
}

void append_head(std::string& out, const wire::Response& response, std::string_view request_id) {
  wire::append_headers(out, response);
  out.append("X-Request-Id: ").append(request_id).append("\r\n");
}

std::string body_of(const wire::Response& response) {
  std::string body;
  if (response.error != wire::ErrorCode::kNone) {
    wire::append_error_body(body, response.error);
    return body;
  }
  body.reserve(static_cast<size_t>(response.body_bytes()));
  for (const Slice& part : response.body) body.append(part.bytes);
  return body;
}

std::string make_request_id(uint64_t seed, uint64_t n) {
  std::string id(16, '0');
  uint64_t value = (seed + n) * 0x9e3779b97f4a7c15u;
  for (size_t i = 16; i-- > 0; value >>= 4) id[i] = "0123456789abcdef"[value & 15];
  return id;
}

}  // namespace ds::worker
