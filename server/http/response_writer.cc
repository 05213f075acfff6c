#include "server/http/response_writer.h"

#include <time.h>

#include "core/wire/common_headers.h"
#include "core/wire/errors.h"
#include "core/wire/text.h"

namespace ds::server {

namespace {

constexpr std::string_view kNoContentLine = "HTTP/1.1 204 No Content\r\n";

// Whether a body may follow, whatever the request was (RFC 9110 §6.4.1).
bool status_has_body(uint16_t status) { return status != 204 && status != 304; }

void append_hex16(std::string& out, uint64_t value) {
  char text[16];
  for (int i = 15; i >= 0; --i, value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  out.append(text, sizeof text);
}

}  // namespace

std::string_view status_reason(uint16_t status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

ResponseWriter::ResponseWriter(uint64_t seed) : id_base_(seed) {}

void ResponseWriter::set_time(Instant now) {
  const int64_t second = now.us / 1000000;
  if (second == second_) return;
  second_ = second;
  const auto unix_time = static_cast<time_t>(second);
  tm parts{};
  gmtime_r(&unix_time, &parts);
  char date[64];
  const size_t size = strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  common_.assign(date, size).append(wire::kCommonHeaders);
}

void ResponseWriter::append_common(std::string& out, std::string_view request_id, bool close) {
  out += common_;
  out += "X-Request-Id: ";
  last_id_.clear();
  if (request_id.empty()) {
    // Distinct among all loops; says nothing about how many requests there have been.
    append_hex16(last_id_, (id_base_ + ++ids_) * 0x9e3779b97f4a7c15u);
  } else {
    last_id_ = request_id;
  }
  out += last_id_;
  out += close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n";
}

void ResponseWriter::append_head(std::string& out, const wire::Response& response,
                                 const Framing& framing) {
  if (response.status == 204) {
    out += kNoContentLine;
  } else {
    out += "HTTP/1.1 ";
    wire::append_decimal(out, response.status);
    out += ' ';
    out += status_reason(response.status);
    out += "\r\n";
  }
  wire::append_headers(out, response);
  if (!framing.allow.empty()) out.append("Allow: ").append(framing.allow).append("\r\n");

  const bool is_error = response.error != wire::ErrorCode::kNone;
  if (framing.chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (!framing.until_close && status_has_body(response.status)) {
    std::string error_body;
    if (is_error) wire::append_error_body(error_body, response.error);
    const uint64_t length = is_error ? error_body.size() : response.body_bytes();
    // The length that a GET would have had is not known here, so HEAD leaves it out.
    if (!framing.head_only || length > 0) {
      out += "Content-Length: ";
      wire::append_decimal(out, length);
      out += "\r\n";
    }
    append_common(out, framing.request_id, framing.close);
    if (!framing.head_only) out += error_body;
    return;
  }
  append_common(out, framing.request_id, framing.close);
}

void ResponseWriter::append_preflight(std::string& out, std::string_view request_id, bool close) {
  out += kNoContentLine;
  out += wire::kPreflightHeaders;
  append_common(out, request_id, close);
}

}  // namespace ds::server
