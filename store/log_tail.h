// What lies behind the last whole frame of a generation: nothing, what a crash has torn, or damage
// to frames that had been answered. And the frames of a generation that may be written to while it
// is read. Nothing here writes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/base/result.h"
#include "store/generation_scan.h"

namespace ds::store {

struct LogTail {
  uint64_t end = 0;      // one past what may be of this generation, or where the tail begins
  bool damaged = false;  // the frame that is missing had been synced: a later one says so
};

// Looks through a generation from `position` on, where frame `missing` should begin and does not
// check. A later frame that was written after the missing one had been synced tells damage from a
// torn tail.
Result<LogTail, LogProblem> look_behind(const GenerationFile& found, FileView& view,
                                        uint64_t position, uint64_t missing);

// "frame 17 is damaged, and there are frames behind it"
LogProblem damaged_tail(const GenerationFile& found, uint64_t position, uint64_t missing);

// Calls `take` with each frame up to, and without, sequence `end`; all of them must be there.
// Without an `end` the generation is the last one: its whole frames, as far as they go now, even
// while a process appends to it. Returns where the last of them ends.
using TakeFrame = std::function<Problem(const FrameScanner::Frame&)>;
Result<uint64_t, LogProblem> for_each_frame(const GenerationFile& found,
                                            std::optional<uint64_t> end, const TakeFrame& take);

}  // namespace ds::store
