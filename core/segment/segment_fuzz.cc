// Whatever bytes are taken for a segment, or for a part of one, with good checksums or without: the
// decoders end, stay inside, and what they accept hangs together. What is written is read back. The
// first byte says what the rest is to be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/segment/format.h"
#include "core/segment/test_segment.h"

namespace {

using ds::crc32c;
using ds::Position;
using ds::segment::Block;
using ds::segment::Head;

void check_messages(const Block& block, std::string_view list) {
  const auto messages = ds::segment::decode_messages(block, list);
  if (!messages) return;
  DS_ASSERT(messages->size() == block.messages);
  Position at = block.begin;
  for (const ds::segment::Message& message : *messages) {
    DS_ASSERT(at < message.end);
    at = message.end;
  }
  DS_ASSERT(at == block.end);
}

void check_head(const Head& head) {
  DS_ASSERT(!head.blocks.empty());
  Position at = head.extent.begin;
  uint64_t data_offset = head.extent.data_offset;
  uint64_t messages = 0;
  for (const Block& block : head.blocks) {
    DS_ASSERT(block.begin == at);
    DS_ASSERT(block.begin < block.end);
    DS_ASSERT(block.data_offset == data_offset);
    at = block.end;
    data_offset += block.end - block.begin;
    messages += block.messages;
  }
  DS_ASSERT(at == head.extent.end);
  DS_ASSERT(messages == head.extent.messages);
}

void check_file(std::string_view file) {
  using ds::segment::kTrailerBytes;
  if (file.size() < kTrailerBytes) return;
  const auto trailer = ds::segment::decode_trailer(file.substr(file.size() - kTrailerBytes));
  if (!trailer || trailer->file_bytes != file.size()) return;
  const auto part = [file](uint64_t offset, uint64_t bytes) {
    DS_ASSERT(offset <= file.size());
    DS_ASSERT(bytes <= file.size() - offset);
    return file.substr(static_cast<size_t>(offset), static_cast<size_t>(bytes));
  };
  const auto heads =
      ds::segment::decode_heads(part(trailer->heads_offset, trailer->heads_bytes), *trailer);
  if (!heads) return;
  DS_ASSERT(heads->size() == trailer->extents);
  for (const Head& head : *heads) {
    check_head(head);
    for (const Block& block : head.blocks) {
      check_messages(block, part(block.list_offset, block.list_bytes));
      // Either way: this reads every byte of it.
      (void)ds::segment::data_intact(block, part(block.data_offset, block.end - block.begin));
    }
  }
}

// As a file whose trailer and heads check, cut at places that the input names.
void check_as_file(std::string_view bytes) {
  ds::ByteReader in(bytes);
  const auto extents = in.take<uint8_t>();
  const auto lists = in.take<uint16_t>();
  const auto heads = in.take<uint16_t>();
  if (in.failed()) return;
  std::string file(in.take_bytes(in.left()));
  const uint64_t size = file.size();
  if (lists > heads || heads > size) return;
  const std::string region = file.substr(heads);
  file.append(ds::segment::kMagic);
  ds::put(file, ds::segment::kVersion);
  ds::put(file, uint32_t{0});
  ds::put(file, uint64_t{lists});
  ds::put(file, uint64_t{heads});
  ds::put(file, uint64_t{region.size()});
  ds::put(file, uint64_t{extents});
  ds::put(file, size + ds::segment::kTrailerBytes);
  ds::put(file, crc32c(region));
  ds::put(file, uint32_t{0});
  const std::string_view trailer = std::string_view(file).substr(size);
  ds::put_at(file, size + 12, crc32c(trailer.substr(16), crc32c(trailer.substr(0, 12))));
  check_file(file);
}

// What the input tells is written as a segment, read back, and read again with a byte changed.
void check_round_trip(std::string_view bytes) {
  ds::ByteReader in(bytes);
  const auto change = in.take<uint16_t>();
  std::vector<ds::segment::StoredExtent> stored;
  while (!in.at_end()) {
    const auto kind = in.take<uint8_t>();
    if (stored.empty() || kind % 8 == 0) {
      if (!stored.empty() && stored.back().messages.empty()) break;
      stored.push_back({ds::Incarnation{in.take<uint32_t>()}, Position{in.take<uint32_t>()}, {}});
      continue;
    }
    // Times go back too. Some messages are as large as a block.
    const uint64_t time_ms = in.take<uint32_t>();
    std::string message(in.take_bytes(std::min<uint64_t>(kind / 8, in.left())));
    message.resize(message.size() + (kind == 255 ? ds::segment::kBlockBytes : 1));
    stored.back().messages.push_back({std::move(message), time_ms});
  }
  if (!stored.empty() && stored.back().messages.empty()) stored.pop_back();
  if (stored.empty()) return;
  ds::segment::WrittenSegment written = ds::segment::write_segment(stored);
  DS_ASSERT(ds::segment::read_segment(written.bytes) == stored);
  DS_ASSERT(written.extents.size() == stored.size());
  check_file(written.bytes);

  char& changed = written.bytes[change % written.bytes.size()];
  changed = static_cast<char>(changed ^ 0x10);
  DS_ASSERT(!ds::segment::read_segment(written.bytes));
  check_file(written.bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_file(bytes);
  if (bytes.empty()) return 0;
  const auto kind = static_cast<unsigned char>(bytes.front());
  bytes.remove_prefix(1);
  if (kind % 4 == 0) {
    std::string head;
    ds::put(head, crc32c(bytes));
    head.append(bytes);
    if (const auto decoded = ds::segment::decode_head(head)) check_head(*decoded);
  } else if (kind % 4 == 1) {
    check_as_file(bytes);
  } else if (kind % 4 == 2) {
    check_round_trip(bytes);
  } else {
    ds::ByteReader in(bytes);
    Block block;
    block.begin = Position{in.take<uint64_t>()};
    block.end = Position{in.take<uint64_t>()};
    block.messages = in.take<uint32_t>();
    const std::string list(in.take_bytes(in.left()));
    block.list_bytes = static_cast<uint32_t>(list.size());
    block.list_crc = crc32c(list);
    if (block.begin < block.end && block.messages > 0) check_messages(block, list);
  }
  return 0;
}
