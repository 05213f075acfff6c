// Segments for tests: written from streams that are told message by message, and read back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/segment/format.h"
#include "tests/support/mutations.h"

namespace ds::segment {

struct StoredMessage {
  std::string bytes;
  uint64_t time_ms = 0;
  friend bool operator==(const StoredMessage&, const StoredMessage&) = default;
};

struct StoredExtent {
  Incarnation stream;
  Position begin;
  std::vector<StoredMessage> messages;
  friend bool operator==(const StoredExtent&, const StoredExtent&) = default;
};

struct WrittenSegment {
  std::string bytes;
  std::vector<Extent> extents;
};

inline WrittenSegment write_segment(const std::vector<StoredExtent>& stored) {
  WrittenSegment result;
  Writer writer(result.bytes);
  for (const StoredExtent& extent : stored) {
    writer.begin_extent(extent.stream, extent.begin);
    for (const StoredMessage& message : extent.messages) {
      writer.add_message(message.bytes, message.time_ms);
    }
    writer.end_extent();
  }
  result.extents = writer.finish();
  return result;
}

// What was stored under a head; nothing if any of it is damaged.
inline std::optional<StoredExtent> read_extent(std::string_view file, const Head& head) {
  StoredExtent result{head.extent.stream, head.extent.begin, {}};
  for (const Block& block : head.blocks) {
    if (block.list_offset > file.size() || block.data_offset > file.size()) return std::nullopt;
    const std::string_view data = file.substr(static_cast<size_t>(block.data_offset),
                                              static_cast<size_t>(block.end - block.begin));
    const auto messages = decode_messages(
        block, file.substr(static_cast<size_t>(block.list_offset), block.list_bytes));
    if (!messages || !data_intact(block, data)) return std::nullopt;
    Position at = block.begin;
    for (const Message& message : *messages) {
      const std::string_view bytes =
          data.substr(static_cast<size_t>(at - block.begin), static_cast<size_t>(message.end - at));
      result.messages.push_back({std::string(bytes), message.time_ms});
      at = message.end;
    }
  }
  return result;
}

// Everything that a file holds, checked from the trailer on; nothing if any of it is damaged.
inline std::optional<std::vector<StoredExtent>> read_segment(std::string_view file) {
  if (file.size() < kTrailerBytes) return std::nullopt;
  const auto trailer = decode_trailer(file.substr(file.size() - kTrailerBytes));
  if (!trailer || trailer->file_bytes != file.size()) return std::nullopt;
  const auto heads = decode_heads(file.substr(static_cast<size_t>(trailer->heads_offset),
                                              static_cast<size_t>(trailer->heads_bytes)),
                                  *trailer);
  if (!heads) return std::nullopt;
  std::vector<StoredExtent> result;
  for (const Head& head : *heads) {
    auto extent = read_extent(file, head);
    if (!extent) return std::nullopt;
    result.push_back(std::move(*extent));
  }
  return result;
}

// Two streams, three messages, a time that goes back.
inline std::vector<StoredExtent> small_segment() {
  return {
      {Incarnation{1751328000000000}, Position{0}, {{"a,", 1751328000123}, {"bc,", 1751328000120}}},
      {Incarnation{1751328000000007}, Position{4096}, {{"hello", 1751328000200}}}};
}

inline std::string random_bytes(tests::Random& random, uint64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

}  // namespace ds::segment
