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
  shrink(budget_bytes);
}

void RecordCache::shrink(uint64_t budget_bytes) {
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
  const Held* held = record < kAdoptedBegin ? find_in(held_, record) : find_in(adopted_, record);
  return held == nullptr ? Slice() : Slice(held->records, rest_of(*held, record));
}

std::string_view RecordCache::Walk::find(LogPosition record) {
  const std::deque<Held>& batches = cache_.held_;
  constexpr size_t kStepsMax = 8;  // a search takes about as long
  const size_t end = std::min(batches.size(), at_ + kStepsMax);
  for (size_t i = at_; i < end && batches[i].first <= record; ++i) {
    const std::string_view rest = rest_of(batches[i], record);
    if (rest.empty()) continue;
    at_ = i;
    return rest;
  }
  if (record >= kAdoptedBegin) return cache_.find(record).bytes;
  const auto after = batch_after(batches, record);
  if (after == batches.begin()) return {};
  at_ = static_cast<size_t>(after - batches.begin()) - 1;
  return rest_of(batches[at_], record);
}

// Empty if the record is not in this batch. REQUIRES: held.first <= record.
std::string_view RecordCache::rest_of(const Held& held, LogPosition record) {
  const uint64_t skip = record.value - held.first.value;
  if (skip >= held.records->size()) return {};
  return std::string_view(*held.records).substr(static_cast<size_t>(skip));
}

// The first batch that begins after the record.
template <typename Batches>
typename Batches::const_iterator RecordCache::batch_after(const Batches& batches,
                                                          LogPosition record) {
  return std::upper_bound(batches.begin(), batches.end(), record,
                          [](LogPosition p, const Held& h) { return p < h.first; });
}

template <typename Batches>
const RecordCache::Held* RecordCache::find_in(const Batches& batches, LogPosition record) {
  const auto after = batch_after(batches, record);
  if (after == batches.begin()) return nullptr;
  const Held& held = *std::prev(after);
  return rest_of(held, record).empty() ? nullptr : &held;
}

}  // namespace ds::engine
