#include "core/engine/record_cache.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"
#include "core/stream/op_record.h"

namespace ds::engine {
namespace {

// No log has so many generations.
constexpr LogPosition kAdoptedBegin{uint64_t{1} << 63};
// Of a batch beside its string's memory: the string, its counts, its place here, and what the
// allocator adds. Many batches are a single small op.
constexpr uint64_t kBatchBytes = 104;

}  // namespace

uint64_t RecordCache::memory_of(const SharedBytes& records) {
  return kBatchBytes + records->capacity();
}

void RecordCache::push(LogPosition first_record, SharedBytes records, uint64_t budget_bytes) {
  DS_ASSERT(held_.empty() || held_.back().first < first_record);
  bytes_ += memory_of(records);
  held_.push_back(Held{first_record, std::move(records)});
  while (bytes_ > budget_bytes && held_.size() > 1) {
    bytes_ -= memory_of(held_.front().records);
    held_.pop_front();
  }
}

void RecordCache::drop_through(uint32_t generation) {
  while (!held_.empty() && held_.front().first.generation() <= generation) {
    bytes_ -= memory_of(held_.front().records);
    held_.pop_front();
  }
}

stream::MessageIndex RecordCache::adopt(const stream::MessageIndex& index, std::string_view bytes) {
  LogPosition at = kAdoptedBegin;
  if (!adopted_.empty()) {
    at = LogPosition{adopted_.back().first.value + adopted_.back().records->size()};
  }
  // Headers without content: only payloads are ever looked at.
  std::string records;
  stream::MessageIndex moved;
  for (size_t i = index.first(); i < index.size(); ++i) {
    stream::MessageEntry message = index.at(i);
    message.record = LogPosition{at.value + records.size()};
    moved.push(message);
    const uint64_t size = message.end - index.start_of(i);
    records.append(stream::kRecordPayloadOffset, '\0');
    records.append(bytes.substr(0, static_cast<size_t>(size)));
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  if (records.empty()) return moved;
  adopted_.push_back(Held{at, share(std::move(records))});
  bytes_ += memory_of(adopted_.back().records);
  return moved;
}

Slice RecordCache::find(LogPosition record) const {
  return record < kAdoptedBegin ? find_in(held_, record) : find_in(adopted_, record);
}

template <typename Batches>
Slice RecordCache::find_in(const Batches& batches, LogPosition record) {
  const auto after = std::upper_bound(batches.begin(), batches.end(), record,
                                      [](LogPosition p, const Held& h) { return p < h.first; });
  if (after == batches.begin()) return Slice();
  const Held& held = *std::prev(after);
  const uint64_t skip = record.value - held.first.value;
  if (skip >= held.records->size()) return Slice();
  return Slice(held.records, std::string_view(*held.records).substr(static_cast<size_t>(skip)));
}

}  // namespace ds::engine
