#include "core/wire/response.h"

#include "core/wire/offset_text.h"
#include "core/wire/text.h"

namespace ds::wire {
namespace {

void append_number(std::string& out, std::string_view name, std::optional<uint64_t> value) {
  if (!value) return;
  out += name;
  append_decimal(out, *value);
  out += "\r\n";
}

void append_text(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += name;
  out += value;
  out += "\r\n";
}

void append_cache_control(std::string& out, const Response& response) {
  const CachePolicy& cache = response.cache;
  switch (response.sse ? CachePolicy::Kind::kNoCache : cache.kind) {
    case CachePolicy::Kind::kNoStore:
      out += "Cache-Control: no-store\r\n";
      return;
    case CachePolicy::Kind::kNoCache:
      out += "Cache-Control: no-cache\r\n";
      return;
    case CachePolicy::Kind::kPublic:
      out += "Cache-Control: public, max-age=";
      append_decimal(out, cache.max_age_seconds);
      if (cache.stale_while_revalidate_seconds > 0) {
        out += ", stale-while-revalidate=";
        append_decimal(out, cache.stale_while_revalidate_seconds);
      }
      out += "\r\n";
      return;
  }
}

void append_content(std::string& out, const Response& response) {
  if (response.sse) {
    out += "Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n";
    if (response.sse_base64) out += "stream-sse-data-encoding: base64\r\n";
  } else if (response.error != ErrorCode::kNone) {
    out += "Content-Type: application/json\r\n";
  } else {
    append_text(out, "Content-Type: ", response.content_type.bytes);
  }
}

void append_etags(std::string& out, const Response& response) {
  if (response.etag) {
    out += "ETag: ";
    append_etag(out, *response.etag);
    out += "\r\n";
  } else if (response.tail_etag) {
    out += "ETag: \"";
    append_offset(out, *response.tail_etag);
    out += "\"\r\n";
  }
}

void append_expiry(std::string& out, const Response& response) {
  append_number(out, "Stream-TTL: ", response.ttl_seconds);
  append_number(out, "Stream-Max-Age: ", response.max_age_seconds);
  append_number(out, "Stream-Max-Bytes: ", response.max_bytes);
  if (response.expires_at) {
    out += "Stream-Expires-At: ";
    append_rfc3339(out, *response.expires_at);
    out += "\r\n";
  }
}

}  // namespace

Response error_response(ErrorCode code) {
  Response response;
  response.status = error_info(code).status;
  response.error = code;
  response.allow_stream_methods = code == ErrorCode::kMethodNotAllowed;
  // Whoever is refused for now is told when to come back.
  const bool for_now = response.status == 429 || response.status == 503 || response.status == 507;
  if (for_now) response.retry_after_seconds = 1;
  return response;
}

void append_headers(std::string& out, const Response& response) {
  append_content(out, response);
  append_cache_control(out, response);
  if (response.next_offset) {
    out += "Stream-Next-Offset: ";
    append_offset(out, *response.next_offset);
    out += "\r\n";
  }
  if (response.earliest_offset) {
    out += "Stream-Earliest-Offset: ";
    append_offset(out, *response.earliest_offset);
    out += "\r\n";
  }
  if (response.up_to_date) out += "Stream-Up-To-Date: true\r\n";
  if (response.closed) out += "Stream-Closed: true\r\n";
  append_number(out, "Stream-Cursor: ", response.cursor);
  append_number(out, "Producer-Epoch: ", response.producer_epoch);
  append_number(out, "Producer-Seq: ", response.producer_seq);
  append_number(out, "Producer-Expected-Seq: ", response.expected_seq);
  append_number(out, "Producer-Received-Seq: ", response.received_seq);
  append_expiry(out, response);
  append_number(out, "Stream-Write-Timestamp: ", response.write_timestamp_ms);
  append_etags(out, response);
  append_text(out, "Location: ", response.location);
  append_number(out, "Retry-After: ", response.retry_after_seconds);
  if (response.allow_stream_methods) out += "Allow: GET, HEAD, PUT, POST, DELETE, OPTIONS\r\n";
}

void append_error_body(std::string& out, ErrorCode code) {
  const ErrorInfo& info = error_info(code);
  out += "{\"code\":\"";
  append_json_escaped(out, info.code);
  out += "\",\"error\":\"";
  append_json_escaped(out, info.sentence);
  out += "\"}";
}

}  // namespace ds::wire
