#include "core/segment/format.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/base/varint.h"
#include "core/segment/codec.h"

namespace ds::segment {

std::optional<Trailer> decode_trailer(std::string_view bytes) {
  Trailer trailer;
  if (read_trailer(bytes, &trailer) != TrailerState::kValid) return std::nullopt;
  return trailer;
}

std::optional<Head> decode_head(std::string_view bytes) {
  auto head = take_head(bytes);
  if (!head || head->extent.head_bytes != bytes.size()) return std::nullopt;
  return head;
}

HeadsReader::HeadsReader(std::string_view bytes, const Trailer& trailer)
    : rest_(bytes),
      trailer_(trailer),
      damaged_(bytes.size() != trailer.heads_bytes),
      head_offset_(trailer.heads_offset),
      list_offset_(trailer.lists_offset) {}

// Whether its data and lists lie behind those of the extent before, and where they must.
bool HeadsReader::follows(const Head& head) {
  const Block& last = head.blocks.back();
  if (head.extent.data_offset != data_offset_) return false;
  if (head.blocks.front().list_offset != list_offset_) return false;
  data_offset_ = last.data_offset + (last.end - last.begin);
  list_offset_ = last.list_offset + last.list_bytes;
  return data_offset_ <= trailer_.lists_offset && list_offset_ <= trailer_.heads_offset;
}

std::optional<Head> HeadsReader::next() {
  if (damaged_) return std::nullopt;
  if (rest_.empty()) {
    damaged_ = extents_ != trailer_.extents || data_offset_ != trailer_.lists_offset ||
               list_offset_ != trailer_.heads_offset || crc_ != trailer_.heads_crc;
    return std::nullopt;
  }
  auto head = take_head(rest_);
  if (!head || !follows(*head)) {
    damaged_ = true;
    return std::nullopt;
  }
  const uint32_t size = head->extent.head_bytes;
  head->extent.head_offset = head_offset_;
  head_offset_ += size;
  crc_ = crc32c(rest_.substr(0, size), crc_);
  rest_.remove_prefix(size);
  ++extents_;
  return head;
}

std::optional<std::vector<Head>> decode_heads(std::string_view bytes, const Trailer& trailer) {
  if (trailer.extents > bytes.size() / kHeadBytesMin) return std::nullopt;
  std::vector<Head> heads;
  heads.reserve(static_cast<size_t>(trailer.extents));
  HeadsReader reader(bytes, trailer);
  while (auto head = reader.next()) heads.push_back(std::move(*head));
  if (reader.damaged()) return std::nullopt;
  return heads;
}

std::optional<std::vector<Message>> decode_messages(const Block& block, std::string_view list) {
  if (list.size() != block.list_bytes || crc32c(list) != block.list_crc) return std::nullopt;
  if (block.messages > list.size() / kMessageInListBytesMin) return std::nullopt;
  std::vector<Message> messages;
  messages.reserve(block.messages);
  ByteReader in(list);
  Message message{block.begin, 0};
  for (uint32_t i = 0; i < block.messages; ++i) {
    const uint64_t bytes = take_varint(in);
    message.time_ms = add_zigzag(message.time_ms, take_varint(in));
    if (in.failed() || bytes == 0 || bytes > block.end - message.end) return std::nullopt;
    message.end = message.end + bytes;
    messages.push_back(message);
  }
  if (!in.at_end() || message.end != block.end) return std::nullopt;
  return messages;
}

bool data_intact(const Block& block, std::string_view data) {
  return data.size() == block.end - block.begin && crc32c(data) == block.data_crc;
}

}  // namespace ds::segment
