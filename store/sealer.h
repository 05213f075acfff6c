// Sealing: rewrites whole generations of the op log, clustered by stream, into segments, and
// records them in the catalog; merges segments; removes what nobody needs (DESIGN §4). A class
// without a thread: its host calls it from one thread, never an event loop.
//
// Sealing a generation is the recovery of that generation, by the same `apply`: the catalog's
// snapshots plus the generation's ops give the next snapshots. No engine is asked. A crash anywhere
// leaves a generation that is still there and files that the next start removes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/types.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/op_log.h"
#include "store/sealed_reader.h"

namespace ds::store {

struct SealerOptions {
  // A stream with this much in a generation gets a segment of its own.
  uint64_t single_stream_bytes = 4 << 20;
  // So many neighbouring segments of one level are merged into one of the next.
  uint32_t merge_fan_in = 8;
  // Segments that would grow beyond this are left alone.
  uint64_t segment_bytes_max = uint64_t{1} << 30;
  // A segment of which less than this part (percent) is needed is rewritten.
  uint32_t live_percent_min = 50;
  // Streams are sealed in passes of about this many records, which bounds the memory.
  uint32_t records_per_pass = 65536;
};

// A stream that a sealed generation has touched.
struct SealedStream {
  Incarnation id;
  uint64_t path_hash = 0;
};

struct SealError {
  enum class Kind : uint8_t { kIo, kNoSpace, kCorrupt } kind = Kind::kIo;
  std::string message;  // one sentence for the operator
};

class Sealer {
 public:
  // Borrows all for its whole life. `segments` is the directory of segment files.
  Sealer(ports::Directory& log, ports::Directory& segments, Catalog& catalog, SegmentFiles& files,
         const SealerOptions& options);

  // Once, before anything else: removes segment files that are not in the catalog, and says which
  // files of the catalog are missing. Returns the names of those removed and missing.
  struct Sweep {
    std::vector<std::string> removed;
    std::vector<std::string> missing;
  };
  Result<Sweep, SealError> sweep();

  // Seals generation `generation`, which must be the one after the last sealed one and be followed
  // by one that has begun; `end_sequence` is the first sequence of that one. Afterwards the
  // generation's file is not needed for recovery any more; its removal is the caller's. Returns the
  // streams that were touched and still exist.
  Result<std::vector<SealedStream>, SealError> seal(uint32_t generation);

  // Does one piece of upkeep, a merge or a rewrite, if there is one worth doing. False: nothing to
  // do.
  Result<bool, SealError> tidy();

  struct Stats {
    uint64_t generations = 0;    // sealed since the start
    uint64_t bytes_written = 0;  // to segments since the start
    uint64_t merges = 0;
    uint64_t segments = 0;       // there are now
    uint64_t segment_bytes = 0;  // of their files
    uint64_t live_bytes = 0;
  };
  Stats stats() const;  // any thread
};

}  // namespace ds::store
