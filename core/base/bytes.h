// Numbers in memory, little-endian as every format of ours has them, and length-prefixed strings:
// the alphabet of records, snapshots and segments.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

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

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// REQUIRES: at + sizeof(T) <= out.size().
template <typename T>
void put_at(std::string& out, size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof(T));
}

// REQUIRES: at + sizeof(T) <= bytes.size().
template <typename T>
T get_at(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
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

}  // namespace ds
