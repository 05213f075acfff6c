#include <utility>

#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/varint.h"
#include "core/segment/codec.h"
#include "core/segment/format.h"

namespace ds::segment {

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

}  // namespace ds::segment
