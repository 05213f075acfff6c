// Ops and their records: what the log holds (docs/op-log-format.md). Native and wasm alike.
//
// A record is a 48-byte header, the payload, and tagged extras; little-endian, no padding:
//    0 u32 crc32c of everything after this field
//    4 u32 record size in bytes, header included
//    8 u8  type (OpType; values never change)
//    9 u8  flags (kCloses)
//   10 u16 reserved, 0
//   12 u32 payload size
//   16 u64 stream: the life that identifies it for ever (its first own incarnation)
//   24 u64 path hash
//   32 u64 position of the payload's first byte, or of the tail
//   40 u64 time, microseconds since the Unix epoch
//   48 payload, then extras: u8 tag, u32 size, bytes
// Unknown types and tags make a record unreadable: they come from a newer version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"

namespace ds::stream {

inline constexpr uint32_t kRecordHeaderBytes = 48;
inline constexpr uint32_t kRecordPayloadOffset = kRecordHeaderBytes;

// The size that a record's header claims, or nothing if `bytes` (at least kRecordHeaderBytes) does
// not begin with a plausible header.
std::optional<uint32_t> peek_record_size(std::string_view bytes);

// Whether `record` is one whole record whose checksum and sizes hold.
bool record_intact(std::string_view record);

// REQUIRES for all three: record.size() >= kRecordHeaderBytes and its sizes hold.
std::string_view record_payload(std::string_view record);
uint64_t record_path_hash(std::string_view record);
uint64_t record_stream(std::string_view record);

}  // namespace ds::stream
