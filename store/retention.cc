#include "store/retention.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/stream/snapshot.h"
#include "core/stream/state.h"

namespace ds::store {

using stream::Retention;
using stream::StreamState;

namespace {

// A trim that was asked for is normally sealed, and looked at again, long before.
constexpr Duration kAskAgain = seconds(60);

template <typename T>
std::optional<T> smaller(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

Retention stricter(const Retention& a, const Retention& b) {
  return {smaller(a.max_age_seconds, b.max_age_seconds), smaller(a.max_bytes, b.max_bytes)};
}

struct Plan {
  Position earliest;
  Instant look_again = kNever;
};

Plan plan_for(const StreamState& state, const std::vector<CatalogExtent>& extents,
              const Retention& keeps, Instant now) {
  Plan plan;
  plan.earliest = state.earliest;
  const auto more_than_enough_after = [&](Position end) {
    return keeps.max_bytes && state.writer.tail - end >= *keeps.max_bytes;
  };
  // What a fork inherited goes as a whole: its extents are its source's.
  if (state.config.fork && more_than_enough_after(state.config.fork->position)) {
    plan.earliest = std::max(plan.earliest, state.config.fork->position);
  }
  for (const CatalogExtent& found : extents) {
    const segment::Extent& extent = found.extent;
    if (extent.end <= plan.earliest) continue;
    Instant expires = kNever;
    if (keeps.max_age_seconds) {
      const Instant written{static_cast<int64_t>(extent.newest_ms) * 1000};
      expires = written + seconds(static_cast<int64_t>(*keeps.max_age_seconds));
    }
    if (expires > now && !more_than_enough_after(extent.end)) {
      plan.look_again = expires;
      break;
    }
    plan.earliest = extent.end;
  }
  if (plan.earliest > state.earliest) plan.look_again = now + kAskAgain;
  return plan;
}

}  // namespace

Result<std::vector<Trim>, CatalogError> plan_trims(Catalog& catalog, const Retention& server,
                                                   Instant now, size_t limit, size_t* looked_at) {
  const auto due = catalog.trims_due(now, limit);
  if (!due.ok()) return due.error();
  if (looked_at != nullptr) *looked_at = due->size();
  std::vector<Trim> trims;
  if (due->empty()) return trims;
  CatalogChange change;
  const auto before = catalog.state();
  if (!before.ok()) return before.error();
  change.state = *before;
  for (const Catalog::Due& each : *due) {
    const auto row = catalog.find(each.id);
    if (!row.ok()) return row.error();
    if (!*row) continue;
    const std::optional<StreamState> state = stream::decode_snapshot((*row)->snapshot);
    const auto extents = catalog.extents_of(each.id);
    if (!extents.ok()) return extents.error();
    Plan plan;
    if (state && !state->soft_deleted) {
      plan = plan_for(*state, *extents, stricter(state->config.retention, server), now);
      if (plan.earliest > state->earliest) {
        trims.push_back({state->id, state->path_hash, plan.earliest});
      }
    }
    change.trims_due.emplace_back(each.id, plan.look_again);
  }
  const auto committed = catalog.commit(change);
  if (!committed.ok()) return committed.error();
  return trims;
}

}  // namespace ds::store
