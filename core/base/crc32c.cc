#include "core/base/crc32c.h"

#include <array>
#include <cstddef>

#include "core/base/bytes.h"

namespace ds {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, bits reversed

// kTable[k][b] is the checksum of byte b followed by k zero bytes: eight look-ups advance eight
// bytes at once ("slicing by 8").
using SliceTables = std::array<std::array<uint32_t, 256>, 8>;

constexpr SliceTables make_tables() {
  SliceTables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr SliceTables kTable = make_tables();

}  // namespace

namespace internal {

uint32_t crc32c_software(std::string_view bytes, uint32_t seed) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  uint32_t crc = ~seed;
  for (; left >= 8; p += 8, left -= 8) {
    const uint32_t low = load_le32(p) ^ crc;
    const uint32_t high = load_le32(p + 4);
    crc = kTable[7][low & 0xff] ^ kTable[6][(low >> 8) & 0xff] ^ kTable[5][(low >> 16) & 0xff] ^
          kTable[4][low >> 24] ^ kTable[3][high & 0xff] ^ kTable[2][(high >> 8) & 0xff] ^
          kTable[1][(high >> 16) & 0xff] ^ kTable[0][high >> 24];
  }
  for (; left > 0; ++p, --left) crc = (crc >> 8) ^ kTable[0][(crc ^ *p) & 0xff];
  return ~crc;
}

}  // namespace internal

#if defined(__x86_64__)

namespace {

// The instruction takes three cycles and can begin every one: three lanes of this many bytes go
// side by side.
constexpr size_t kLaneBytes = 1024;

// kBehindLane[k][b] is what byte k of a checksum that is b becomes when a lane of zeros follows.
using ShiftTables = std::array<std::array<uint32_t, 256>, 4>;

constexpr ShiftTables make_shift() {
  std::array<uint32_t, 32> bits{};
  for (size_t bit = 0; bit < 32; ++bit) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < kLaneBytes; ++i) crc = (crc >> 8) ^ kTable[0][crc & 0xff];
    bits[bit] = crc;
  }
  ShiftTables tables{};
  for (size_t k = 0; k < 4; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      for (size_t bit = 0; bit < 8; ++bit) {
        if ((byte >> bit & 1) != 0) tables[k][byte] ^= bits[8 * k + bit];
      }
    }
  }
  return tables;
}

constexpr ShiftTables kBehindLane = make_shift();

uint32_t behind_lane(uint64_t crc) {
  return kBehindLane[0][crc & 0xff] ^ kBehindLane[1][(crc >> 8) & 0xff] ^
         kBehindLane[2][(crc >> 16) & 0xff] ^ kBehindLane[3][(crc >> 24) & 0xff];
}

__attribute__((target("sse4.2"))) uint32_t crc32c_hardware(std::string_view bytes, uint32_t seed) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  uint64_t crc = static_cast<uint32_t>(~seed);
  for (; left >= 3 * kLaneBytes; p += 3 * kLaneBytes, left -= 3 * kLaneBytes) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (const char* at = p; at < p + kLaneBytes; at += 8) {
      crc = __builtin_ia32_crc32di(crc, load_le64(at));
      second = __builtin_ia32_crc32di(second, load_le64(at + kLaneBytes));
      third = __builtin_ia32_crc32di(third, load_le64(at + 2 * kLaneBytes));
    }
    crc = behind_lane(behind_lane(crc) ^ second) ^ third;
  }
  for (; left >= 8; p += 8, left -= 8) {
    crc = __builtin_ia32_crc32di(crc, load_le64(p));
  }
  auto crc32 = static_cast<uint32_t>(crc);
  for (; left > 0; ++p, --left) {
    crc32 = __builtin_ia32_crc32qi(crc32, static_cast<unsigned char>(*p));
  }
  return ~crc32;
}

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  // Reads a word that the C runtime has filled in at start-up.
  if (__builtin_cpu_supports("sse4.2")) return crc32c_hardware(bytes, seed);
  return internal::crc32c_software(bytes, seed);
}

#else

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  return internal::crc32c_software(bytes, seed);
}

#endif

}  // namespace ds
