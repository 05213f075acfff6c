#include "core/segment/codec.h"

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/base/varint.h"

namespace ds::segment {
namespace {

// Where things are in a trailer. Magic, version and checksum stay there in every later version.
constexpr uint32_t kVersionAt = 8;
constexpr uint32_t kCrcAt = 12;
constexpr uint32_t kFieldsAt = 16;

// The checksum of a trailer without its own field.
uint32_t trailer_crc(std::string_view trailer) {
  return crc32c(trailer.substr(kFieldsAt), crc32c(trailer.substr(0, kCrcAt)));
}

bool adds_up(const Trailer& trailer) {
  if (trailer.lists_offset == 0 || trailer.extents == 0) return false;
  if (trailer.lists_offset >= trailer.heads_offset) return false;
  if (trailer.heads_offset >= trailer.file_bytes) return false;
  const uint64_t behind_lists = trailer.file_bytes - trailer.heads_offset;
  return behind_lists > kTrailerBytes && behind_lists - kTrailerBytes == trailer.heads_bytes;
}

// Adds to a number from outside; false if the sum is none.
bool advance(uint64_t& value, uint64_t by) {
  if (by > UINT64_MAX - value) return false;
  value += by;
  return true;
}

uint32_t take_varint32(ByteReader& in) {
  const uint64_t value = take_varint(in);
  if (value > UINT32_MAX) in.fail();
  return static_cast<uint32_t>(value);
}

bool take_block(ByteReader& in, Block& block) {
  uint64_t end = block.begin.value;
  const uint64_t bytes = take_varint(in);
  block.messages = take_varint32(in);
  block.list_bytes = take_varint32(in);
  block.data_crc = in.take<uint32_t>();
  block.list_crc = in.take<uint32_t>();
  if (in.failed() || block.messages == 0 || bytes < block.messages) return false;
  if (block.list_bytes / kMessageInListBytesMin < block.messages) return false;
  if (!advance(end, bytes)) return false;
  block.end = Position{end};
  return true;
}

}  // namespace

void append_head(std::string& out, const Head& head) {
  const size_t start = out.size();
  put(out, uint32_t{0});
  put_varint(out, head.extent.stream.value);
  put_varint(out, head.extent.begin.value);
  put_varint(out, head.extent.data_offset);
  put_varint(out, head.blocks.front().list_offset);
  put_varint(out, head.extent.newest_ms);
  put_varint(out, head.blocks.size());
  for (const Block& block : head.blocks) {
    put_varint(out, block.end - block.begin);
    put_varint(out, block.messages);
    put_varint(out, block.list_bytes);
    put(out, block.data_crc);
    put(out, block.list_crc);
  }
  put_at(out, start, crc32c(std::string_view(out).substr(start + 4)));
}

std::optional<Head> take_head(std::string_view bytes) {
  ByteReader in(bytes);
  Head head;
  Extent& extent = head.extent;
  const auto crc = in.take<uint32_t>();
  extent.stream = Incarnation{take_varint(in)};
  extent.begin = Position{take_varint(in)};
  extent.data_offset = take_varint(in);
  uint64_t list_offset = take_varint(in);
  extent.newest_ms = take_varint(in);
  const uint64_t blocks = take_varint(in);
  if (in.failed() || blocks == 0 || blocks > in.left() / kBlockInHeadBytesMin) return std::nullopt;
  head.blocks.reserve(static_cast<size_t>(blocks));
  uint64_t data_offset = extent.data_offset;
  Position at = extent.begin;
  for (uint64_t i = 0; i < blocks; ++i) {
    Block block;
    block.begin = at;
    block.data_offset = data_offset;
    block.list_offset = list_offset;
    if (!take_block(in, block)) return std::nullopt;
    if (!advance(data_offset, block.end - block.begin)) return std::nullopt;
    if (!advance(list_offset, block.list_bytes)) return std::nullopt;
    at = block.end;
    extent.messages += block.messages;
    head.blocks.push_back(block);
  }
  extent.end = at;
  const uint64_t size = bytes.size() - in.left();
  if (size > UINT32_MAX) return std::nullopt;
  extent.head_bytes = static_cast<uint32_t>(size);
  if (crc != crc32c(bytes.substr(4, extent.head_bytes - 4))) return std::nullopt;
  return head;
}

void append_trailer(std::string& out, const Trailer& trailer) {
  const size_t start = out.size();
  out.append(kMagic);
  put(out, kVersion);
  put(out, uint32_t{0});
  put(out, trailer.lists_offset);
  put(out, trailer.heads_offset);
  put(out, trailer.heads_bytes);
  put(out, trailer.extents);
  put(out, trailer.file_bytes);
  put(out, trailer.heads_crc);
  put(out, uint32_t{0});
  DS_ASSERT(out.size() - start == kTrailerBytes);
  put_at(out, start + kCrcAt, trailer_crc(std::string_view(out).substr(start)));
}

uint32_t trailer_version(std::string_view bytes) { return get_at<uint32_t>(bytes, kVersionAt); }

TrailerState read_trailer(std::string_view bytes, Trailer* trailer) {
  if (bytes.size() != kTrailerBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return TrailerState::kForeign;
  }
  if (get_at<uint32_t>(bytes, kCrcAt) != trailer_crc(bytes)) return TrailerState::kDamaged;
  if (trailer_version(bytes) != kVersion) return TrailerState::kOtherVersion;
  ByteReader in(bytes.substr(kFieldsAt));
  Trailer result;
  result.lists_offset = in.take<uint64_t>();
  result.heads_offset = in.take<uint64_t>();
  result.heads_bytes = in.take<uint64_t>();
  result.extents = in.take<uint64_t>();
  result.file_bytes = in.take<uint64_t>();
  result.heads_crc = in.take<uint32_t>();
  const auto reserved = in.take<uint32_t>();
  if (reserved != 0 || !adds_up(result)) return TrailerState::kDamaged;
  *trailer = result;
  return TrailerState::kValid;
}

}  // namespace ds::segment
