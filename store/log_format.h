// The bytes of a generation's file: its header and its frames (docs/op-log-format.md).
//
// Little-endian, no padding. A file begins with a 64-byte generation header:
//    0 u8[8] "ds-oplog"
//    8 u32 version
//   12 u32 crc32c of the rest; magic, version and this field stay where they are for ever
//   16 u32 generation, the number in the file's name
//   20 u32 flags
//   24 u64 sequence of the first frame
//   32 u64 salt of this generation, never 0
//   40 u64 size of the file when the generation was begun
//   48 u8[16] reserved, 0
// Frames follow back to back, each a 48-byte header, the payload, and zeros up to a multiple of 8:
//    0 u64 salt of the generation
//    8 u32 crc32c of the rest of the frame's header
//   12 u32 crc32c of payload and zeros
//   16 u32 payload bytes
//   20 u32 flags
//   24 u64 sequence
//   32 u64 synced through: the highest sequence known to be durable when this frame was written
//   40 u32 generation
//   44 u32 reserved, 0
// The salt is random and known to nobody outside: payload that clients have sent can not contain
// anything that recovery takes for a frame, and neither can a former life of a file's blocks. So
// the file of an earlier generation need not be erased to be used again: until it is begun its
// header is zeros, and kSpareMark stands where the first frame will be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ds::store {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr std::string_view kGenerationMagic = "ds-oplog";
inline constexpr uint32_t kGenerationHeaderBytes = 64;
inline constexpr std::string_view kSpareMark = "ds-spare";
inline constexpr uint32_t kFrameHeaderBytes = 48;
inline constexpr uint32_t kFrameAlignment = 8;
// One frame's payload. Places in a file are 32-bit numbers (LogPosition).
inline constexpr uint64_t kFramePayloadBytesMax = uint64_t{2} << 30;

struct GenerationHeader {
  static constexpr uint32_t kReused = 1;  // behind its frames lie those of an earlier generation

  uint32_t generation = 0;
  uint64_t first_sequence = 0;
  uint64_t salt = 0;
  uint64_t file_bytes = 0;
  uint32_t flags = 0;
};

struct FrameHeader {
  static constexpr uint32_t kRelaxed = 1;     // answered before it was synced
  static constexpr uint32_t kCleanClose = 2;  // the last one of a process that ended in order

  uint64_t salt = 0;
  uint32_t payload_crc = 0;
  uint32_t payload_bytes = 0;
  uint32_t flags = 0;
  uint64_t sequence = 0;
  uint64_t synced_through = 0;
  uint32_t generation = 0;
};

// The room that a frame takes in its file.
constexpr uint64_t frame_bytes(uint64_t payload_bytes) {
  return (kFrameHeaderBytes + payload_bytes + kFrameAlignment - 1) / kFrameAlignment *
         kFrameAlignment;
}

// The zeros behind a payload of this size.
std::string_view frame_padding(uint64_t payload_bytes);

// `to` has kGenerationHeaderBytes, kFrameHeaderBytes.
void encode_generation_header(const GenerationHeader& header, char* to);
void encode_frame_header(const FrameHeader& header, char* to);

enum class HeaderState : uint8_t {
  kValid,
  kOtherVersion,  // ours and intact, but of a version that this program does not know
  kDamaged,       // begins like ours, but does not check
  kForeign,       // not ours, or zeros
};
// Looks at the kGenerationHeaderBytes at the beginning of a file.
HeaderState decode_generation_header(std::string_view bytes, GenerationHeader* header);

// Nothing unless the bytes (at least kFrameHeaderBytes) begin with an intact frame header.
std::optional<FrameHeader> decode_frame_header(std::string_view bytes);

// "00000017.log", and the number in such a name.
std::string generation_name(uint32_t generation);
std::optional<uint32_t> parse_generation_name(std::string_view name);

}  // namespace ds::store
