// Hashes of untrusted keys: SipHash-1-3, so that no client can choose colliding stream paths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ds {

struct HashKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
};

uint64_t siphash13(std::string_view bytes, HashKey key);

// The hash of a stream's path that is stored in its records and says which engine owns it. Its key
// is fixed: the value is part of the log's format and never changes.
uint64_t path_hash(std::string_view path);

}  // namespace ds
