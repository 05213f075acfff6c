#include "core/engine/record_cache.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace ds::engine {

void RecordCache::push(LogPosition first_record, SharedBytes records) {
  DS_ASSERT(held_.empty() || held_.back().first < first_record);
  bytes_ += records->size();
  held_.push_back(Held{first_record, std::move(records)});
  while (bytes_ > budget_bytes_ && held_.size() > 1) {
    bytes_ -= held_.front().records->size();
    held_.pop_front();
  }
}

Slice RecordCache::find(LogPosition record) const {
  auto after = std::upper_bound(held_.begin(), held_.end(), record,
                                [](LogPosition p, const Held& h) { return p < h.first; });
  if (after == held_.begin()) return Slice();
  const Held& held = *std::prev(after);
  const uint64_t skip = record.value - held.first.value;
  if (skip >= held.records->size()) return Slice();
  return Slice(held.records, std::string_view(*held.records).substr(static_cast<size_t>(skip)));
}

}  // namespace ds::engine
