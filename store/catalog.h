// The catalog: what has been sealed, in SQLite. Streams by path and by identity with their
// snapshots, the segments and the extents in them, and through which generation the log is sealed.
// Nothing on the append path touches it.
//
// One writer and any number of readers, each a connection of its own used by one thread at a time.
// A commit is one transaction and durable when it returns. The format carries a version; a catalog
// of a newer one is refused. docs/catalog-format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/types.h"
#include "core/segment/format.h"

namespace ds::store {

struct CatalogError {
  enum class Kind : uint8_t { kIo, kNoSpace, kCorrupt, kOtherVersion, kBusy } kind = Kind::kIo;
  std::string message;  // one sentence for the operator
};

struct CatalogStream {
  Incarnation id;
  std::string path;
  std::string snapshot;  // core/stream/snapshot.h
  Instant due = kNever;  // when it may have expired: to be looked at then
  bool pinned = false;   // forks share its bytes
  // Written, never read back: when its retention is to be looked at next (store/retention.h), and
  // whether the catalog has the stream: then its path stays, and need not be given.
  Instant trim_due = kNever;
  bool known = false;
};

// An extent and the segment that holds it.
struct CatalogExtent {
  uint64_t segment = 0;
  segment::Extent extent;
};

struct CatalogSegment {
  uint64_t id = 0;
  uint32_t level = 0;       // 0: made from a generation; n: merged from segments of level n - 1
  bool single = false;      // one large stream alone
  uint64_t bytes = 0;       // of the file
  uint64_t data_bytes = 0;  // of messages in it, needed or not
  uint64_t extents = 0;     // in it, needed or not
  // Of messages that a stream or a fork still needs: the sum of the segment's extents. Kept by the
  // catalog; what a new segment says here is not looked at.
  uint64_t live_bytes = 0;
};

// The facts about the whole.
struct CatalogState {
  uint32_t sealed_through = 0;  // generation; 0: none
  Incarnation highest_life;     // that any sealed op names
  Incarnation lost_life;        // streams whose newest life is older may have lost answered writes
  uint64_t next_segment = 1;    // no file of this number or a higher one belongs to the catalog
};

// What one transaction changes. Applied in this order: removals before additions.
struct CatalogChange {
  std::vector<Incarnation> removed_streams;    // and all their extents
  std::vector<CatalogStream> streams;          // new ones, or new snapshots of known ones
  std::vector<CatalogExtent> removed_extents;  // by stream and begin
  std::vector<CatalogExtent> extents;
  std::vector<uint64_t> removed_segments;
  std::vector<CatalogSegment> segments;  // new ones
  // Pins whose fork is not in the catalog yet, and those that are settled: (source, fork).
  std::vector<std::pair<Incarnation, Incarnation>> open_pins;
  std::vector<Incarnation> settled_pins;  // by fork
  // When the retention of known streams is to be looked at next.
  std::vector<std::pair<Incarnation, Instant>> trims_due;
  bool all_trims_due = false;  // now, for all of them: the server's retention may have changed
  CatalogState state;          // as it is afterwards
};

class Catalog {
 public:
  enum class Mode : uint8_t { kReadWrite, kReadOnly };
  // Opens, or creates (kReadWrite), the catalog at `path`.
  static Result<std::unique_ptr<Catalog>, CatalogError> open(const std::string& path, Mode mode);
  virtual ~Catalog() = default;

  virtual Result<CatalogState, CatalogError> state() = 0;
  // --- Streams: nothing if there is none ---------------------------------------------------------
  virtual Result<std::optional<CatalogStream>, CatalogError> find(std::string_view path) = 0;
  virtual Result<std::optional<CatalogStream>, CatalogError> find(Incarnation id) = 0;
  // Those due in (after, until], soonest first, at most `limit`: (due, id) pairs.
  struct Due {
    Instant due;
    Incarnation id;
  };
  virtual Result<std::vector<Due>, CatalogError> due(Due after, Instant until, size_t limit) = 0;
  // The same for their retention.
  virtual Result<std::vector<Due>, CatalogError> trims_due(Instant until, size_t limit) = 0;
  // Paths that begin with `prefix` and come after `after`, in byte order, at most `limit`.
  virtual Result<std::vector<CatalogStream>, CatalogError> list(std::string_view prefix,
                                                                std::string_view after,
                                                                size_t limit) = 0;
  virtual Result<uint64_t, CatalogError> stream_count() = 0;
  virtual Result<std::vector<std::pair<Incarnation, Incarnation>>, CatalogError> open_pins() = 0;

  // --- Extents and segments ----------------------------------------------------------------------
  // The extent of `owner` that holds the byte at `at`.
  virtual Result<std::optional<CatalogExtent>, CatalogError> extent_at(Incarnation owner,
                                                                       Position at) = 0;
  virtual Result<std::vector<CatalogExtent>, CatalogError> extents_of(Incarnation owner) = 0;
  virtual Result<std::vector<CatalogSegment>, CatalogError> segments() = 0;

  // --- Writing: kReadWrite only ------------------------------------------------------------------
  // Durable when it returns. After a failure nothing of it is there; only if the disk failed in its
  // last step may the whole of it appear after a crash.
  virtual Result<bool, CatalogError> commit(const CatalogChange& change) = 0;
  // The same for what is too large to be in memory at once: begin, a change after the other, and
  // finish or abandon. Reads of this connection see what has been applied so far. After a failure
  // of any of them the transaction is abandoned already; abandoning none does nothing.
  virtual Result<bool, CatalogError> begin() = 0;
  virtual Result<bool, CatalogError> apply(const CatalogChange& change) = 0;
  virtual Result<bool, CatalogError> finish() = 0;
  virtual void abandon() = 0;
  // SQLite's own check of the file: sentences about what is wrong.
  virtual Result<std::vector<std::string>, CatalogError> check() = 0;
};

}  // namespace ds::store
