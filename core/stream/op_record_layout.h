// Byte positions in a record's header and the tags of its extras (see op_record.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace ds::stream::layout {

inline constexpr size_t kCrc = 0;
inline constexpr size_t kSize = 4;
inline constexpr size_t kType = 8;
inline constexpr size_t kFlags = 9;
inline constexpr size_t kReserved = 10;
inline constexpr size_t kPayloadSize = 12;
inline constexpr size_t kStream = 16;
inline constexpr size_t kPathHash = 24;
inline constexpr size_t kPosition = 32;
inline constexpr size_t kTime = 40;

inline constexpr uint8_t kFlagCloses = 1;

// Stored: values never change.
enum class Tag : uint8_t {
  kProducer = 1,     // u64 epoch, u64 seq, id
  kStreamSeq = 2,    // bytes
  kPath = 3,         // bytes
  kContentType = 4,  // bytes
  kTtl = 5,          // u64 seconds
  kExpiresAt = 6,    // u64 microseconds
  kFork = 7,   // u64 source, u64 source path hash, u64 anchor, u64 sub-offset, u64 position, path
  kLives = 8,  // per span: u64 start, u64 life, u8 after_loss
  kPin = 9,    // u64 child, u64 child path hash, u64 position
  kNewLife = 10,   // u64
  kMaxAge = 11,    // u64 seconds
  kMaxBytes = 12,  // u64
  kEarliest = 13,  // u64 position
};

}  // namespace ds::stream::layout
