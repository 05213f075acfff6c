// Sealing: rewrites whole generations of the op log, clustered by stream, into segments, and
// records them in the catalog; merges segments; removes what nobody needs. A class without a
// thread: its host calls it from one thread, never an event loop.
//
// Sealing a generation is the recovery of that generation, by the same `apply`: the catalog's
// snapshots plus the generation's ops give the next snapshots. No engine is asked. A crash anywhere
// leaves a generation that is still there and files that the next start removes.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/types.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/seal_error.h"
#include "store/sealed_reader.h"

namespace ds::store {

struct SealerOptions {
  // A stream with this much in a generation gets a segment of its own.
  uint64_t single_stream_bytes = 4 << 20;
  // So many neighbouring segments of one level are merged into one of the next.
  uint32_t merge_fan_in = 8;
  // Segments that would grow beyond this, or have more extents together than this, are left alone.
  // An extent needs up to 250 bytes of memory while it is merged.
  uint64_t segment_bytes_max = uint64_t{1} << 30;
  uint64_t segment_extents_max = 1 << 19;
  // A segment of which less than this part (percent) is needed is rewritten; the other part counts
  // while space is scarce.
  uint32_t live_percent_min = 50;
  uint32_t live_percent_min_scarce = 90;
  // Every stream has a retention, as the server has one: not only those that were created with it.
  bool trims_all = false;
  // Streams are sealed in passes that gather about this much of the generation each, in memory;
  // every pass reads all of it.
  uint64_t pass_bytes = 32 << 20;
  // The catalog is given its rows when there are about so many bytes of them.
  uint64_t change_bytes = 4 << 20;
};

// A stream that a sealed generation has touched.
struct SealedStream {
  Incarnation id;
  uint64_t path_hash = 0;
};

class NewSegments;

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
  // by one that has begun. Afterwards the generation's file is not needed for recovery any more;
  // its removal is the caller's. Returns the streams that were touched and still exist. After a
  // failure nothing has changed, and the call may be repeated.
  Result<std::vector<SealedStream>, SealError> seal(uint32_t generation);

  // What upkeep finds on the disk: it takes room before it gives some back.
  struct Room {
    uint64_t bytes = UINT64_MAX;
    bool scarce = false;  // only what gives room back
  };
  // Does one piece of upkeep, a merge or a rewrite, if there is one worth doing that needs no more
  // than `room`. False: nothing to do. After a failure nothing has changed. A segment that turns
  // out to be damaged is reported once, as kCorrupt, and left alone from then on: copying it would
  // hide the damage.
  Result<bool, SealError> tidy(const Room& room);
  Result<bool, SealError> tidy() { return tidy(Room()); }

  struct Stats {
    uint64_t generations = 0;    // sealed since the start
    uint64_t bytes_written = 0;  // to segments since the start
    uint64_t merges = 0;         // and rewrites, since the start
    uint64_t segments = 0;       // there are now
    uint64_t segment_bytes = 0;  // of their files
    uint64_t live_bytes = 0;
  };
  Stats stats() const;  // any thread

 private:
  Result<bool, SealError> replace(const std::vector<CatalogSegment>& sources, uint32_t level);
  SealProblem finish(NewSegments& made, const std::vector<uint64_t>& removed_segments);
  void remove_files(const std::vector<uint64_t>& ids);
  void count(uint64_t generations, uint64_t merges, uint64_t bytes_written);

  ports::Directory& log_;
  ports::Directory& segments_;
  Catalog& catalog_;
  SegmentFiles& files_;
  const SealerOptions options_;
  // Segments of transactions that failed, but may still appear after a crash: until another one
  // has succeeded their files must be there, and no new one gets a number of theirs.
  std::vector<uint64_t> unsure_;
  uint64_t next_segment_ = 1;
  std::set<uint64_t> damaged_;  // segments that were reported

  mutable std::mutex stats_mutex_;
  Stats stats_;  // guarded by stats_mutex_
};

}  // namespace ds::store
