// A request as the shell passes it on: lines of text, then the body. And the head of its answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/wire/request.h"
#include "core/wire/response.h"

namespace ds::worker {

struct IncomingRequest {
  wire::RequestText text;       // without a path
  std::string_view request_id;  // "" if the client sent none that we would echo
  std::string_view reader;      // of an SSE reader that comes back: what open_sse gave it
  Position reader_at;
};

// "METHOD\npath\nquery\norigin\n", then "name:value\n" for each header. Borrows `head` and `body`.
IncomingRequest decode_request(std::string_view head, std::string_view body);

wire::Method method_of(std::string_view name);

// Appends what append_headers() gives, and X-Request-Id.
void append_head(std::string& out, const wire::Response& response, std::string_view request_id);

// The whole body in one piece.
std::string body_of(const wire::Response& response);

// A request id of 16 digits: distinct for every `n` under one seed.
std::string make_request_id(uint64_t seed, uint64_t n);

}  // namespace ds::worker
