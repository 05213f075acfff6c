// One reading of a generation for some of its streams: gathers their records so that those of one
// stream lie together, in their order. What a sequence of small appends to many streams needs to be
// sealed one stream at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "store/generation_scan.h"
#include "store/generation_survey.h"
#include "store/seal_error.h"

namespace ds::store {

class GenerationPass {
 public:
  // `streams` are neighbours in a survey of the generation, at least one; borrowed. Those with
  // `single_bytes` of messages or more are not gathered.
  GenerationPass(std::span<const StreamSurvey> streams, uint64_t single_bytes);

  // What gathering a stream takes, in bytes of memory.
  static uint64_t bytes_of(const StreamSurvey& stream, uint64_t single_bytes);

  // With each record of a stream that is not gathered, by its index in `streams`, and the record's
  // place. False: it does not follow from the ones before it.
  using SingleFn = std::function<bool(size_t stream, std::string_view record, LogPosition at)>;

  // Once. Reads the frames up to, and without, sequence `end`. Corrupt if they are not what the
  // survey has seen.
  SealProblem read(const GenerationFile& generation, uint64_t end, const SingleFn& take_single);

  // Of a stream that was gathered.
  std::string_view records_of(size_t stream) const {
    return std::string_view(records_).substr(slots_[stream].begin, slots_[stream].bytes);
  }

 private:
  struct Slot {
    uint64_t begin = 0;
    uint64_t bytes = 0;  // so far
    bool single = false;
  };
  bool take(std::string_view record, LogPosition at, const SingleFn& take_single);

  std::span<const StreamSurvey> streams_;
  std::vector<Slot> slots_;  // for each of them
  std::string records_;
};

}  // namespace ds::store
