// A JSON scanner that validates (RFC 8259) and splits, and makes no values: numbers of any size and
// lone-surrogate escapes are accepted, raw byte order marks and invalid UTF-8 are not.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ds::wire {

// Nesting deeper than this is refused, so that no parser downstream runs out of stack.
inline constexpr uint32_t kJsonDepthMax = 512;

// A message's bytes within the scanned text: [begin, end), outer whitespace trimmed.
struct JsonElement {
  uint32_t begin = 0;
  uint32_t end = 0;
};

enum class [[nodiscard]] JsonVerdict : uint8_t{
    kValue,       // valid, top level is not an array: one element
    kArray,       // valid, top level is an array: its elements, one level flattened
    kEmptyArray,  // valid, []: no elements
    kInvalid,    kTooDeep,
};

// Replaces the content of `elements`. REQUIRES: text.size() < 2^32.
JsonVerdict scan_json(std::string_view text, std::vector<JsonElement>& elements);

// In the stored form of JSON messages (each followed by ','), the length in bytes of the first
// `count` elements, commas included; nothing if there are fewer. REQUIRES: `stored` is well-formed.
std::optional<uint64_t> stored_json_prefix(std::string_view stored, uint64_t count);

}  // namespace ds::wire
