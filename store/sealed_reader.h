// Answers reads of sealed messages: finds the extents in the catalog, reads and checks the blocks
// in the segments.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/segment/format.h"
#include "core/segment/sealed_read.h"
#include "ports/file.h"
#include "store/buffer_pool.h"
#include "store/catalog.h"

namespace ds::store {

// "00000000000000a1.seg", and the number in such a name.
std::string segment_name(uint64_t id);
std::optional<uint64_t> parse_segment_name(std::string_view name);

// The open files of segments and the heads read last, shared by all readers. Only so many of each
// are kept. Any thread.
class SegmentFiles {
 public:
  static constexpr size_t kOpenFilesMax = 128;
  // Of the heads that are kept: their number, their blocks together (some 4 MB), and what makes one
  // worth keeping. Whoever reads a large extent front to back asks for its head again and again.
  static constexpr size_t kHeadsMax = 64;
  static constexpr size_t kHeadBlocksMax = 64 << 10;
  static constexpr size_t kHeadBlocksMin = 8;

  using HeadPtr = std::shared_ptr<const segment::Head>;

  // Borrows `directory` for its whole life.
  explicit SegmentFiles(ports::Directory& directory) : directory_(directory) {}

  Result<std::shared_ptr<ports::File>, ports::IoError> get(uint64_t id);
  // The segment's file has been removed.
  void forget(uint64_t id);

  // Null if it is not kept.
  HeadPtr head(uint64_t id, uint64_t head_offset);
  // May keep it.
  void keep_head(uint64_t id, uint64_t head_offset, HeadPtr head);

  // For what is read from the files.
  BufferPool& buffers() { return *buffers_; }

 private:
  struct Entry {
    std::shared_ptr<ports::File> file;
    uint64_t last_use = 0;
  };
  struct KeptHead {
    HeadPtr head;
    uint64_t last_use = 0;
  };
  using HeadKey = std::pair<uint64_t, uint64_t>;  // segment, offset

  ports::Directory& directory_;
  const std::shared_ptr<BufferPool> buffers_ = std::make_shared<BufferPool>();
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<uint64_t, Entry> entries_;
  std::map<HeadKey, KeptHead> heads_;
  size_t head_blocks_ = 0;  // of heads_
  uint64_t uses_ = 0;
  uint64_t forgotten_ = 0;  // calls of forget()
};

enum class SealedReadError : uint8_t {
  kFailed,   // I/O: try again later
  kCorrupt,  // what is stored there is missing or fails its checksum
};

// Where the bytes of a chunk lie back to back, if they all lie in one file.
struct SealedSource {
  std::shared_ptr<const ports::File> file;  // null: they do not
  uint64_t offset = 0;
};

// One per thread: borrows a catalog connection of that thread's, and the shared files. A segment
// that was merged away under its feet is looked up again. `problem` and `source` may be null;
// `problem` is told what is wrong with which file and where, for the log, `source` where the bytes
// came from.
Result<segment::SealedChunk, SealedReadError> read_sealed(Catalog& catalog, SegmentFiles& files,
                                                          const segment::SealedRead& read,
                                                          std::string* problem,
                                                          SealedSource* source = nullptr);

}  // namespace ds::store
