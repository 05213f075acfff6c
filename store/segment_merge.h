// Copies what is still needed of some segments into a new one: small ones become a large one, and
// what nobody needs goes. Everything is checked on its way, so that no damage is given a new, good
// checksum.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/segment/format.h"
#include "store/catalog.h"
#include "store/file_view.h"
#include "store/new_segments.h"
#include "store/seal_error.h"
#include "store/sealed_reader.h"

namespace ds::store {

class SegmentMerger {
 public:
  // Borrows all for its whole life.
  SegmentMerger(Catalog& catalog, SegmentFiles& files, NewSegments& made)
      : catalog_(catalog), files_(files), made_(made) {}

  // REQUIRES: the catalog has a transaction open, and is in state `before`; `sources` are rows of
  // it. Afterwards the transaction holds what changes: one new segment of `level` has all extents
  // of the sources, and they are gone. Its file is synced, the directory is not.
  SealProblem run(std::span<const CatalogSegment> sources, uint32_t level,
                  const CatalogState& before);
  // The source that was found to be damaged, after a failure.
  std::optional<uint64_t> damaged() const { return damaged_; }
  uint64_t bytes_written() const { return bytes_written_; }

 private:
  struct Source;

  SealProblem open(Source& source);
  SealProblem next_head(Source& source);
  SealProblem copy_extents(std::vector<Source>& sources);
  SealProblem copy_if_needed(Source& source);
  SealProblem copy_block(Source& source, const segment::Block& block);
  SealProblem bytes_of(Source& source, FileView& view, uint64_t offset, uint64_t size,
                       std::string_view* bytes);
  SealProblem begin_extent(const segment::Extent& extent);
  SealProblem apply();
  SealProblem damage(const Source& source, uint64_t offset, const std::string& what);

  Catalog& catalog_;
  SegmentFiles& files_;
  NewSegments& made_;
  uint32_t level_ = 0;
  bool single_ = false;
  CatalogChange change_;  // not applied yet
  std::unique_ptr<SegmentOutput> output_;
  // The extent that is being written.
  std::optional<Incarnation> open_stream_;
  Position open_end_;
  std::optional<uint64_t> damaged_;
  uint64_t bytes_written_ = 0;
};

}  // namespace ds::store
