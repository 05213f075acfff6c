// What one generation of the log becomes: segments with its messages, clustered by stream, and the
// catalog's rows of every stream that it touches.
//
// The generation is read several times. A first look counts what each stream has in it. Then passes
// gather the records of streams that are neighbours by identity, as many as memory is given for, so
// that those of one stream lie together; and the streams are taken one after the other: snapshot,
// the ops of the generation, the next snapshot. The ops of large streams are taken as they are
// read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/stream/op.h"
#include "core/stream/state.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/generation_pass.h"
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
  struct Progress;

  SealProblem open(uint32_t generation);
  SealProblem survey();
  // The streams from `first` on that one pass takes: one past the last of them.
  size_t pass_end(size_t first) const;
  SealProblem seal_streams(std::span<const StreamSurvey> streams);
  SealProblem take_gathered(Progress& progress, Incarnation id, std::string_view records);
  bool take_op(Progress& progress, std::string_view record, LogPosition at);
  bool load(Progress& progress, const stream::Op& op);
  SealProblem settle(const Progress& progress, CatalogChange& change);
  SealProblem drop_unneeded(const stream::StreamState& state, CatalogChange& change);
  SealProblem write_shared(const Progress& progress);
  SealProblem write_single(const stream::StreamState& state);
  SealProblem finish_output(SegmentOutput& output);
  SealProblem remove_empty_segments();
  // Leaves it empty.
  SealProblem apply(CatalogChange& change);

  ports::Directory& log_;
  Catalog& catalog_;
  NewSegments& made_;
  const SealerOptions& options_;
  const PassLimits limits_;

  GenerationFile generation_;
  uint64_t end_sequence_ = 0;
  GenerationSurvey survey_;
  std::unique_ptr<SegmentOutput> shared_;
  uint64_t change_bytes_ = 0;  // of the change that is being made, roughly
  SealProblem failed_;         // inside a callback
  SealedGeneration sealed_;
};

}  // namespace ds::store
