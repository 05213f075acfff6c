#include "store/seal_generation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/snapshot.h"
#include "core/stream/state.h"
#include "store/generation_files.h"
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

// A stream's state while it is sealed, its row and its place in a segment, roughly. Tables of many
// producers come on top.
constexpr uint64_t kStreamBytes = 1024;

// What a stream takes in a pass: its messages only where they are kept until its extent is written.
uint64_t pass_bytes_of(const StreamSurvey& stream, bool keeps_messages) {
  return kStreamBytes + stream.records * sizeof(stream::MessageEntry) +
         (keeps_messages ? stream.payload_bytes : 0);
}

// Whether an op may leave bytes of its stream that nobody needs any more.
bool frees_bytes(OpType type) {
  return type == OpType::kDelete || type == OpType::kExpire || type == OpType::kUnpin ||
         type == OpType::kTrim;
}

}  // namespace

// A stream in the pass that it is sealed in.
struct GenerationSealer::Touched {
  const StreamSurvey* survey = nullptr;
  std::optional<StreamState> state;  // its index holds this generation's messages
  std::string payloads;              // of those, unless the stream is single
  bool in_catalog = false;
  bool frees_bytes = false;
};

GenerationSealer::GenerationSealer(ports::Directory& log, Catalog& catalog, NewSegments& made,
                                   const SealerOptions& options)
    : log_(log), catalog_(catalog), made_(made), options_(options) {}

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
    const StreamSurvey& stream = survey_.streams[end];
    bytes += pass_bytes_of(stream, !single(stream));
    if (bytes > options_.pass_bytes && end > first) break;
    ++end;
  }
  return end;
}

// In the order of identities, so that segments are clustered, the catalog's rows are written in
// their order, and a stream goes before a later one takes its path.
SealProblem GenerationSealer::seal_streams(std::span<const StreamSurvey> streams) {
  std::vector<Touched> pass(streams.size());
  for (size_t i = 0; i < streams.size(); ++i) pass[i].survey = &streams[i];
  const Problem problem = for_each_record_until(
      generation_, end_sequence_,
      [this, &pass](std::string_view record, LogPosition at) { return take_op(pass, record, at); });
  if (failed_) return failed_;
  if (problem) return seal_error(*problem);
  CatalogChange change;
  for (Touched& touched : pass) {
    const SealProblem settled = settle(touched, change);
    if (settled) return settled;
    touched.state.reset();
    touched.payloads = {};
  }
  return apply(change);
}

// Applies an op to its stream, if that is in this pass. False if it does not follow.
bool GenerationSealer::take_op(std::vector<Touched>& pass, std::string_view record,
                               LogPosition at) {
  const Incarnation id{stream::record_stream(record)};
  if (id < pass.front().survey->id || pass.back().survey->id < id) return true;
  const auto found = std::lower_bound(
      pass.begin(), pass.end(), id,
      [](const Touched& touched, Incarnation wanted) { return touched.survey->id < wanted; });
  if (found == pass.end() || found->survey->id != id) return true;
  const std::optional<Op> op = stream::decode_record_unchecked(record);
  if (!op) return false;
  if (!found->state) {
    if (!load(*found, *op)) return false;
    if (!single(*found->survey)) found->payloads.reserve(found->survey->payload_bytes);
  }
  if (!stream::apply(*found->state, *op, at)) return false;
  if (!single(*found->survey)) found->payloads.append(op->payload);
  found->frees_bytes = found->frees_bytes || frees_bytes(op->type);
  return true;
}

// The stream as it was before its first op in this generation.
bool GenerationSealer::load(Touched& touched, const Op& op) {
  if (op.type == OpType::kCreate) {
    touched.state = stream::new_state(op, MessageIndex());
    return true;
  }
  const auto found = catalog_.find(op.stream);
  if (!found.ok()) {
    failed_ = seal_error(found.error());
    return false;
  }
  if (!*found) return false;
  touched.in_catalog = true;
  touched.state = stream::decode_snapshot((*found)->snapshot);
  if (touched.state && touched.state->id == op.stream) return true;
  failed_ = seal_corrupt("the catalog's snapshot of stream " + std::to_string(op.stream.value) +
                         " is damaged");
  return false;
}

// What the catalog says about the stream from now on.
SealProblem GenerationSealer::settle(Touched& touched, CatalogChange& change) {
  const StreamState& state = *touched.state;
  if (state.gone) {
    if (touched.in_catalog) change.removed_streams.push_back(state.id);
    // Its source is to be told, or was and that has not been sealed: a start has to look.
    if (state.config.fork && survey_.released_pins.count(state.id) == 0) {
      change.open_pins.emplace_back(state.config.fork->source, state.id);
    }
    return std::nullopt;
  }
  SealProblem problem;
  if (touched.in_catalog && touched.frees_bytes) problem = drop_unneeded(touched, change);
  if (!problem && !state.index.empty() &&
      stream::needs(state, state.index.begin(), state.index.end())) {
    problem = write_extent(touched);
  }
  if (problem) return problem;
  CatalogStream& row = change.streams.emplace_back();
  row.id = state.id;
  row.path = state.path;
  stream::append_snapshot(row.snapshot, state);
  row.due = due_of(state);
  row.pinned = !state.pins.empty();
  const bool retains = state.config.retention != stream::Retention{} || options_.trims_all;
  if (retains && !state.soft_deleted) row.trim_due = Instant{0};
  sealed_.streams.push_back({state.id, state.path_hash});
  return std::nullopt;
}

SealProblem GenerationSealer::drop_unneeded(const Touched& touched, CatalogChange& change) {
  auto extents = catalog_.extents_of(touched.state->id);
  if (!extents.ok()) return seal_error(extents.error());
  for (const CatalogExtent& found : *extents) {
    if (stream::needs(*touched.state, found.extent.begin, found.extent.end)) continue;
    change.removed_extents.push_back(found);
  }
  return std::nullopt;
}

// --- Segments --------------------------------------------------------------------------------

SealProblem GenerationSealer::write_extent(const Touched& touched) {
  return single(*touched.survey) ? write_single(touched) : write_shared(touched);
}

SealProblem GenerationSealer::write_shared(const Touched& touched) {
  if (shared_ == nullptr) {
    auto created = made_.create(0, false);
    if (!created.ok()) return created.error();
    shared_ = std::move(*created);
  }
  const MessageIndex& index = touched.state->index;
  const std::string_view payloads = touched.payloads;
  shared_->begin_extent(touched.state->id, index.begin());
  for (size_t i = index.first(); i < index.size(); ++i) {
    const Position begin = index.start_of(i);
    const stream::MessageEntry& message = index.at(i);
    shared_->add_message(payloads.substr(begin - index.begin(), message.end - begin),
                         message.time_ms);
  }
  shared_->end_extent();
  return shared_->problem();
}

SealProblem GenerationSealer::write_single(const Touched& touched) {
  auto created = made_.create(0, true);
  if (!created.ok()) return created.error();
  SegmentOutput& output = **created;
  GenerationFiles files(log_);
  const MessageIndex& index = touched.state->index;
  output.begin_extent(touched.state->id, index.begin());
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
  return std::nullopt;
}

}  // namespace ds::store
