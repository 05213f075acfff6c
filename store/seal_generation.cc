#include "store/seal_generation.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/snapshot.h"
#include "core/stream/state.h"
#include "store/generation_files.h"
#include "store/generation_pass.h"
#include "store/payload_reader.h"

namespace ds::store {

using stream::MessageIndex;
using stream::Op;
using stream::OpType;
using stream::StreamState;

namespace {

// What is read back at a time for a stream with a segment of its own.
constexpr uint64_t kReadBytes = 1 << 20;

// When the stream is to be looked at. One that is read may live longer than its record says, since
// not every access is put on record: by as much as engines allow.
Instant due_of(const StreamState& state) {
  constexpr Duration kGraceMin = seconds(1);
  constexpr Duration kGraceMax = seconds(3600);
  if (state.soft_deleted) return kNever;
  const Instant due = stream::expiry(state.config, state.accessed);
  if (due == kNever || state.config.expires_at) return due;
  const Duration ttl = due - state.accessed;
  return due + std::clamp(Duration{ttl.us / 8}, kGraceMin, kGraceMax);
}

// What a row costs in memory beside its snapshot, roughly.
constexpr uint64_t kRowBytes = 128;

// Whether an op may leave bytes of its stream that nobody needs any more.
bool frees_bytes(OpType type) {
  return type == OpType::kDelete || type == OpType::kExpire || type == OpType::kUnpin ||
         type == OpType::kTrim;
}

}  // namespace

// A stream between one snapshot and the next.
struct GenerationSealer::Progress {
  std::optional<StreamState> state;  // its index holds this generation's messages
  std::string payloads;              // of those, unless it is single
  bool single = false;               // it gets a segment of its own
  bool in_catalog = false;
  bool frees_bytes = false;
};

GenerationSealer::GenerationSealer(ports::Directory& log, Catalog& catalog, NewSegments& made,
                                   const SealerOptions& options)
    : log_(log),
      catalog_(catalog),
      made_(made),
      options_(options),
      limits_{options.single_stream_bytes, options.pass_bytes} {}

SealProblem GenerationSealer::run(uint32_t generation, const CatalogState& before,
                                  SealedGeneration* sealed) {
  sealed_.state = before;
  sealed_.state.sealed_through = generation;
  SealProblem problem = open(generation);
  if (!problem) problem = survey();
  const std::vector<StreamSurvey>& streams = survey_.streams;
  for (size_t first = 0; !problem && first < streams.size();) {
    const size_t end = pass_end(first);
    problem = seal_streams(std::span(streams).subspan(first, end - first));
    first = end;
  }
  if (!problem && shared_ != nullptr) problem = finish_output(*shared_);
  if (!problem) problem = remove_empty_segments();
  if (problem) return problem;
  *sealed = std::move(sealed_);
  return std::nullopt;
}

SealProblem GenerationSealer::open(uint32_t generation) {
  auto found = open_generation(log_, generation);
  if (!found.ok()) return seal_error(found.error());
  const auto next = open_generation(log_, generation + 1);
  if (!next.ok()) return seal_error(next.error());
  if (found->state != HeaderState::kValid) return seal_error(not_a_generation(*found));
  if (next->state != HeaderState::kValid) return seal_error(not_a_generation(*next));
  generation_ = std::move(*found);
  end_sequence_ = next->header.first_sequence;
  return std::nullopt;
}

SealProblem GenerationSealer::survey() {
  auto surveyed = survey_generation(generation_, end_sequence_, catalog_);
  if (!surveyed.ok()) return surveyed.error();
  survey_ = std::move(*surveyed);
  sealed_.state.highest_life = std::max(sealed_.state.highest_life, survey_.highest_life);
  CatalogChange change;
  for (const auto& [fork, source] : survey_.open_pins) change.open_pins.emplace_back(source, fork);
  change.settled_pins = survey_.settled_pins;
  return apply(change);
}

size_t GenerationSealer::pass_end(size_t first) const {
  uint64_t bytes = 0;
  size_t end = first;
  while (end < survey_.streams.size()) {
    bytes += limits_.bytes_of(survey_.streams[end]);
    if (bytes > options_.pass_bytes && end > first) break;
    ++end;
  }
  return end;
}

// In the order of identities, so that segments are clustered, the catalog's rows are read and
// written in their order, and a stream goes before a later one takes its path.
SealProblem GenerationSealer::seal_streams(std::span<const StreamSurvey> streams) {
  GenerationPass pass(streams, limits_);
  std::map<size_t, Progress> handed_on;
  SealProblem problem =
      pass.read(generation_, end_sequence_,
                [this, streams, &handed_on](size_t i, std::string_view record, LogPosition at) {
                  Progress& progress = handed_on[i];
                  progress.single = limits_.single(streams[i]);
                  return take_op(progress, record, at);
                });
  if (failed_) return failed_;
  CatalogChange change;
  Progress gathered;
  for (size_t i = 0; i < streams.size() && !problem; ++i) {
    if (pass.gathered(i)) {
      problem = take_gathered(gathered, streams[i].id, pass.records_of(i));
      if (!problem) problem = settle(gathered, change);
    } else {
      problem = settle(handed_on[i], change);
      handed_on.erase(i);
    }
    if (!problem && change_bytes_ >= options_.change_bytes) problem = apply(change);
  }
  return problem ? problem : apply(change);
}

// Where its records are does not matter any more: their messages lie beside them.
SealProblem GenerationSealer::take_gathered(Progress& progress, Incarnation id,
                                            std::string_view records) {
  progress.state.reset();
  progress.payloads.clear();
  progress.in_catalog = false;
  progress.frees_bytes = false;
  while (!records.empty()) {
    const std::optional<uint32_t> bytes = stream::peek_record_size(records);
    if (!bytes || !take_op(progress, records.substr(0, *bytes), LogPosition())) {
      if (failed_) return failed_;
      return seal_corrupt(generation_name(generation_.generation) + ": a record of stream " +
                          std::to_string(id.value) + " does not follow from the ones before it");
    }
    records.remove_prefix(*bytes);
  }
  return std::nullopt;
}

// Applies an op to its stream. False if it does not follow.
bool GenerationSealer::take_op(Progress& progress, std::string_view record, LogPosition at) {
  const std::optional<Op> op = stream::decode_record_unchecked(record);
  if (!op) return false;
  if (!progress.state && !load(progress, *op)) return false;
  if (!stream::apply(*progress.state, *op, at)) return false;
  if (!progress.single) progress.payloads.append(op->payload);
  progress.frees_bytes = progress.frees_bytes || frees_bytes(op->type);
  return true;
}

// The stream as it was before its first op in this generation.
bool GenerationSealer::load(Progress& progress, const Op& op) {
  if (op.type == OpType::kCreate) {
    progress.state = stream::new_state(op, MessageIndex());
    return true;
  }
  const auto found = catalog_.find(op.stream);
  if (!found.ok()) {
    failed_ = seal_error(found.error());
    return false;
  }
  if (!*found) return false;
  progress.in_catalog = true;
  progress.state = stream::decode_snapshot((*found)->snapshot);
  if (progress.state && progress.state->id == op.stream) return true;
  failed_ = seal_corrupt("the catalog's snapshot of stream " + std::to_string(op.stream.value) +
                         " is damaged");
  return false;
}

// What the catalog says about the stream from now on.
SealProblem GenerationSealer::settle(const Progress& progress, CatalogChange& change) {
  const StreamState& state = *progress.state;
  change_bytes_ += kRowBytes;
  if (state.gone) {
    if (progress.in_catalog) change.removed_streams.push_back(state.id);
    // Its source is to be told, or was and that has not been sealed: a start has to look.
    if (state.config.fork && survey_.released_pins.count(state.id) == 0) {
      change.open_pins.emplace_back(state.config.fork->source, state.id);
    }
    return std::nullopt;
  }
  SealProblem problem;
  if (progress.in_catalog && progress.frees_bytes) problem = drop_unneeded(state, change);
  if (!problem && !state.index.empty() &&
      stream::needs(state, state.index.begin(), state.index.end())) {
    problem = progress.single ? write_single(state) : write_shared(progress);
  }
  if (problem) return problem;
  CatalogStream& row = change.streams.emplace_back();
  row.id = state.id;
  row.known = progress.in_catalog;
  if (!row.known) row.path = state.path;
  stream::append_snapshot(row.snapshot, state);
  change_bytes_ += row.path.size() + row.snapshot.size();
  row.due = due_of(state);
  row.pinned = !state.pins.empty();
  const bool retains = state.config.retention != stream::Retention{} || options_.trims_all;
  if (retains && !state.soft_deleted) row.trim_due = Instant{0};
  sealed_.streams.push_back({state.id, state.path_hash});
  return std::nullopt;
}

SealProblem GenerationSealer::drop_unneeded(const StreamState& state, CatalogChange& change) {
  auto extents = catalog_.extents_of(state.id);
  if (!extents.ok()) return seal_error(extents.error());
  for (const CatalogExtent& found : *extents) {
    if (stream::needs(state, found.extent.begin, found.extent.end)) continue;
    change.removed_extents.push_back(found);
    change_bytes_ += kRowBytes;
  }
  return std::nullopt;
}

// --- Segments --------------------------------------------------------------------------------

SealProblem GenerationSealer::write_shared(const Progress& progress) {
  if (shared_ == nullptr) {
    auto created = made_.create(0, false);
    if (!created.ok()) return created.error();
    shared_ = std::move(*created);
  }
  const MessageIndex& index = progress.state->index;
  const std::string_view payloads = progress.payloads;
  shared_->begin_extent(progress.state->id, index.begin());
  for (size_t i = index.first(); i < index.size(); ++i) {
    const Position begin = index.start_of(i);
    const stream::MessageEntry& message = index.at(i);
    shared_->add_message(payloads.substr(begin - index.begin(), message.end - begin),
                         message.time_ms);
  }
  shared_->end_extent();
  return shared_->problem();
}

SealProblem GenerationSealer::write_single(const StreamState& state) {
  auto created = made_.create(0, true);
  if (!created.ok()) return created.error();
  SegmentOutput& output = **created;
  GenerationFiles files(log_);
  const MessageIndex& index = state.index;
  output.begin_extent(state.id, index.begin());
  std::vector<OpLog::Piece> pieces;
  std::string payloads;
  for (size_t next = index.first(); next < index.size();) {
    const size_t first = next;
    const Position begin = index.start_of(first);
    pieces.clear();
    payloads.clear();
    for (; next < index.size() && index.start_of(next) - begin < kReadBytes; ++next) {
      const auto bytes = static_cast<uint32_t>(index.at(next).end - index.start_of(next));
      pieces.push_back({index.at(next).record, 0, bytes});
    }
    bool corrupt = false;
    const ports::IoStatus read = read_payloads(files, pieces, payloads, &corrupt);
    if (!read.ok()) {
      const std::string name = generation_name(generation_.generation);
      if (corrupt) return seal_corrupt(name + ": a record is damaged");
      return seal_error("cannot read " + name, read.error());
    }
    for (size_t i = first; i < next; ++i) {
      const Position at = index.start_of(i);
      output.add_message(std::string_view(payloads).substr(at - begin, index.at(i).end - at),
                         index.at(i).time_ms);
    }
    if (output.problem()) return output.problem();
  }
  output.end_extent();
  return finish_output(output);
}

SealProblem GenerationSealer::finish_output(SegmentOutput& output) {
  const SealProblem problem = output.finish();
  if (problem) return problem;
  sealed_.bytes_written += output.segment().bytes;
  sealed_.state.next_segment = made_.next_id();
  return apply_segment(catalog_, sealed_.state, output);
}

SealProblem GenerationSealer::remove_empty_segments() {
  const auto segments = catalog_.segments();
  if (!segments.ok()) return seal_error(segments.error());
  CatalogChange change;
  for (const CatalogSegment& segment : *segments) {
    if (segment.live_bytes == 0) change.removed_segments.push_back(segment.id);
  }
  sealed_.removed_segments = change.removed_segments;
  return apply(change);
}

SealProblem GenerationSealer::apply(CatalogChange& change) {
  change.state = sealed_.state;
  const auto applied = catalog_.apply(change);
  if (!applied.ok()) return seal_error(applied.error());
  change = CatalogChange();
  change_bytes_ = 0;
  return std::nullopt;
}

}  // namespace ds::store
