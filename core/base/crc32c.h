// CRC-32C (Castagnoli), the checksum of every record and snapshot. Hardware where there is any.
#pragma once

#include <cstdint>
#include <string_view>

namespace ds {

// The checksum of `bytes`, or of what `seed` was the checksum of followed by `bytes`:
// crc32c(b, crc32c(a)) == crc32c(a + b). crc32c("123456789") == 0xe3069283.
uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

namespace internal {
// The same without special instructions: what wasm and old machines run. Here for the tests.
uint32_t crc32c_software(std::string_view bytes, uint32_t seed);
}  // namespace internal

}  // namespace ds
