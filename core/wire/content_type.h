// Media types (PROTOCOL §9): compared without parameters and case.
#pragma once

#include <cstdint>
#include <string_view>

namespace ds::wire {

// How the bytes of a stream are framed and shown to live readers.
enum class ContentKind : uint8_t {
  kJson,    // application/json: messages, arrays flattened, read as one array
  kText,    // text/*: SSE carries it as UTF-8
  kBinary,  // everything else: SSE carries it as base64
};

ContentKind content_kind(std::string_view content_type);

// RFC 9110 §8.3.1: type/subtype in token characters and optional parameters. Only printable ASCII,
// since it is sent back as a header: no tabs between parameters and no obsolete text in quotes.
bool content_type_valid(std::string_view content_type);

bool same_media_type(std::string_view a, std::string_view b);

}  // namespace ds::wire
