#include "server/config/values.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>
#include <utility>

namespace ds::server {

namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr Unit kDurations[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}};
constexpr Unit kSizes[] = {{"", 1},          {"B", 1},           {"KB", 1000},
                           {"MB", 1000000},  {"GB", 1000000000}, {"KiB", 1 << 10},
                           {"MiB", 1 << 20}, {"GiB", 1 << 30},   {"TiB", uint64_t{1} << 40}};

// A whole number and the rest of the text.
std::optional<std::pair<uint64_t, std::string_view>> leading_number(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest == text.data()) return std::nullopt;
  return std::pair{number, std::string_view(rest, static_cast<size_t>(end - rest))};
}

template <size_t n>
std::optional<uint64_t> with_unit(std::string_view text, const Unit (&units)[n], uint64_t max) {
  const auto parts = leading_number(text);
  if (!parts) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != parts->second) continue;
    if (parts->first > max / unit.factor) return std::nullopt;
    return parts->first * unit.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration{0};
  const auto us = with_unit(text, kDurations, uint64_t{1} << 60);
  if (!us) return std::nullopt;
  return Duration{static_cast<int64_t>(*us)};
}

std::string duration_text(Duration duration) {
  for (size_t i = std::size(kDurations); i-- > 0;) {
    const auto factor = static_cast<int64_t>(kDurations[i].factor);
    if (duration.us != 0 && duration.us % factor == 0) {
      return std::to_string(duration.us / factor) + std::string(kDurations[i].name);
    }
  }
  return "0";
}

std::optional<uint64_t> parse_size(std::string_view text) {
  return with_unit(text, kSizes, uint64_t{1} << 60);
}

std::optional<uint64_t> parse_count(std::string_view text) {
  const auto parts = leading_number(text);
  if (!parts || !parts->second.empty()) return std::nullopt;
  return parts->first;
}

std::optional<bool> parse_switch(std::string_view text) {
  for (std::string_view yes : {"true", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"false", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

bool AddressRange::contains(int address_family, const uint8_t* address) const {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (family == AF_INET && address_family == AF_INET6 && std::memcmp(address, kMapped, 12) == 0) {
    address += 12;
    address_family = AF_INET;
  }
  if (family != address_family) return false;
  if (family == AF_UNIX) return true;
  const uint32_t whole = prefix_bits / 8;
  if (std::memcmp(bytes, address, whole) != 0) return false;
  const uint32_t rest = prefix_bits % 8;
  return rest == 0 || ((bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

std::optional<AddressRange> parse_address_range(std::string_view text) {
  AddressRange range;
  if (text == "unix") {
    range.family = AF_UNIX;
    return range;
  }
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  uint32_t bits_max = 0;
  if (inet_pton(AF_INET, address.c_str(), range.bytes) == 1) {
    range.family = AF_INET;
    bits_max = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), range.bytes) == 1) {
    range.family = AF_INET6;
    bits_max = 128;
  } else {
    return std::nullopt;
  }
  range.prefix_bits = bits_max;
  if (slash != std::string_view::npos) {
    const auto bits = parse_count(text.substr(slash + 1));
    if (!bits || *bits > bits_max) return std::nullopt;
    range.prefix_bits = static_cast<uint32_t>(*bits);
  }
  return range;
}

}  // namespace ds::server
