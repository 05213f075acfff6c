#include "store/sealer.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "store/new_segments.h"
#include "store/seal_generation.h"
#include "store/segment_merge.h"

namespace ds::store {
namespace {

// Those of one level, neighbours in the order in which they came to be, that are to become one of
// the next; none if there are too few.
std::vector<CatalogSegment> mergeable(const std::vector<CatalogSegment>& segments, uint32_t level,
                                      const SealerOptions& options) {
  std::vector<CatalogSegment> window;
  uint64_t bytes = 0;
  uint64_t extents = 0;
  for (const CatalogSegment& segment : segments) {
    if (segment.level != level || segment.single) continue;
    window.push_back(segment);
    bytes += segment.bytes;
    extents += segment.extents;
    if (window.size() > options.merge_fan_in) {
      bytes -= window.front().bytes;
      extents -= window.front().extents;
      window.erase(window.begin());
    }
    if (window.size() == options.merge_fan_in && bytes <= options.segment_bytes_max &&
        extents <= options.segment_extents_max) {
      return window;
    }
  }
  return {};
}

// What the file needs that is made of this segment's part of it.
uint64_t rewritten_bytes(const CatalogSegment& segment) {
  return segment.bytes - std::min(segment.bytes, segment.data_bytes - segment.live_bytes);
}

uint64_t rewritten_bytes(const std::vector<CatalogSegment>& segments) {
  uint64_t bytes = 0;
  for (const CatalogSegment& segment : segments) bytes += rewritten_bytes(segment);
  return bytes;
}

}  // namespace

Sealer::Sealer(ports::Directory& log, ports::Directory& segments, Catalog& catalog,
               SegmentFiles& files, const SealerOptions& options)
    : log_(log), segments_(segments), catalog_(catalog), files_(files), options_(options) {
  DS_ASSERT(options.merge_fan_in >= 2);
}

Result<Sealer::Sweep, SealError> Sealer::sweep() {
  const auto known = catalog_.segments();
  if (!known.ok()) return seal_error(known.error());
  const auto names = segments_.list();
  if (!names.ok()) return seal_error("cannot list the segments' directory", names.error());
  std::set<std::string> missing;
  for (const CatalogSegment& segment : *known) missing.insert(segment_name(segment.id));
  Sweep sweep;
  for (const std::string& name : *names) {
    if (missing.erase(name) != 0 || !parse_segment_name(name)) continue;
    const ports::IoStatus removed = segments_.remove(name);
    if (!removed.ok()) return seal_error("cannot remove " + name, removed.error());
    sweep.removed.push_back(name);
  }
  if (!sweep.removed.empty()) {
    const ports::IoStatus synced = segments_.sync();
    if (!synced.ok()) return seal_error("cannot sync the segments' directory", synced.error());
  }
  sweep.missing.assign(missing.begin(), missing.end());
  count(0, 0, 0);
  return sweep;
}

Result<std::vector<SealedStream>, SealError> Sealer::seal(uint32_t generation) {
  const auto before = catalog_.state();
  if (!before.ok()) return seal_error(before.error());
  if (generation != before->sealed_through + 1) {
    return seal_corrupt("generation " + std::to_string(generation) + " cannot be sealed after " +
                        std::to_string(before->sealed_through));
  }
  NewSegments made(segments_, std::max(next_segment_, before->next_segment));
  const auto begun = catalog_.begin();
  if (!begun.ok()) return seal_error(begun.error());
  SealedGeneration sealed;
  SealProblem problem =
      GenerationSealer(log_, catalog_, made, options_).run(generation, *before, &sealed);
  if (!problem) problem = finish(made, sealed.removed_segments);
  if (problem) {
    catalog_.abandon();
    return *problem;
  }
  count(1, 0, sealed.bytes_written);
  return std::move(sealed.streams);
}

Result<bool, SealError> Sealer::tidy(const Room& room) {
  auto segments = catalog_.segments();
  if (!segments.ok()) return seal_error(segments.error());
  std::erase_if(*segments,
                [this](const CatalogSegment& segment) { return damaged_.count(segment.id) != 0; });
  const uint64_t percent =
      room.scarce ? options_.live_percent_min_scarce : options_.live_percent_min;
  uint32_t highest_level = 0;
  for (const CatalogSegment& segment : *segments) {
    highest_level = std::max(highest_level, segment.level);
    if (segment.live_bytes * 100 < segment.data_bytes * percent &&
        rewritten_bytes(segment) <= room.bytes) {
      return replace({segment}, segment.level);
    }
  }
  if (room.scarce) return false;
  for (uint32_t level = 0; level <= highest_level; ++level) {
    const std::vector<CatalogSegment> sources = mergeable(*segments, level, options_);
    if (!sources.empty() && rewritten_bytes(sources) <= room.bytes)
      return replace(sources, level + 1);
  }
  return false;
}

// Puts what is needed of `sources` into one new segment of `level`.
Result<bool, SealError> Sealer::replace(const std::vector<CatalogSegment>& sources,
                                        uint32_t level) {
  const auto before = catalog_.state();
  if (!before.ok()) return seal_error(before.error());
  NewSegments made(segments_, std::max(next_segment_, before->next_segment));
  const auto begun = catalog_.begin();
  if (!begun.ok()) return seal_error(begun.error());
  SegmentMerger merger(catalog_, files_, made);
  SealProblem problem = merger.run(sources, level, *before);
  std::vector<uint64_t> removed;
  removed.reserve(sources.size());
  for (const CatalogSegment& source : sources) removed.push_back(source.id);
  if (!problem) problem = finish(made, removed);
  if (problem) {
    catalog_.abandon();
    if (merger.damaged()) damaged_.insert(*merger.damaged());
    return *problem;
  }
  count(0, 1, merger.bytes_written());
  return true;
}

// The last steps of a transaction: names, rows, and then what is not needed any more.
SealProblem Sealer::finish(NewSegments& made, const std::vector<uint64_t>& removed_segments) {
  const SealProblem unsynced = made.sync();
  if (unsynced) return unsynced;
  const auto finished = catalog_.finish();
  if (!finished.ok()) {
    // Without room the last of the transaction's pages was not written. After any other failure
    // nobody knows.
    if (finished.error().kind != CatalogError::Kind::kNoSpace) {
      made.keep();
      next_segment_ = made.next_id();
      const std::vector<uint64_t> ids = made.ids();
      unsure_.insert(unsure_.end(), ids.begin(), ids.end());
    }
    return seal_error(finished.error());
  }
  made.keep();
  remove_files(removed_segments);
  // Now there is a transaction in the place of those.
  remove_files(unsure_);
  unsure_.clear();
  return std::nullopt;
}

void Sealer::remove_files(const std::vector<uint64_t>& ids) {
  for (const uint64_t id : ids) {
    files_.forget(id);
    // What cannot be removed now, the next start removes.
    (void)segments_.remove(segment_name(id));
  }
}

Sealer::Stats Sealer::stats() const {
  const std::lock_guard lock(stats_mutex_);
  return stats_;
}

void Sealer::count(uint64_t generations, uint64_t merges, uint64_t bytes_written) {
  const auto segments = catalog_.segments();
  const std::lock_guard lock(stats_mutex_);
  stats_.generations += generations;
  stats_.merges += merges;
  stats_.bytes_written += bytes_written;
  if (!segments.ok()) return;
  stats_.segments = segments->size();
  stats_.segment_bytes = 0;
  stats_.live_bytes = 0;
  for (const CatalogSegment& segment : *segments) {
    stats_.segment_bytes += segment.bytes;
    stats_.live_bytes += segment.live_bytes;
  }
}

}  // namespace ds::store
