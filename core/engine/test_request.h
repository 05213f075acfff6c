// For the engine's tests: requests as clients make them, and answers as texts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/types.h"
#include "core/wire/offset_text.h"
#include "core/wire/request.h"
#include "core/wire/response.h"

namespace ds::engine::test {

inline constexpr Instant kStart{1767225600000000};  // 2026-01-01T00:00:00Z

using wire::ErrorCode;
using wire::HeaderId;

// --- Requests -----------------------------------------------------------------------------------

struct Request {
  wire::Method method = wire::Method::kGet;
  std::string path;  // canonical: "p/name"
  std::string query;
  std::string body;
  std::array<std::optional<std::string>, wire::kHeaderCount> headers;

  Request with(HeaderId id, std::string value) const {
    Request copy = *this;
    copy.headers[static_cast<size_t>(id)] = std::move(value);
    return copy;
  }
  Request closing() const { return with(HeaderId::kStreamClosed, "true"); }
  Request of_type(std::string type) const { return with(HeaderId::kContentType, std::move(type)); }
  Request ttl(uint64_t s) const { return with(HeaderId::kStreamTtl, std::to_string(s)); }
  Request producer(std::string id, uint64_t epoch, uint64_t seq) const {
    return with(HeaderId::kProducerId, std::move(id))
        .with(HeaderId::kProducerEpoch, std::to_string(epoch))
        .with(HeaderId::kProducerSeq, std::to_string(seq));
  }
  Request fork_of(const std::string& source) const {
    return with(HeaderId::kStreamForkedFrom, "/v1/stream/" + source);
  }
  Request at_offset(std::string offset) const {
    return with(HeaderId::kStreamForkOffset, std::move(offset));
  }
  Request sub_offset(uint64_t n) const {
    return with(HeaderId::kStreamForkSubOffset, std::to_string(n));
  }
  Request if_match(const std::string& offset) const {
    return with(HeaderId::kIfMatch, "\"" + offset + "\"");
  }
};

inline Request request(wire::Method method, std::string path) {
  Request out;
  out.method = method;
  out.path = std::move(path);
  return out;
}
inline Request put(std::string path, std::string type = "text/plain", std::string body = "") {
  Request out = request(wire::Method::kPut, std::move(path));
  if (!type.empty()) out = out.of_type(std::move(type));
  out.body = std::move(body);
  return out;
}
inline Request fork(std::string path, const std::string& source) {
  return put(std::move(path), "").fork_of(source);
}
inline Request post(std::string path, std::string body, std::string type = "text/plain") {
  Request out = request(wire::Method::kPost, std::move(path)).of_type(std::move(type));
  out.body = std::move(body);
  return out;
}
inline Request close(std::string path) {
  return request(wire::Method::kPost, std::move(path)).closing();
}
inline Request get(std::string path, std::string query = "") {
  Request out = request(wire::Method::kGet, std::move(path));
  out.query = std::move(query);
  return out;
}
inline Request poll(std::string path, const std::string& offset, const std::string& more = "") {
  return get(std::move(path), "offset=" + offset + "&live=long-poll" + more);
}
inline Request sse(std::string path, const std::string& offset, const std::string& more = "") {
  return get(std::move(path), "offset=" + offset + "&live=sse" + more);
}
inline Request head(std::string path) { return request(wire::Method::kHead, std::move(path)); }
inline Request remove(std::string path) { return request(wire::Method::kDelete, std::move(path)); }

inline std::string text(Offset offset) {
  std::string out;
  wire::append_offset(out, offset);
  return out;
}

// --- Answers ------------------------------------------------------------------------------------

inline std::string body_of(const wire::Response& response) {
  std::string out;
  for (const Slice& slice : response.body) out += slice.bytes;
  return out;
}

// All that a client sees of an answer, as text.
inline std::string seen(const wire::Response& response) {
  std::string out = std::to_string(response.status) + "\r\n";
  wire::append_headers(out, response);
  out += "\r\n";
  if (response.error != ErrorCode::kNone) wire::append_error_body(out, response.error);
  return out + body_of(response);
}

}  // namespace ds::engine::test
