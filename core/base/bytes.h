// Numbers in memory, little-endian as every format of ours has them. One instruction each.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace ds {

static_assert(std::endian::native == std::endian::little, "x86-64, arm64 and wasm32 are");

// The number whose first byte is at `p`. No alignment is needed.
inline uint32_t load_le32(const void* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline uint64_t load_le64(const void* p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

}  // namespace ds
