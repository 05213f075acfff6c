#include "store/sealed_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ds::store {

using ports::IoError;
using segment::Block;
using segment::Message;
using segment::SealedChunk;
using segment::SealedPiece;
using segment::SealedRead;

namespace {

// Either nothing, or why the read ends here.
using Failure = std::optional<SealedReadError>;

// How often a segment may be merged away between the look into the catalog and the opening of its
// file before something else must be wrong.
constexpr int kTriesMax = 5;

class Reading {
 public:
  Reading(Catalog& catalog, SegmentFiles& files, const SealedRead& read, std::string* problem)
      : catalog_(catalog), files_(files), read_(read), problem_(problem) {
    boundary_ = read.boundary;
    bytes_ = files.buffers().take();
  }

  Result<SealedChunk, SealedReadError> run() {
    for (const SealedPiece& piece : read_.pieces) {
      Position at = piece.from;
      while (at < piece.to && !done_) {
        const Failure failure = read_from(piece, at);
        if (failure) return *failure;
        at = chunk_.end;
      }
      if (done_) break;
    }
    bytes_.resize(used_);
    chunk_.bytes = files_.buffers().share(std::move(bytes_));
    return std::move(chunk_);
  }

  SealedSource source() const { return source_; }

 private:
  // One extent of a piece's owner and what reading it takes.
  struct Source {
    uint64_t segment = 0;
    std::shared_ptr<ports::File> file;
    SegmentFiles::HeadPtr head;
  };

  Failure fail(SealedReadError error, std::string what) {
    if (problem_ != nullptr) *problem_ = std::move(what);
    return error;
  }

  Failure damaged(const Source& source, uint64_t offset, const std::string& what) {
    return fail(SealedReadError::kCorrupt,
                segment_name(source.segment) + " at byte " + std::to_string(offset) + ": " + what);
  }

  // Takes what the extent at `at` has for this answer.
  Failure read_from(const SealedPiece& piece, Position at) {
    Source source;
    const Failure failure = find(piece.owner, at, &source);
    return failure ? failure : take(source, at, piece.to);
  }

  Failure find(Incarnation owner, Position at, Source* source) {
    std::string missing;
    for (int tries = 0; tries < kTriesMax; ++tries) {
      const auto found = catalog_.extent_at(owner, at);
      if (!found.ok()) {
        const bool corrupt = found.error().kind == CatalogError::Kind::kCorrupt;
        return fail(corrupt ? SealedReadError::kCorrupt : SealedReadError::kFailed,
                    found.error().message);
      }
      if (!*found) {
        return fail(SealedReadError::kCorrupt, "the catalog knows no segment that holds stream " +
                                                   std::to_string(owner.value) + " at " +
                                                   std::to_string(at.value));
      }
      source->segment = (*found)->segment;
      auto file = files_.get(source->segment);
      if (file.ok()) {
        source->file = std::move(*file);
        return read_head((*found)->extent, source);
      }
      missing = segment_name(source->segment);
      if (file.error() != IoError::kNotFound) {
        return fail(SealedReadError::kFailed, missing + " cannot be opened");
      }
    }
    return fail(SealedReadError::kCorrupt, missing + " is missing");
  }

  Failure read_head(const segment::Extent& extent, Source* source) {
    source->head = files_.head(source->segment, extent.head_offset);
    if (source->head == nullptr) {
      std::string bytes(extent.head_bytes, '\0');
      const Failure failure = read_bytes(*source, extent.head_offset, bytes.data(), bytes.size());
      if (failure) return failure;
      auto head = segment::decode_head(bytes);
      if (!head) return damaged(*source, extent.head_offset, "the head of an extent is damaged");
      source->head = std::make_shared<const segment::Head>(std::move(*head));
      files_.keep_head(source->segment, extent.head_offset, source->head);
    }
    const segment::Extent& found = source->head->extent;
    if (found.stream != extent.stream || found.begin != extent.begin || found.end != extent.end ||
        found.data_offset != extent.data_offset) {
      return damaged(*source, extent.head_offset, "this is not the head that the catalog tells of");
    }
    return std::nullopt;
  }

  Failure read_bytes(const Source& source, uint64_t offset, char* to, uint64_t size) {
    const auto got = source.file->read_at(offset, to, size);
    if (!got.ok()) {
      return fail(SealedReadError::kFailed, segment_name(source.segment) + " cannot be read");
    }
    if (*got != size) return damaged(source, offset + *got, "the end of the file is missing");
    return std::nullopt;
  }

  // Takes messages from the one that ends after `at` to the boundary, `to` or the extent's end.
  Failure take(const Source& source, Position at, Position to) {
    const std::vector<Block>& blocks = source.head->blocks;
    const auto first =
        std::upper_bound(blocks.begin(), blocks.end(), at,
                         [](Position p, const Block& block) { return p < block.end; });
    // The answer can not go on behind this.
    const Position reach = boundary_ == Position{0} ? at + read_.max_chunk_bytes : boundary_;
    const Position target = std::min(reach, to);
    auto last = std::find_if(first, blocks.end(),
                             [target](const Block& block) { return block.end >= target; });
    if (last != blocks.end()) ++last;
    const std::span<const Block> wanted(first, last);

    std::vector<Message> messages;
    const Failure failure = read_lists(source, wanted, &messages);
    if (failure) return failure;
    auto message = std::upper_bound(messages.begin(), messages.end(), at,
                                    [](Position p, const Message& m) { return p < m.end; });
    const Position begin =
        message == messages.begin() ? wanted.front().begin : std::prev(message)->end;
    if (chunk_.ends.empty()) {
      begin_chunk(begin);
    } else if (begin != chunk_.end) {
      return damaged(source, wanted.front().data_offset, "messages do not follow the ones before");
    }
    for (; message != messages.end() && !done_ && chunk_.end < to; ++message) {
      chunk_.end = std::min(message->end, to);
      chunk_.ends.push_back(chunk_.end);
      chunk_.newest_ms = message->time_ms;
      done_ = chunk_.end >= boundary_;
    }
    return read_data(source, wanted, begin);
  }

  void begin_chunk(Position begin) {
    chunk_.begin = begin;
    if (boundary_ == Position{0}) {
      boundary_ = segment::chunk_boundary(begin, read_.max_chunk_bytes);
    }
  }

  Failure read_lists(const Source& source, std::span<const Block> blocks,
                     std::vector<Message>* messages) {
    const uint64_t offset = blocks.front().list_offset;
    std::string lists(blocks.back().list_offset + blocks.back().list_bytes - offset, '\0');
    const Failure failure = read_bytes(source, offset, lists.data(), lists.size());
    if (failure) return failure;
    for (const Block& block : blocks) {
      const auto list =
          std::string_view(lists).substr(block.list_offset - offset, block.list_bytes);
      const auto decoded = segment::decode_messages(block, list);
      if (!decoded) return damaged(source, block.list_offset, "a message list is damaged");
      messages->insert(messages->end(), decoded->begin(), decoded->end());
    }
    return std::nullopt;
  }

  // The bytes from `begin` to where the chunk ends now. Whole blocks are read, to be checked.
  Failure read_data(const Source& source, std::span<const Block> blocks, Position begin) {
    while (blocks.back().begin >= chunk_.end) blocks = blocks.first(blocks.size() - 1);
    const uint64_t offset = blocks.front().data_offset;
    const uint64_t size = blocks.back().end - blocks.front().begin;
    if (bytes_.size() < used_ + size) bytes_.resize(used_ + size);
    // One block at a time, so that a check finds in the processor's cache what was just read.
    for (const Block& block : blocks) {
      char* const data = &bytes_[used_ + (block.data_offset - offset)];
      const uint64_t data_size = block.end - block.begin;
      const Failure failure = read_bytes(source, block.data_offset, data, data_size);
      if (failure) return failure;
      if (!segment::data_intact(block, std::string_view(data, data_size))) {
        return damaged(source, block.data_offset, "messages are damaged");
      }
    }
    if (begin > blocks.front().begin) {
      std::memmove(&bytes_[used_], &bytes_[used_ + (begin - blocks.front().begin)],
                   chunk_.end - begin);
    }
    note_source(source, offset + (begin - blocks.front().begin));
    used_ += chunk_.end - begin;
    return std::nullopt;
  }

  // The next bytes are those at `offset` there.
  void note_source(const Source& from, uint64_t offset) {
    if (used_ == 0) {
      source_ = {from.file, offset};
    } else if (source_.file != from.file || source_.offset + used_ != offset) {
      source_ = {};
    }
  }

  Catalog& catalog_;
  SegmentFiles& files_;
  const SealedRead& read_;
  std::string* problem_;
  SealedChunk chunk_;
  std::string bytes_;  // those of the chunk first, `used_` so far
  size_t used_ = 0;
  SealedSource source_;  // of all of them, if it is one
  Position boundary_;    // 0 until it is known
  bool done_ = false;
};

}  // namespace

Result<SealedChunk, SealedReadError> read_sealed(Catalog& catalog, SegmentFiles& files,
                                                 const SealedRead& read, std::string* problem,
                                                 SealedSource* source) {
  Reading reading(catalog, files, read, problem);
  auto chunk = reading.run();
  if (chunk.ok() && source != nullptr) *source = reading.source();
  return chunk;
}

}  // namespace ds::store
