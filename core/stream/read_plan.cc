#include "core/stream/read_plan.h"

#include <algorithm>

#include "core/base/assert.h"

namespace ds::stream {

std::optional<Position> resolve(const StreamState& state, const wire::OffsetParam& offset) {
  switch (offset.kind) {
    case wire::OffsetParam::Kind::kBeginning:
      return Position{0};
    case wire::OffsetParam::Kind::kNow:
      return state.writer.tail;
    case wire::OffsetParam::Kind::kAt:
      return resolve_offset(state.lives, offset.at, state.writer.tail);
  }
  return std::nullopt;
}

ReadPlan plan_read(const StreamState& state, Position from, uint64_t max_chunk_bytes) {
  const MessageIndex& index = state.index;
  ReadPlan plan;
  plan.first = index.first_ending_after(from);
  plan.last = plan.first;
  if (plan.first == index.size()) {
    plan.begin = plan.end = state.writer.tail;
    plan.at_tail = true;
    return plan;
  }
  plan.begin = index.start_of(plan.first);
  const uint64_t boundary = (plan.begin.value / max_chunk_bytes + 1) * max_chunk_bytes;
  // The first message that ends at or after the boundary is the last one of this answer.
  const size_t at_boundary = index.first_ending_after(Position{boundary - 1});
  plan.last = std::min(at_boundary + 1, index.size());
  plan.end = index.at(plan.last - 1).end;
  plan.at_tail = plan.end == state.writer.tail;
  return plan;
}

uint64_t newest_write_ms(const StreamState& state, const ReadPlan& plan) {
  DS_ASSERT(plan.last > plan.first);
  return state.index.at(plan.last - 1).time_ms;
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
