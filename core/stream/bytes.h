// Little-endian integers and length-prefixed strings: the alphabet of records and snapshots.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace ds::stream {

// The value as it is stored, or back.
template <typename T>
T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else {
    uint64_t swapped = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      swapped = swapped << 8 | (static_cast<uint64_t>(value) >> (8 * i) & 0xff);
    }
    return static_cast<T>(swapped);
  }
}

template <typename T>
void put(std::string& out, T value) {
  const T stored = little_endian(value);
  out.append(reinterpret_cast<const char*>(&stored), sizeof(T));
}

// REQUIRES: at + sizeof(T) <= out.size().
template <typename T>
void put_at(std::string& out, size_t at, T value) {
  const T stored = little_endian(value);
  std::memcpy(out.data() + at, &stored, sizeof(T));
}

// REQUIRES: at + sizeof(T) <= bytes.size().
template <typename T>
T get_at(std::string_view bytes, size_t at) {
  T stored;
  std::memcpy(&stored, bytes.data() + at, sizeof(T));
  return little_endian(stored);
}

inline void put_string(std::string& out, std::string_view text) {
  put(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

// Takes values from the front of some bytes. After the first one that is not there, failed() stays
// true and everything reads as zero.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    if (bytes_.size() < sizeof(T)) {
      fail();
      return T{};
    }
    const T value = get_at<T>(bytes_, 0);
    bytes_.remove_prefix(sizeof(T));
    return value;
  }

  std::string_view take_bytes(uint64_t size) {
    if (bytes_.size() < size) {
      fail();
      return {};
    }
    const std::string_view value = bytes_.substr(0, static_cast<size_t>(size));
    bytes_.remove_prefix(static_cast<size_t>(size));
    return value;
  }

  std::string_view take_string() { return take_bytes(take<uint32_t>()); }

  bool at_end() const { return bytes_.empty(); }
  bool failed() const { return failed_; }
  uint64_t left() const { return bytes_.size(); }
  void fail() {
    failed_ = true;
    bytes_ = {};
  }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

}  // namespace ds::stream
