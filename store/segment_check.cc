#include "store/segment_check.h"

#include <cstdio>
#include <optional>
#include <string_view>

#include "store/file_view.h"

namespace ds::store {
namespace {

using segment::Block;
using segment::Extent;
using segment::Head;
using segment::Trailer;
using segment::TrailerState;
using Kind = SegmentUnreadable::Kind;

SegmentUnreadable io_error() { return {Kind::kIo, "can not be read"}; }

std::string name_of(const Extent& extent, const Block& block) {
  char text[96];
  std::snprintf(text, sizeof text, "of stream %016llu at [%llu, %llu)",
                static_cast<unsigned long long>(extent.stream.value),
                static_cast<unsigned long long>(block.begin.value),
                static_cast<unsigned long long>(block.end.value));
  return text;
}

Result<Trailer, SegmentUnreadable> find_trailer(const ports::File& file) {
  const auto size = file.size();
  if (!size.ok()) return io_error();
  const SegmentUnreadable foreign{Kind::kForeign, "is not a segment, or its end is missing"};
  if (*size < segment::kTrailerBytes) return foreign;
  const uint64_t at = *size - segment::kTrailerBytes;
  std::string bytes(segment::kTrailerBytes, '\0');
  const auto got = file.read_at(at, bytes.data(), bytes.size());
  if (!got.ok() || *got != bytes.size()) return io_error();
  Trailer trailer;
  switch (segment::read_trailer(bytes, &trailer)) {
    case TrailerState::kValid:
      break;
    case TrailerState::kForeign:
      return foreign;
    case TrailerState::kOtherVersion:
      return SegmentUnreadable{
          Kind::kOtherVersion,
          "is a segment of version " + std::to_string(segment::trailer_version(bytes)) +
              ", this program knows version " + std::to_string(segment::kVersion)};
    case TrailerState::kDamaged:
      return SegmentUnreadable{Kind::kDamaged, "is a segment whose trailer, at byte " +
                                                   std::to_string(at) + ", is damaged"};
  }
  if (trailer.file_bytes != *size) {
    return SegmentUnreadable{Kind::kDamaged, "has " + std::to_string(*size) +
                                                 " bytes, its trailer tells of " +
                                                 std::to_string(trailer.file_bytes)};
  }
  return trailer;
}

class Check {
 public:
  Check(const ports::File& file, const Trailer& trailer, const SegmentVisitor& visitor,
        SegmentDepth depth)
      : file_(file),
        trailer_(trailer),
        visitor_(visitor),
        depth_(depth),
        data_(file, trailer.file_bytes),
        lists_(file, trailer.file_bytes) {}

  void run() {
    if (visitor_.on_trailer) visitor_.on_trailer(trailer_);
    std::string region(static_cast<size_t>(trailer_.heads_bytes), '\0');
    const auto got = file_.read_at(trailer_.heads_offset, region.data(), region.size());
    if (!got.ok() || *got != region.size()) {
      report({trailer_.heads_offset, trailer_.heads_bytes, "heads, which can not be read"});
      return;
    }
    segment::HeadsReader heads(region, trailer_);
    while (const auto head = heads.next()) check_extent(*head);
    if (heads.damaged()) report_heads(heads.offset());
  }

  const SegmentTotals& totals() const { return totals_; }

 private:
  void check_extent(const Head& head) {
    ++totals_.extents;
    totals_.blocks += head.blocks.size();
    totals_.messages += head.extent.messages;
    if (visitor_.on_extent) visitor_.on_extent(head);
    if (depth_ == SegmentDepth::kHeads) return;
    for (const Block& block : head.blocks) {
      check_list(head.extent, block);
      check_data(head.extent, block);
    }
  }

  void check_list(const Extent& extent, const Block& block) {
    const auto list = read(lists_, block.list_offset, block.list_bytes);
    const auto messages = list ? segment::decode_messages(block, *list) : std::nullopt;
    if (!messages) {
      report({block.list_offset, block.list_bytes,
              "message list " + name_of(extent, block) + unless_read(list.has_value())});
    } else if (visitor_.on_messages) {
      visitor_.on_messages(block, *messages);
    }
  }

  void check_data(const Extent& extent, const Block& block) {
    const uint64_t size = block.end - block.begin;
    const auto data = read(data_, block.data_offset, size);
    if (data && segment::data_intact(block, *data)) return;
    report({block.data_offset, size,
            "data " + name_of(extent, block) + unless_read(data.has_value())});
  }

  // The bytes [at, at + size); nothing if they can not be read. Valid until the next call.
  std::optional<std::string_view> read(FileView& view, uint64_t at, uint64_t size) {
    const auto bytes = view.bytes(at, size);
    if (bytes.ok()) return *bytes;
    // The view reads ahead: it may have been something behind them.
    exact_.resize(static_cast<size_t>(size));
    const auto got = file_.read_at(at, exact_.data(), size);
    if (!got.ok()) return std::nullopt;
    return std::string_view(exact_).substr(0, static_cast<size_t>(*got));
  }

  static std::string unless_read(bool was_read) {
    return was_read ? "" : ", which can not be read";
  }

  // What is behind a damaged head can not be found from the file alone.
  void report_heads(uint64_t from) {
    const uint64_t end = trailer_.heads_offset + trailer_.heads_bytes;
    if (from < end) {
      report({from, end - from,
              "head of extent " + std::to_string(totals_.extents + 1) + " of " +
                  std::to_string(trailer_.extents)});
    } else {
      report({trailer_.heads_offset, trailer_.heads_bytes, "heads"});
    }
  }

  void report(const SegmentDamage& damage) {
    ++totals_.damages;
    if (visitor_.on_damage) visitor_.on_damage(damage);
  }

  const ports::File& file_;
  const Trailer trailer_;
  const SegmentVisitor& visitor_;
  const SegmentDepth depth_;
  FileView data_;
  FileView lists_;
  std::string exact_;
  SegmentTotals totals_;
};

}  // namespace

Result<SegmentTotals, SegmentUnreadable> check_segment(const ports::File& file,
                                                       const SegmentVisitor& visitor,
                                                       SegmentDepth depth) {
  const auto trailer = find_trailer(file);
  if (!trailer.ok()) return trailer.error();
  Check check(file, *trailer, visitor, depth);
  check.run();
  return check.totals();
}

}  // namespace ds::store
