#include "core/base/crc32c.h"

#include <array>
#include <cstddef>

#include "core/base/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

// [k][b] is what byte k of a checksum that is b becomes when so many zeros follow.
using ShiftTables = std::array<std::array<uint32_t, 256>, 4>;

template <size_t kBytes>
constexpr ShiftTables make_shift() {
  std::array<uint32_t, 32> bits{};
  for (size_t bit = 0; bit < 32; ++bit) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < kBytes; ++i) crc = (crc >> 8) ^ kTable[0][crc & 0xff];
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

template <size_t kBytes>
constexpr ShiftTables kBehind = make_shift<kBytes>();

// What the checksum `crc` becomes when kBytes zeros follow.
template <size_t kBytes>
uint32_t behind(uint64_t crc) {
  const ShiftTables& table = kBehind<kBytes>;
  return table[0][crc & 0xff] ^ table[1][(crc >> 8) & 0xff] ^ table[2][(crc >> 16) & 0xff] ^
         table[3][(crc >> 24) & 0xff];
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
    crc = behind<kLaneBytes>(behind<kLaneBytes>(crc) ^ second) ^ third;
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

// Carry-less multiplication keeps up with the checksum instruction and uses other parts of the
// processor. So half of a stretch is folded, while four lanes of the other half go side by side.
constexpr size_t kWideLaneBytes = 2048;
constexpr size_t kHalfBytes = 4 * kWideLaneBytes;
constexpr size_t kFoldBytes = 128;

// x^bits modulo the polynomial, reversed, as a carry-less multiplication of reversed numbers takes
// it: one bit further up.
constexpr long long power_of_x(size_t bits) {
  uint32_t power = 0x80000000;
  for (size_t i = 0; i < bits; ++i) power = (power >> 1) ^ ((power & 1) != 0 ? kPolynomial : 0);
  return static_cast<long long>(power) << 1;
}

__attribute__((target("avx2"))) inline __m256i load_vector(const char* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// What leaves the same remainder kFoldBytes further on, added to what is there.
__attribute__((target("avx2,vpclmulqdq"))) inline __m256i fold(__m256i bytes, __m256i by,
                                                               const char* onto) {
  const __m256i low = _mm256_clmulepi64_epi128(bytes, by, 0x00);
  const __m256i high = _mm256_clmulepi64_epi128(bytes, by, 0x11);
  return _mm256_xor_si256(_mm256_xor_si256(low, high), load_vector(onto));
}

// The checksum register after 2 * kHalfBytes more ("Fast CRC computation using PCLMULQDQ", Gopal et
// al., 2009). What is written out four times must be in registers, at every level of optimisation.
__attribute__((target("avx2,vpclmulqdq,sse4.2"))) uint64_t take_stretch(const char* p,
                                                                        uint64_t crc) {
  constexpr long long kLow = power_of_x(8 * kFoldBytes + 32);
  constexpr long long kHigh = power_of_x(8 * kFoldBytes - 32);
  const __m256i by = _mm256_set_epi64x(kHigh, kLow, kHigh, kLow);
  const __m256i before = _mm256_set_epi64x(0, 0, 0, static_cast<long long>(crc));
  __m256i folded0 = _mm256_xor_si256(load_vector(p), before);
  __m256i folded1 = load_vector(p + 32);
  __m256i folded2 = load_vector(p + 64);
  __m256i folded3 = load_vector(p + 96);
  uint64_t lane0 = 0;
  uint64_t lane1 = 0;
  uint64_t lane2 = 0;
  uint64_t lane3 = 0;
  const char* at = p + kHalfBytes;
  const char* const end = at + kWideLaneBytes;
  for (;;) {
    for (size_t i = 0; i < kFoldBytes / 4; i += 8) {
      lane0 = __builtin_ia32_crc32di(lane0, load_le64(at + i));
      lane1 = __builtin_ia32_crc32di(lane1, load_le64(at + i + kWideLaneBytes));
      lane2 = __builtin_ia32_crc32di(lane2, load_le64(at + i + 2 * kWideLaneBytes));
      lane3 = __builtin_ia32_crc32di(lane3, load_le64(at + i + 3 * kWideLaneBytes));
    }
    at += kFoldBytes / 4;
    if (at == end) break;
    p += kFoldBytes;
    folded0 = fold(folded0, by, p);
    folded1 = fold(folded1, by, p + 32);
    folded2 = fold(folded2, by, p + 64);
    folded3 = fold(folded3, by, p + 96);
  }
  alignas(32) char rest[kFoldBytes];
  auto* const vectors = reinterpret_cast<__m256i*>(rest);
  _mm256_store_si256(vectors, folded0);
  _mm256_store_si256(vectors + 1, folded1);
  _mm256_store_si256(vectors + 2, folded2);
  _mm256_store_si256(vectors + 3, folded3);
  crc = 0;
  for (size_t i = 0; i < kFoldBytes; i += 8) crc = __builtin_ia32_crc32di(crc, load_le64(rest + i));
  crc = behind<kWideLaneBytes>(crc) ^ lane0;
  crc = behind<kWideLaneBytes>(crc) ^ lane1;
  crc = behind<kWideLaneBytes>(crc) ^ lane2;
  return behind<kWideLaneBytes>(crc) ^ lane3;
}

uint32_t crc32c_both_ways(std::string_view bytes, uint32_t seed) {
  uint64_t crc = static_cast<uint32_t>(~seed);
  while (bytes.size() >= 2 * kHalfBytes) {
    crc = take_stretch(bytes.data(), crc);
    bytes.remove_prefix(2 * kHalfBytes);
  }
  return crc32c_hardware(bytes, ~static_cast<uint32_t>(crc));
}

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  // These read words that the C runtime has filled in at start-up.
  if (bytes.size() >= 2 * kHalfBytes && __builtin_cpu_supports("vpclmulqdq") &&
      __builtin_cpu_supports("avx2")) {
    return crc32c_both_ways(bytes, seed);
  }
  if (__builtin_cpu_supports("sse4.2")) return crc32c_hardware(bytes, seed);
  return internal::crc32c_software(bytes, seed);
}

#else

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  return internal::crc32c_software(bytes, seed);
}

#endif

}  // namespace ds
