#include "store/log_format.h"

#include <cstring>

#include "core/base/crc32c.h"

namespace ds::store {
namespace {

template <typename T>
void put(char* to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  }
}

template <typename T>
T get(const char* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  }
  return static_cast<T>(value);
}

// The checksum of a header without the four bytes at `crc_at`.
uint32_t header_crc(std::string_view header, size_t crc_at) {
  return crc32c(header.substr(crc_at + 4), crc32c(header.substr(0, crc_at)));
}

constexpr size_t kGenerationCrcAt = 12;
constexpr size_t kFrameCrcAt = 8;
constexpr size_t kNameDigits = 8;
constexpr std::string_view kNameSuffix = ".log";

}  // namespace

std::string_view frame_padding(uint64_t payload_bytes) {
  static constexpr char kZeros[kFrameAlignment] = {};
  return {kZeros,
          static_cast<size_t>(frame_bytes(payload_bytes) - kFrameHeaderBytes - payload_bytes)};
}

void encode_generation_header(const GenerationHeader& header, char* to) {
  std::memset(to, 0, kGenerationHeaderBytes);
  std::memcpy(to, kGenerationMagic.data(), kGenerationMagic.size());
  put<uint32_t>(to + 8, kFormatVersion);
  put<uint32_t>(to + 16, header.generation);
  put<uint32_t>(to + 20, header.flags);
  put<uint64_t>(to + 24, header.first_sequence);
  put<uint64_t>(to + 32, header.salt);
  put<uint64_t>(to + 40, header.file_bytes);
  put<uint32_t>(to + kGenerationCrcAt, header_crc({to, kGenerationHeaderBytes}, kGenerationCrcAt));
}

HeaderState decode_generation_header(std::string_view bytes, GenerationHeader* header) {
  if (bytes.size() < kGenerationHeaderBytes || !bytes.starts_with(kGenerationMagic)) {
    return HeaderState::kForeign;
  }
  bytes = bytes.substr(0, kGenerationHeaderBytes);
  const char* from = bytes.data();
  if (get<uint32_t>(from + kGenerationCrcAt) != header_crc(bytes, kGenerationCrcAt)) {
    return HeaderState::kDamaged;
  }
  if (get<uint32_t>(from + 8) != kFormatVersion) return HeaderState::kOtherVersion;
  header->generation = get<uint32_t>(from + 16);
  header->flags = get<uint32_t>(from + 20);
  header->first_sequence = get<uint64_t>(from + 24);
  header->salt = get<uint64_t>(from + 32);
  header->file_bytes = get<uint64_t>(from + 40);
  return HeaderState::kValid;
}

void encode_frame_header(const FrameHeader& header, char* to) {
  std::memset(to, 0, kFrameHeaderBytes);
  put<uint64_t>(to, header.salt);
  put<uint32_t>(to + 12, header.payload_crc);
  put<uint32_t>(to + 16, header.payload_bytes);
  put<uint32_t>(to + 20, header.flags);
  put<uint64_t>(to + 24, header.sequence);
  put<uint64_t>(to + 32, header.synced_through);
  put<uint32_t>(to + 40, header.generation);
  put<uint32_t>(to + kFrameCrcAt, header_crc({to, kFrameHeaderBytes}, kFrameCrcAt));
}

std::optional<FrameHeader> decode_frame_header(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes) return std::nullopt;
  bytes = bytes.substr(0, kFrameHeaderBytes);
  const char* from = bytes.data();
  FrameHeader header;
  header.salt = get<uint64_t>(from);
  if (header.salt == 0) return std::nullopt;
  if (get<uint32_t>(from + kFrameCrcAt) != header_crc(bytes, kFrameCrcAt)) return std::nullopt;
  header.payload_crc = get<uint32_t>(from + 12);
  header.payload_bytes = get<uint32_t>(from + 16);
  header.flags = get<uint32_t>(from + 20);
  header.sequence = get<uint64_t>(from + 24);
  header.synced_through = get<uint64_t>(from + 32);
  header.generation = get<uint32_t>(from + 40);
  return header;
}

std::string generation_name(uint32_t generation) {
  std::string digits = std::to_string(generation);
  if (digits.size() < kNameDigits) digits.insert(0, kNameDigits - digits.size(), '0');
  return digits.append(kNameSuffix);
}

std::optional<uint32_t> parse_generation_name(std::string_view name) {
  if (!name.ends_with(kNameSuffix)) return std::nullopt;
  const std::string_view digits = name.substr(0, name.size() - kNameSuffix.size());
  if (digits.size() < kNameDigits || digits.size() > 10) return std::nullopt;
  uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (number == 0 || number > UINT32_MAX) return std::nullopt;
  const auto generation = static_cast<uint32_t>(number);
  if (generation_name(generation) != name) return std::nullopt;
  return generation;
}

}  // namespace ds::store
