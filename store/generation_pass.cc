#include "store/generation_pass.h"

#include <algorithm>
#include <cstring>

#include "core/stream/op_record.h"
#include "store/generation_files.h"

namespace ds::store {

GenerationPass::GenerationPass(std::span<const StreamSurvey> streams, uint64_t single_bytes)
    : streams_(streams), slots_(streams.size()) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    slots_[i].begin = bytes;
    slots_[i].single = streams[i].payload_bytes >= single_bytes;
    if (!slots_[i].single) bytes += streams[i].record_bytes;
  }
  records_.resize(bytes);
}

uint64_t GenerationPass::bytes_of(const StreamSurvey& stream, uint64_t single_bytes) {
  return sizeof(Slot) + (stream.payload_bytes >= single_bytes ? 0 : stream.record_bytes);
}

SealProblem GenerationPass::read(const GenerationFile& generation, uint64_t end,
                                 const SingleFn& take_single) {
  const Problem problem = for_each_record_until(
      generation, end, [this, &take_single](std::string_view record, LogPosition at) {
        return take(record, at, take_single);
      });
  if (problem) return seal_error(*problem);
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (slots_[i].bytes == streams_[i].record_bytes) continue;
    return seal_corrupt(generation_name(generation.generation) + ": records of stream " +
                        std::to_string(streams_[i].id.value) + " were there before");
  }
  return std::nullopt;
}

bool GenerationPass::take(std::string_view record, LogPosition at, const SingleFn& take_single) {
  const Incarnation id{stream::record_stream(record)};
  if (id < streams_.front().id || streams_.back().id < id) return true;
  const auto found = std::lower_bound(
      streams_.begin(), streams_.end(), id,
      [](const StreamSurvey& stream, Incarnation wanted) { return stream.id < wanted; });
  if (found->id != id) return false;
  const auto index = static_cast<size_t>(found - streams_.begin());
  Slot& slot = slots_[index];
  if (record.size() > found->record_bytes - slot.bytes) return false;
  const uint64_t begin = slot.begin + slot.bytes;
  slot.bytes += record.size();
  if (slot.single) return take_single(index, record, at);
  std::memcpy(records_.data() + begin, record.data(), record.size());
  return true;
}

}  // namespace ds::store
