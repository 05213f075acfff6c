// Numbers that are mostly small, in as few bytes as they need (LEB128): seven bits a byte, the
// lowest first, the high bit set in all but the last. Each number has exactly one spelling.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.h"

namespace ds {

inline constexpr uint32_t kVarintBytesMax = 10;

inline void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// Fails the reader if there is no whole number, one beyond 64 bits, or one with needless bytes.
inline uint64_t take_varint(ByteReader& in) {
  uint64_t value = 0;
  for (uint32_t shift = 0; shift < 64; shift += 7) {
    const auto byte = in.take<uint8_t>();
    const uint64_t bits = byte & 0x7f;
    if ((bits << shift) >> shift != bits) break;
    value |= bits << shift;
    if (byte >= 0x80) continue;
    if (byte == 0 && shift > 0) break;
    return value;  // 0 if the reader has failed
  }
  in.fail();
  return 0;
}

// A difference of two numbers so that small ones are small whichever is larger. Wraps around: every
// pair has a difference, and undoing it needs only one of them.
inline uint64_t zigzag(uint64_t from, uint64_t to) {
  const uint64_t difference = to - from;
  return difference >> 63 == 0 ? difference << 1 : ~(difference << 1);
}

// `to` of zigzag(from, to).
inline uint64_t add_zigzag(uint64_t from, uint64_t difference) {
  const uint64_t half = difference >> 1;
  return from + ((difference & 1) == 0 ? half : ~half);
}

}  // namespace ds
