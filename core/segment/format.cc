#include "core/segment/format.h"

#include <utility>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/base/varint.h"

namespace ds::segment {
namespace {

// The least that a head takes without its blocks, and that a block takes in a head: what bounds the
// memory that a count of them can ask for.
constexpr uint64_t kHeadBytesMin = 4 + 6;
constexpr uint64_t kBlockInHeadBytesMin = 3 + 4 + 4;
constexpr uint64_t kMessageInListBytesMin = 2;

// Where things are in a trailer. Magic, version and checksum stay there in every later version.
constexpr uint32_t kVersionAt = 8;
constexpr uint32_t kCrcAt = 12;
constexpr uint32_t kFieldsAt = 16;

// The checksum of a trailer without its own field.
uint32_t trailer_crc(std::string_view trailer) {
  return crc32c(trailer.substr(kFieldsAt), crc32c(trailer.substr(0, kCrcAt)));
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

bool adds_up(const Trailer& trailer) {
  if (trailer.lists_offset == 0 || trailer.extents == 0) return false;
  if (trailer.lists_offset >= trailer.heads_offset) return false;
  if (trailer.heads_offset >= trailer.file_bytes) return false;
  const uint64_t behind_lists = trailer.file_bytes - trailer.heads_offset;
  return behind_lists > kTrailerBytes && behind_lists - kTrailerBytes == trailer.heads_bytes;
}

// The offsets of all data and lists follow from those of the first block.
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

// A head at the beginning of `bytes`, which may go on behind it.
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

uint64_t lists_end(const Head& head) {
  return head.blocks.back().list_offset + head.blocks.back().list_bytes;
}

}  // namespace

void Writer::append(std::string_view bytes) {
  out_.append(bytes);
  bytes_ += bytes.size();
}

void Writer::begin_extent(Incarnation stream, Position begin) {
  DS_ASSERT(!open_);
  open_ = true;
  head_.blocks.clear();
  head_.extent = Extent{};
  head_.extent.stream = stream;
  head_.extent.begin = head_.extent.end = begin;
  head_.extent.data_offset = bytes_;
  block_ = Block{};
  block_.begin = begin;
}

void Writer::add_message(std::string_view stored, uint64_t time_ms) {
  DS_ASSERT(open_);
  DS_ASSERT(!stored.empty());
  DS_ASSERT(stored.size() <= UINT64_MAX - head_.extent.end.value);
  if (block_.messages > 0 && stored.size() >= kBlockBytes) end_block();
  if (block_.messages == 0) {
    block_.begin = head_.extent.end;
    block_.data_offset = bytes_;
    block_.list_offset = lists_.size();
    last_time_ms_ = 0;  // a list is read without the ones before it
  }
  put_varint(lists_, stored.size());
  put_varint(lists_, zigzag(last_time_ms_, time_ms));
  last_time_ms_ = time_ms;
  block_.data_crc = crc32c(stored, block_.data_crc);
  ++block_.messages;
  append(stored);
  head_.extent.end = head_.extent.end + stored.size();
  head_.extent.newest_ms = time_ms;
  const uint64_t block_bytes = head_.extent.end - block_.begin;
  if (block_bytes >= kBlockBytes || block_.messages >= kBlockMessages) end_block();
}

void Writer::end_block() {
  const std::string_view list =
      std::string_view(lists_).substr(static_cast<size_t>(block_.list_offset));
  block_.end = head_.extent.end;
  block_.list_bytes = static_cast<uint32_t>(list.size());
  block_.list_crc = crc32c(list);
  head_.blocks.push_back(block_);
  block_ = Block{};
}

void Writer::end_extent() {
  DS_ASSERT(open_);
  if (block_.messages > 0) end_block();
  DS_ASSERT(!head_.blocks.empty());
  append_head(heads_, head_);
  ++extents_;
  open_ = false;
}

std::vector<Extent> Writer::finish() {
  DS_ASSERT(!open_);
  DS_ASSERT(extents_ > 0);
  Trailer trailer;
  trailer.extents = extents_;
  trailer.lists_offset = bytes_;
  append(lists_);
  lists_ = {};
  trailer.heads_offset = bytes_;

  std::vector<Extent> extents;
  extents.reserve(static_cast<size_t>(extents_));
  std::string encoded;
  for (std::string_view rest = heads_; !rest.empty();) {
    auto head = take_head(rest);
    DS_ASSERT(head.has_value());
    rest.remove_prefix(head->extent.head_bytes);
    // Only now is it known where the lists are.
    head->blocks.front().list_offset += trailer.lists_offset;
    encoded.clear();
    append_head(encoded, *head);
    head->extent.head_offset = bytes_;
    head->extent.head_bytes = static_cast<uint32_t>(encoded.size());
    trailer.heads_crc = crc32c(encoded, trailer.heads_crc);
    append(encoded);
    extents.push_back(head->extent);
  }
  heads_ = {};
  extents_ = 0;

  trailer.heads_bytes = bytes_ - trailer.heads_offset;
  trailer.file_bytes = bytes_ + kTrailerBytes;
  encoded.clear();
  append_trailer(encoded, trailer);
  append(encoded);
  return extents;
}

TrailerState read_trailer(std::string_view bytes, Trailer* trailer) {
  if (bytes.size() != kTrailerBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return TrailerState::kForeign;
  }
  if (get_at<uint32_t>(bytes, kCrcAt) != trailer_crc(bytes)) return TrailerState::kDamaged;
  if (get_at<uint32_t>(bytes, kVersionAt) != kVersion) return TrailerState::kOtherVersion;
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

std::optional<std::vector<Head>> decode_heads(std::string_view bytes, const Trailer& trailer) {
  if (bytes.size() != trailer.heads_bytes || crc32c(bytes) != trailer.heads_crc) {
    return std::nullopt;
  }
  if (trailer.extents > bytes.size() / (kHeadBytesMin + kBlockInHeadBytesMin)) return std::nullopt;
  std::vector<Head> heads;
  heads.reserve(static_cast<size_t>(trailer.extents));
  uint64_t head_offset = trailer.heads_offset;
  uint64_t data_offset = 0;
  uint64_t list_offset = trailer.lists_offset;
  while (!bytes.empty()) {
    auto head = take_head(bytes);
    if (!head || head->extent.data_offset != data_offset) return std::nullopt;
    if (head->blocks.front().list_offset != list_offset) return std::nullopt;
    head->extent.head_offset = head_offset;
    head_offset += head->extent.head_bytes;
    data_offset += head->extent.end - head->extent.begin;
    list_offset = lists_end(*head);
    bytes.remove_prefix(head->extent.head_bytes);
    heads.push_back(std::move(*head));
  }
  if (heads.size() != trailer.extents || data_offset != trailer.lists_offset ||
      list_offset != trailer.heads_offset) {
    return std::nullopt;
  }
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
