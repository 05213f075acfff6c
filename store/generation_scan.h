// One generation's file as it is found, and its frames and records read front to back: what
// recovery and sealing share. Nothing here writes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "ports/file.h"
#include "store/file_view.h"
#include "store/log_format.h"
#include "store/op_log.h"

namespace ds::store {

// Nothing, or what stops whoever is reading.
using Problem = std::optional<LogProblem>;

// "00000017.log at byte 4096: ..."
LogProblem corrupt_log(uint32_t generation, uint64_t position, const std::string& what);
LogProblem log_io_problem(const std::string& what, ports::IoError error);
LogProblem generation_read_problem(uint32_t generation, ports::IoError error);

struct GenerationFile {
  uint32_t generation = 0;
  std::unique_ptr<ports::File> file;
  uint64_t file_bytes = 0;
  HeaderState state = HeaderState::kForeign;
  GenerationHeader header;  // if kValid
  bool spare = false;       // has a kSpareMark: no frame has been written yet
};

// Opens a generation's file and looks at its header. A header of another version, or one that does
// not fit the file's name or size, is a problem; one that is damaged or missing is not yet.
Result<GenerationFile, LogProblem> open_generation(ports::Directory& directory,
                                                   uint32_t generation);

// For a generation whose header is not valid and should be.
LogProblem not_a_generation(const GenerationFile& found);

// Goes through the frames of one generation, in order.
class FrameScanner {
 public:
  struct Frame {
    FrameHeader header;
    uint64_t position = 0;     // of its header in the file
    std::string_view payload;  // until the next call
  };

  // Borrows `found`, whose header is valid. `sequence` is that of its first frame.
  FrameScanner(const GenerationFile& found, uint64_t sequence)
      : found_(found), view_(*found.file, found.file_bytes), next_sequence_(sequence) {}

  // The next frame; nothing if there is none that checks.
  Result<std::optional<Frame>, LogProblem> next();

  // Where the next frame is, or should be, and its sequence.
  uint64_t position() const { return position_; }
  uint64_t next_sequence() const { return next_sequence_; }
  FileView& view() { return view_; }

 private:
  const GenerationFile& found_;
  FileView view_;
  uint64_t position_ = kGenerationHeaderBytes;
  uint64_t next_sequence_;
};

// Calls `take` with each record of a frame, checked, and its place. False stops with a problem: the
// record does not follow from the ones before it.
Problem for_each_record(uint32_t generation, const FrameScanner::Frame& frame,
                        const OpLog::ReplayFn& take);

// Calls `take` with each record of the frames up to, and without, sequence `end`, all of which must
// be there. What lies behind them is of commits that failed.
Problem for_each_record_until(const GenerationFile& found, uint64_t end,
                              const OpLog::ReplayFn& take);

}  // namespace ds::store
