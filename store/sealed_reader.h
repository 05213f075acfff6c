// Answers reads of sealed messages: finds the extents in the catalog, reads and checks the blocks
// in the segments (DESIGN §4).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/segment/sealed_read.h"
#include "ports/file.h"
#include "store/catalog.h"

namespace ds::store {

// "00000000000000a1.seg", and the number in such a name.
std::string segment_name(uint64_t id);
std::optional<uint64_t> parse_segment_name(std::string_view name);

// The open files of segments, shared by all readers. Only so many stay open.
class SegmentFiles {
 public:
  static constexpr size_t kOpenFilesMax = 128;
  // Borrows `directory` for its whole life.
  explicit SegmentFiles(ports::Directory& directory) : directory_(directory) {}
  // Any thread.
  Result<std::shared_ptr<ports::File>, ports::IoError> get(uint64_t id);
  void forget(uint64_t id);

 private:
  struct Entry {
    std::shared_ptr<ports::File> file;
    uint64_t last_use = 0;
  };
  ports::Directory& directory_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<uint64_t, Entry> entries_;
  uint64_t uses_ = 0;
};

enum class SealedReadError : uint8_t {
  kFailed,   // I/O: try again later
  kCorrupt,  // what is stored there is missing or fails its checksum
};

// One per thread: borrows a catalog connection of that thread's, and the shared files. A segment
// that was merged away under its feet is looked up again. `problem`, if not null, is told what is
// wrong with which file and where, for the log.
Result<segment::SealedChunk, SealedReadError> read_sealed(Catalog& catalog, SegmentFiles& files,
                                                          const segment::SealedRead& read,
                                                          std::string* problem);

}  // namespace ds::store
