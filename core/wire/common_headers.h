// Header lines that never change: what every answer carries for browsers, and the answer to a
// preflight. The same on every host.
#pragma once

#include <string_view>

namespace ds::wire {

// Header names cannot be listed as "*": it would leave out Authorization, and older browsers read
// it as a name.
inline constexpr std::string_view kCommonHeaders =
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Expose-Headers: Stream-Next-Offset, Stream-Earliest-Offset, Stream-Cursor, "
    "Stream-Up-To-Date, "
    "Stream-Closed, Stream-TTL, Stream-Expires-At, Stream-Max-Age, Stream-Max-Bytes, "
    "Stream-Write-Timestamp, "
    "stream-sse-data-encoding, Producer-Epoch, Producer-Seq, Producer-Expected-Seq, "
    "Producer-Received-Seq, ETag, Location, Retry-After, X-Request-Id\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Cross-Origin-Resource-Policy: cross-origin\r\n";

// Of the 204 that answers OPTIONS.
inline constexpr std::string_view kPreflightHeaders =
    "Allow: GET, HEAD, PUT, POST, DELETE, OPTIONS\r\n"
    "Access-Control-Allow-Methods: GET, HEAD, PUT, POST, DELETE, OPTIONS\r\n"
    "Access-Control-Allow-Headers: Authorization, Content-Type, If-Match, If-None-Match, "
    "Cache-Control, Last-Event-ID, Stream-Seq, Stream-TTL, Stream-Expires-At, Stream-Max-Age, "
    "Stream-Max-Bytes, Stream-Closed, "
    "Stream-Cursor, Stream-Forked-From, Stream-Fork-Offset, Stream-Fork-Sub-Offset, Producer-Id, "
    "Producer-Epoch, Producer-Seq, X-Request-Id\r\n"
    "Access-Control-Max-Age: 86400\r\n"
    "Cache-Control: no-store\r\n";

}  // namespace ds::wire
