#include "store/segment_merge.h"

#include <utility>

namespace ds::store {

using segment::Block;
using segment::Extent;
using segment::Head;

namespace {

// Rows that are removed at a time.
constexpr size_t kRowsMax = 16384;

bool same(const Extent& a, const Extent& b) {
  return a.stream == b.stream && a.begin == b.begin && a.end == b.end &&
         a.data_offset == b.data_offset && a.head_offset == b.head_offset;
}

}  // namespace

// A segment that is read front to back, in three places: heads, lists and data.
struct SegmentMerger::Source {
  CatalogSegment row;
  std::shared_ptr<ports::File> file;
  std::optional<FileView> data;
  std::optional<FileView> lists;
  std::string head_bytes;
  std::optional<segment::HeadsReader> heads;
  std::optional<Head> head;  // the next one; nothing behind the last one
  uint64_t copied_bytes = 0;
};

SealProblem SegmentMerger::run(std::span<const CatalogSegment> sources, uint32_t level,
                               const CatalogState& before) {
  level_ = level;
  single_ = sources.size() == 1 && sources[0].single;
  change_.state = before;
  std::vector<Source> opened(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    opened[i].row = sources[i];
    const SealProblem problem = open(opened[i]);
    if (problem) return problem;
  }
  SealProblem problem = copy_extents(opened);
  for (const Source& source : opened) {
    if (!problem && source.copied_bytes != source.row.live_bytes) {
      problem = damage(source, source.row.bytes, "the catalog tells of extents that are not here");
    }
    change_.removed_segments.push_back(source.row.id);
  }
  if (!problem && output_ != nullptr) {
    if (open_stream_) output_->end_extent();
    problem = output_->finish();
    bytes_written_ = output_->segment().bytes;
  }
  change_.state.next_segment = made_.next_id();
  if (!problem) problem = apply();
  if (!problem && output_ != nullptr) problem = apply_segment(catalog_, change_.state, *output_);
  return problem;
}

SealProblem SegmentMerger::open(Source& source) {
  auto file = files_.get(source.row.id);
  if (!file.ok()) {
    if (file.error() == ports::IoError::kNotFound) return damage(source, 0, "the file is missing");
    return seal_error("cannot open " + segment_name(source.row.id), file.error());
  }
  source.file = std::move(*file);
  source.data.emplace(*source.file, source.row.bytes);
  source.lists.emplace(*source.file, source.row.bytes);

  std::string_view bytes;
  const uint64_t trailer_at = source.row.bytes - segment::kTrailerBytes;
  SealProblem problem = bytes_of(source, *source.lists, trailer_at, segment::kTrailerBytes, &bytes);
  if (problem) return problem;
  const auto trailer = segment::decode_trailer(bytes);
  if (!trailer || trailer->file_bytes != source.row.bytes) {
    return damage(source, trailer_at, "the trailer is damaged");
  }
  source.head_bytes.resize(trailer->heads_bytes);
  const auto got =
      source.file->read_at(trailer->heads_offset, source.head_bytes.data(), trailer->heads_bytes);
  if (!got.ok()) return seal_error("cannot read " + segment_name(source.row.id), got.error());
  source.head_bytes.resize(*got);
  source.heads.emplace(source.head_bytes, *trailer);
  return next_head(source);
}

SealProblem SegmentMerger::next_head(Source& source) {
  source.head = source.heads->next();
  if (!source.head && source.heads->damaged()) {
    return damage(source, source.heads->offset(), "the heads are damaged");
  }
  return std::nullopt;
}

// In the order of streams and positions, as the extents are in each source.
SealProblem SegmentMerger::copy_extents(std::vector<Source>& sources) {
  while (true) {
    Source* next = nullptr;
    for (Source& source : sources) {
      if (!source.head) continue;
      const auto place = [](const Source& of) {
        return std::pair(of.head->extent.stream, of.head->extent.begin);
      };
      if (next == nullptr || place(source) < place(*next)) next = &source;
    }
    if (next == nullptr) return std::nullopt;
    SealProblem problem = copy_if_needed(*next);
    if (!problem) problem = next_head(*next);
    if (problem) return problem;
  }
}

SealProblem SegmentMerger::copy_if_needed(Source& source) {
  const Extent& extent = source.head->extent;
  const auto row = catalog_.extent_at(extent.stream, extent.begin);
  if (!row.ok()) return seal_error(row.error());
  if (!*row || (*row)->segment != source.row.id || (*row)->extent.begin != extent.begin) {
    return std::nullopt;
  }
  if (!same((*row)->extent, extent)) {
    return damage(source, extent.head_offset, "this is not the head that the catalog tells of");
  }
  SealProblem problem = begin_extent(extent);
  for (const Block& block : source.head->blocks) {
    if (!problem) problem = copy_block(source, block);
  }
  if (problem) return problem;
  open_end_ = extent.end;
  source.copied_bytes += extent.end - extent.begin;
  change_.removed_extents.push_back(**row);
  return change_.removed_extents.size() < kRowsMax ? std::nullopt : apply();
}

// Goes on with the extent that was written last if this one continues it.
SealProblem SegmentMerger::begin_extent(const Extent& extent) {
  if (output_ == nullptr) {
    auto created = made_.create(level_, single_);
    if (!created.ok()) return created.error();
    output_ = std::move(*created);
  }
  if (open_stream_ == extent.stream && open_end_ == extent.begin) return std::nullopt;
  if (open_stream_) output_->end_extent();
  output_->begin_extent(extent.stream, extent.begin);
  open_stream_ = extent.stream;
  return std::nullopt;
}

SealProblem SegmentMerger::copy_block(Source& source, const Block& block) {
  std::string_view bytes;
  SealProblem problem =
      bytes_of(source, *source.lists, block.list_offset, block.list_bytes, &bytes);
  if (problem) return problem;
  const auto messages = segment::decode_messages(block, bytes);
  if (!messages) return damage(source, block.list_offset, "a message list is damaged");
  problem = bytes_of(source, *source.data, block.data_offset, block.end - block.begin, &bytes);
  if (problem) return problem;
  if (!segment::data_intact(block, bytes)) {
    return damage(source, block.data_offset, "messages are damaged");
  }
  Position at = block.begin;
  for (const segment::Message& message : *messages) {
    output_->add_message(bytes.substr(at - block.begin, message.end - at), message.time_ms);
    at = message.end;
  }
  return output_->problem();
}

SealProblem SegmentMerger::bytes_of(Source& source, FileView& view, uint64_t offset, uint64_t size,
                                    std::string_view* bytes) {
  const auto got = view.bytes(offset, size);
  if (!got.ok()) return seal_error("cannot read " + segment_name(source.row.id), got.error());
  if (got->size() != size) return damage(source, offset, "the end of the file is missing");
  *bytes = *got;
  return std::nullopt;
}

SealProblem SegmentMerger::apply() {
  const auto applied = catalog_.apply(change_);
  if (!applied.ok()) return seal_error(applied.error());
  change_.removed_extents.clear();
  change_.removed_segments.clear();
  return std::nullopt;
}

SealProblem SegmentMerger::damage(const Source& source, uint64_t offset, const std::string& what) {
  damaged_ = source.row.id;
  return seal_corrupt(segment_name(source.row.id) + " at byte " + std::to_string(offset) + ": " +
                      what);
}

}  // namespace ds::store
