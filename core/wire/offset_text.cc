#include "core/wire/offset_text.h"

#include "core/base/assert.h"

namespace ds::wire {
namespace {

constexpr size_t kDigits = 16;
constexpr uint64_t kHalfEnd = 100000000;
constexpr uint64_t kNumberEnd = 10000000000000000;  // 10^16: the first with 17 digits
static_assert(kOffsetTextBytes == 2 * kDigits + 1);

// Eight digits. REQUIRES: value < 10^8.
void put_half(char* out, uint32_t value) {
  for (size_t i = kDigits / 2; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

// Offsets are in every answer. Two halves at a time divide in 32 bits, side by side.
void put_padded(char* out, uint64_t value) {
  DS_ASSERT(value < kNumberEnd);
  put_half(out, static_cast<uint32_t>(value / kHalfEnd));
  put_half(out + kDigits / 2, static_cast<uint32_t>(value % kHalfEnd));
}

std::optional<uint64_t> parse_padded(std::string_view text) {
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

}  // namespace

void append_offset(std::string& out, Offset offset) {
  char text[kOffsetTextBytes];
  put_padded(text, offset.life.value);
  text[kDigits] = '_';
  put_padded(text + kDigits + 1, offset.position.value);
  out.append(text, sizeof text);
}

std::optional<OffsetParam> parse_offset(std::string_view text) {
  if (text == "-1") return OffsetParam{};
  if (text == "now") return OffsetParam{OffsetParam::Kind::kNow, {}, false};
  if (text.size() != kOffsetTextBytes || text[kDigits] != '_') return std::nullopt;
  const auto life = parse_padded(text.substr(0, kDigits));
  const auto position = parse_padded(text.substr(kDigits + 1));
  if (!life || !position) return std::nullopt;
  if (*life == 0 && *position == 0) return OffsetParam{};
  return OffsetParam{OffsetParam::Kind::kAt, Offset{Incarnation{*life}, Position{*position}}, true};
}

}  // namespace ds::wire
