// What one generation of the log becomes: segments with its messages, clustered by stream, and the
// catalog's rows of every stream that it touches.
//
// The generation is read several times. A first look counts what each stream has in it; then the
// streams are taken in the order of their identities, so many at a time that memory stays bounded:
// snapshot, the ops of the generation, the next snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/stream/op.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/generation_scan.h"
#include "store/generation_survey.h"
#include "store/new_segments.h"
#include "store/sealer.h"

namespace ds::store {

// What comes of it.
struct SealedGeneration {
  CatalogState state;                      // of the catalog afterwards
  std::vector<SealedStream> streams;       // that were touched and still exist
  std::vector<uint64_t> removed_segments;  // whose files nobody needs afterwards
  uint64_t bytes_written = 0;
};

class GenerationSealer {
 public:
  // Borrows all for its whole life.
  GenerationSealer(ports::Directory& log, Catalog& catalog, NewSegments& made,
                   const SealerOptions& options);

  // REQUIRES: the catalog has a transaction open, and is in state `before`. Afterwards the
  // transaction holds all that changes, and the segments' files are written and synced; their
  // directory is not.
  SealProblem run(uint32_t generation, const CatalogState& before, SealedGeneration* sealed);

 private:
  struct Touched;

  SealProblem open(uint32_t generation);
  SealProblem survey();
  // The streams from `first` on that one pass takes: one past the last of them.
  size_t pass_end(size_t first) const;
  SealProblem seal_streams(std::span<const StreamSurvey> streams);
  bool take_op(std::vector<Touched>& pass, std::string_view record, LogPosition at);
  bool load(Touched& touched, const stream::Op& op);
  SealProblem settle(Touched& touched, CatalogChange& change);
  SealProblem drop_unneeded(const Touched& touched, CatalogChange& change);
  SealProblem write_extent(const Touched& touched);
  SealProblem write_shared(const Touched& touched);
  SealProblem write_single(const Touched& touched);
  SealProblem finish_output(SegmentOutput& output);
  SealProblem remove_empty_segments();
  SealProblem apply(CatalogChange& change);
  bool single(const StreamSurvey& stream) const {
    return stream.payload_bytes >= options_.single_stream_bytes;
  }

  ports::Directory& log_;
  Catalog& catalog_;
  NewSegments& made_;
  const SealerOptions& options_;

  GenerationFile generation_;
  uint64_t end_sequence_ = 0;
  GenerationSurvey survey_;
  std::unique_ptr<SegmentOutput> shared_;
  SealProblem failed_;  // inside a callback
  SealedGeneration sealed_;
};

}  // namespace ds::store
