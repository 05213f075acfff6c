#include "core/base/hash.h"

#include <bit>

#include "core/base/bytes.h"

namespace ds {
namespace {

// The path hash's key. Part of the log's format: it never changes.
constexpr HashKey kPathKey{0x64757261626c6520, 0x73747265616d7321};

struct SipState {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void compress(uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

// The last `count` (under 8) bytes as a little-endian number.
uint64_t load_rest(const char* p, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; ++i) {
    word |= static_cast<uint64_t>(static_cast<unsigned char>(p[i])) << (8 * i);
  }
  return word;
}

}  // namespace

uint64_t siphash13(std::string_view bytes, HashKey key) {
  SipState state{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d,
                 key.k0 ^ 0x6c7967656e657261, key.k1 ^ 0x7465646279746573};
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; p += 8, left -= 8) state.compress(load_le64(p));
  state.compress(load_rest(p, left) | (static_cast<uint64_t>(bytes.size()) << 56));
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

uint64_t path_hash(std::string_view path) { return siphash13(path, kPathKey); }

}  // namespace ds
