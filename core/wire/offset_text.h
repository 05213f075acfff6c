// Offsets as text (PROTOCOL §8): "%016d_%016d", incarnation and position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"

namespace ds::wire {

inline constexpr size_t kOffsetTextBytes = 33;

// Appends the 33 bytes of an offset. REQUIRES: both numbers have at most 16 decimal digits.
void append_offset(std::string& out, Offset offset);

// What a client may pass as an offset.
struct OffsetParam {
  enum class Kind : uint8_t {
    kBeginning,  // "-1", or the zero-zero offset: the beginning of any stream
    kNow,        // "now": the tail
    kAt,         // an offset of ours
  };
  Kind kind = Kind::kBeginning;
  Offset at;                // meaningful for kAt only
  bool names_life = false;  // false for "-1", "now" and zero-zero
};

// Nothing if `text` is none of these. Accepts exactly what append_offset writes: 16 digits, '_', 16
// digits.
std::optional<OffsetParam> parse_offset(std::string_view text);

}  // namespace ds::wire
