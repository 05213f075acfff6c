#include "store/generation_pass.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/stream/message_index.h"
#include "core/stream/op_record.h"
#include "store/generation_files.h"

namespace ds::store {

uint64_t PassLimits::bytes_of(const StreamSurvey& stream) const {
  // A stream's state while its records are read, roughly, without its messages.
  constexpr uint64_t kStateBytes = 1024;
  if (gathers(stream)) return sizeof(GenerationPass::Slot) + stream.record_bytes;
  return kStateBytes + stream.records * sizeof(stream::MessageEntry) +
         (single(stream) ? 0 : stream.payload_bytes);
}

GenerationPass::GenerationPass(std::span<const StreamSurvey> streams, const PassLimits& limits)
    : streams_(streams), slots_(streams.size()) {
  for (size_t i = 0; i < streams.size(); ++i) {
    slots_[i].begin = gathered_bytes_;
    slots_[i].gathered = limits.gathers(streams[i]);
    if (slots_[i].gathered) gathered_bytes_ += streams[i].record_bytes;
  }
  records_ = std::make_unique_for_overwrite<char[]>(gathered_bytes_);
}

SealProblem GenerationPass::read(const GenerationFile& generation, uint64_t end,
                                 const HandOn& hand_on) {
  const Problem problem = for_each_record_until(
      generation, end, [this, &hand_on](std::string_view record, LogPosition at) {
        return take(record, at, hand_on);
      });
  if (problem) return seal_error(*problem);
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (slots_[i].bytes == streams_[i].record_bytes) continue;
    return seal_corrupt(generation_name(generation.generation) + ": records of stream " +
                        std::to_string(streams_[i].id.value) +
                        " that were there a moment ago are missing");
  }
  return std::nullopt;
}

bool GenerationPass::take(std::string_view record, LogPosition at, const HandOn& hand_on) {
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
  if (!slot.gathered) return hand_on(index, record, at);
  std::memcpy(records_.get() + begin, record.data(), record.size());
  return true;
}

}  // namespace ds::store
