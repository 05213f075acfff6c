#include "store/new_segments.h"

#include <utility>

#include "store/sealed_reader.h"

namespace ds::store {

using ports::File;
using ports::IoError;

namespace {

constexpr uint64_t kWriteBytes = 1 << 20;
static_assert(kWriteBytes % File::kStreamedBlock == 0);
// Rows that are made at a time.
constexpr size_t kRowsMax = 16384;

}  // namespace

SegmentOutput::SegmentOutput(std::unique_ptr<File> file, const CatalogSegment& segment)
    : file_(std::move(file)), segment_(segment), writer_(out_) {
  // A copy in the system's cache would cost more than the disk: what a stream has much of is rarely
  // read before it was in the cache of those who read it often.
  if (segment_.single) file_->expect_streaming();
}

void SegmentOutput::add_message(std::string_view stored, uint64_t time_ms) {
  writer_.add_message(stored, time_ms);
  if (out_.size() >= kWriteBytes) write_out(out_.size() - out_.size() % kWriteBytes);
}

void SegmentOutput::write_out(size_t size) {
  if (!problem_ && size > 0) {
    const std::string_view bytes(out_.data(), size);
    ports::IoStatus written = file_->write_at(position_, {&bytes, 1});
    // What did go past the cache has nothing left to write.
    if (written.ok()) written = file_->write_behind(position_, size);
    if (!written.ok()) {
      problem_ = seal_error("cannot write " + segment_name(segment_.id), written.error());
    }
  }
  position_ += size;
  out_.erase(0, size);
}

SealProblem SegmentOutput::finish() {
  segment_.data_bytes = writer_.bytes();
  extents_ = writer_.finish();
  write_out(out_.size());
  if (!problem_) {
    const ports::IoStatus synced = file_->sync();
    if (!synced.ok()) {
      problem_ = seal_error("cannot sync " + segment_name(segment_.id), synced.error());
    }
  }
  segment_.bytes = position_;
  segment_.extents = extents_.size();
  out_ = {};
  file_.reset();
  return problem_;
}

NewSegments::~NewSegments() {
  if (kept_) return;
  for (const uint64_t id : ids()) {
    // What stays is removed when its number is used again, or by the next start.
    (void)directory_.remove(segment_name(id));
  }
}

Result<std::unique_ptr<SegmentOutput>, SealError> NewSegments::create(uint32_t level, bool single) {
  CatalogSegment segment;
  segment.id = next_id_;
  segment.level = level;
  segment.single = single;
  const std::string name = segment_name(segment.id);
  auto file = directory_.open(name, ports::Directory::Open::kCreateNew);
  if (!file.ok() && file.error() == IoError::kExists) {
    // Left behind by an attempt that failed.
    const ports::IoStatus removed = directory_.remove(name);
    if (!removed.ok()) return seal_error("cannot remove the old " + name, removed.error());
    file = directory_.open(name, ports::Directory::Open::kCreateNew);
  }
  if (!file.ok()) return seal_error("cannot create " + name, file.error());
  ++next_id_;
  return std::make_unique<SegmentOutput>(std::move(file).value(), segment);
}

std::vector<uint64_t> NewSegments::ids() const {
  std::vector<uint64_t> ids;
  for (uint64_t id = first_id_; id < next_id_; ++id) ids.push_back(id);
  return ids;
}

SealProblem NewSegments::sync() {
  if (next_id_ == first_id_) return std::nullopt;
  const ports::IoStatus synced = directory_.sync();
  if (!synced.ok()) return seal_error("cannot sync the segments' directory", synced.error());
  return std::nullopt;
}

SealProblem apply_segment(Catalog& catalog, const CatalogState& state,
                          const SegmentOutput& output) {
  CatalogChange change;
  change.state = state;
  change.segments = {output.segment()};
  for (const segment::Extent& extent : output.extents()) {
    change.extents.push_back({output.segment().id, extent});
    if (change.extents.size() < kRowsMax) continue;
    const auto applied = catalog.apply(change);
    if (!applied.ok()) return seal_error(applied.error());
    change.segments.clear();
    change.extents.clear();
  }
  const auto applied = catalog.apply(change);
  if (!applied.ok()) return seal_error(applied.error());
  return std::nullopt;
}

}  // namespace ds::store
