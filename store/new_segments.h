// Segment files in the making. They are written under their final names, which the catalog does not
// know yet, and synced before it does: a crash leaves files that the next start removes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/segment/format.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/seal_error.h"

namespace ds::store {

// A file with the segment that is being written to it.
class SegmentOutput {
 public:
  SegmentOutput(std::unique_ptr<ports::File> file, const CatalogSegment& segment);

  // After the first failure of a write nothing more is written, and finish() reports it.
  void begin_extent(Incarnation stream, Position begin) { writer_.begin_extent(stream, begin); }
  void add_message(std::string_view stored, uint64_t time_ms);
  void end_extent() { writer_.end_extent(); }
  const SealProblem& problem() const { return problem_; }

  // The rest, synced. REQUIRES: there is an extent, and none is open. The rows that the catalog
  // gets are in `segment` and `extents` then, and the file is closed.
  SealProblem finish();
  const CatalogSegment& segment() const { return segment_; }
  const std::vector<segment::Extent>& extents() const { return extents_; }

 private:
  void write_out(size_t size);

  std::unique_ptr<ports::File> file_;
  CatalogSegment segment_;
  std::string out_;  // not written yet
  segment::Writer writer_;
  uint64_t position_ = 0;
  SealProblem problem_;
  std::vector<segment::Extent> extents_;
};

// The files of one transaction. Those that it has made are removed at its end, unless it was told
// to keep them.
class NewSegments {
 public:
  // Borrows `directory` for its whole life. The first file gets number `next_id`.
  NewSegments(ports::Directory& directory, uint64_t next_id)
      : directory_(directory), first_id_(next_id), next_id_(next_id) {}
  ~NewSegments();
  NewSegments(const NewSegments&) = delete;
  NewSegments& operator=(const NewSegments&) = delete;

  Result<std::unique_ptr<SegmentOutput>, SealError> create(uint32_t level, bool single);
  // Makes the names durable.
  SealProblem sync();
  void keep() { kept_ = true; }
  uint64_t next_id() const { return next_id_; }
  std::vector<uint64_t> ids() const;  // of all that were made

 private:
  ports::Directory& directory_;
  const uint64_t first_id_;
  uint64_t next_id_;
  bool kept_ = false;
};

// Adds the rows of a finished segment to the transaction that the catalog has open.
SealProblem apply_segment(Catalog& catalog, const CatalogState& state, const SegmentOutput& output);

}  // namespace ds::store
