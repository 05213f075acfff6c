// The texts of option values: durations, sizes, counts, switches, address ranges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"

namespace ds::server {

// "500ms", "30s", "2m", "1h", or "0". Whole numbers only.
std::optional<Duration> parse_duration(std::string_view text);
std::string duration_text(Duration duration);

// Bytes: "4096", "64KiB", "1MiB", "2GiB", "512MB" (powers of ten), "0".
std::optional<uint64_t> parse_size(std::string_view text);

std::optional<uint64_t> parse_count(std::string_view text);

// "true", "yes", "on", "1", and their opposites. An empty text is neither.
std::optional<bool> parse_switch(std::string_view text);

// A range of IP addresses, "10.0.0.0/8", "::1", or "unix" for the peers of Unix sockets.
struct AddressRange {
  int family = 0;  // AF_INET, AF_INET6 or AF_UNIX
  uint8_t bytes[16] = {};
  uint32_t prefix_bits = 0;

  // `address` is 4 or 16 bytes in network order; mapped IPv4 addresses match IPv4 ranges.
  bool contains(int address_family, const uint8_t* address) const;
};
std::optional<AddressRange> parse_address_range(std::string_view text);

}  // namespace ds::server
