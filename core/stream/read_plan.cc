#include "core/stream/read_plan.h"

#include <algorithm>

#include "core/base/assert.h"

namespace ds::stream {

std::optional<Position> resolve(const StreamState& state, const wire::OffsetParam& offset) {
  switch (offset.kind) {
    case wire::OffsetParam::Kind::kBeginning:
      return state.earliest;
    case wire::OffsetParam::Kind::kNow:
      return state.writer.tail;
    case wire::OffsetParam::Kind::kAt:
      return resolve_offset(state.lives, offset.at, state.writer.tail);
  }
  return std::nullopt;
}

ReadPlan plan_read(const StreamState& state, Position from, uint64_t max_chunk_bytes) {
  const MessageIndex& index = state.index;
  const size_t first = index.first_ending_after(from);
  const Position begin = first == index.size() ? from : index.start_of(first);
  return plan_read_to(state, from, segment::chunk_boundary(begin, max_chunk_bytes));
}

ReadPlan plan_read_to(const StreamState& state, Position from, Position boundary) {
  const MessageIndex& index = state.index;
  DS_ASSERT(from >= index.begin());
  ReadPlan plan;
  plan.first = index.first_ending_after(from);
  plan.last = plan.first;
  if (plan.first == index.size()) {
    plan.begin = plan.end = state.writer.tail;
    plan.at_tail = true;
    return plan;
  }
  plan.begin = index.start_of(plan.first);
  // The first message that ends at or after the boundary is the last one of this answer.
  const Position before{boundary.value - 1};
  const size_t at_boundary = before < index.begin() ? plan.first : index.first_ending_after(before);
  plan.last = std::min(at_boundary + 1, index.size());
  const MessageEntry& newest = index.at(plan.last - 1);
  plan.end = newest.end;
  plan.newest_ms = newest.time_ms;
  plan.at_tail = plan.end == state.writer.tail;
  return plan;
}

std::vector<segment::SealedPiece> sealed_pieces(const StreamState& state, Position from) {
  std::vector<segment::SealedPiece> pieces;
  const Position end = state.index.begin();
  Incarnation owner;
  for (size_t i = 0; i < state.lives.size(); ++i) {
    const LifeSpan& span = state.lives[i];
    // A life after a loss is the same stream's.
    if (!span.after_loss) owner = span.life;
    const bool newest = i + 1 == state.lives.size();
    const Position to = newest ? end : std::min(end, state.lives[i + 1].start);
    const Position begin = std::max(from, span.start);
    if (begin >= to) continue;
    if (!pieces.empty() && pieces.back().owner == owner) {
      pieces.back().to = to;
    } else {
      pieces.push_back({owner, begin, to});
    }
  }
  return pieces;
}

wire::CachePolicy cache_policy(const StreamState& state, const ReadPlan& plan, bool names_life,
                               Instant expires, Instant now, const CacheLimits& limits) {
  wire::CachePolicy policy;
  if (plan.at_tail && !state.writer.closed) {
    policy.kind = wire::CachePolicy::Kind::kNoCache;
    return policy;
  }
  uint64_t max_age = names_life ? limits.max_age_seconds : limits.start_max_age_seconds;
  uint64_t stale = names_life ? limits.stale_seconds : 0;
  if (expires != kNever) {
    const int64_t left = std::max<int64_t>(0, (expires - now).us / 1000000);
    const uint64_t lifetime = static_cast<uint64_t>(left);
    max_age = std::min(max_age, lifetime);
    stale = std::min(stale, lifetime - max_age);
  }
  if (max_age == 0) {
    policy.kind = wire::CachePolicy::Kind::kNoCache;
    return policy;
  }
  policy.kind = wire::CachePolicy::Kind::kPublic;
  policy.max_age_seconds = static_cast<uint32_t>(max_age);
  policy.stale_while_revalidate_seconds = static_cast<uint32_t>(stale);
  return policy;
}

}  // namespace ds::stream
