// One reading of a generation for some of its streams: gathers their records so that those of one
// stream lie together, in their order. What a sequence of small appends to many streams needs to be
// sealed one stream at a time. The records of large streams are handed on as they are read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "store/generation_scan.h"
#include "store/generation_survey.h"
#include "store/seal_error.h"

namespace ds::store {

struct PassLimits {
  uint64_t single_bytes = 0;  // with so many bytes of messages a stream gets a segment of its own
  uint64_t pass_bytes = 0;    // of memory

  bool single(const StreamSurvey& stream) const { return stream.payload_bytes >= single_bytes; }
  bool gathers(const StreamSurvey& stream) const {
    return !single(stream) && stream.record_bytes <= pass_bytes;
  }
  // What a pass needs for it, in bytes of memory. Tables of many producers come on top.
  uint64_t bytes_of(const StreamSurvey& stream) const;
};

class GenerationPass {
 public:
  // `streams` are neighbours in a survey of the generation, at least one; borrowed.
  GenerationPass(std::span<const StreamSurvey> streams, const PassLimits& limits);

  // With each record of a stream that is not gathered, by its index in `streams`, and the record's
  // place. False: it does not follow from the ones before it.
  using HandOn = std::function<bool(size_t index, std::string_view record, LogPosition at)>;

  // Once. Reads the frames up to, and without, sequence `end`. Corrupt if they are not what the
  // survey has seen.
  SealProblem read(const GenerationFile& generation, uint64_t end, const HandOn& hand_on);

  bool gathered(size_t index) const { return slots_[index].gathered; }
  // REQUIRES: gathered(index), and read() has succeeded.
  std::string_view records_of(size_t index) const {
    return {records_.get() + slots_[index].begin, slots_[index].bytes};
  }
  uint64_t gathered_bytes() const { return gathered_bytes_; }

 private:
  struct Slot {
    uint64_t begin = 0;
    uint64_t bytes = 0;  // so far
    bool gathered = false;
  };
  friend struct PassLimits;
  bool take(std::string_view record, LogPosition at, const HandOn& hand_on);

  std::span<const StreamSurvey> streams_;
  std::vector<Slot> slots_;  // for each of them
  uint64_t gathered_bytes_ = 0;
  std::unique_ptr<char[]> records_;
};

}  // namespace ds::store
