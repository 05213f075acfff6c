// Server-sent event frames (PROTOCOL §5.8).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/wire/content_type.h"

namespace ds::wire {

// Appends one `event: data` frame. `stored` is in stored form: for JSON the messages with their
// commas (shown as one array, last comma dropped), for text UTF-8 (invalid sequences become U+FFFD,
// lines split on CRLF, CR and LF), for binary the bytes (shown as base64). There is no space after
// "data:", except one extra before a line that itself begins with a space.
void append_sse_data(std::string& out, ContentKind kind, std::string_view stored);

struct SseControl {
  Offset next_offset;
  std::optional<uint64_t> cursor;  // absent only when closed
  bool up_to_date = false;
  bool closed = false;
};

// Appends one `event: control` frame with flat JSON.
void append_sse_control(std::string& out, const SseControl& control);

// A comment that keeps proxies from closing an idle connection.
inline constexpr std::string_view kSseHeartbeat = ": heartbeat\n\n";

}  // namespace ds::wire
