// Reading the log at start-up: which frames belong to it, what a crash has torn, what is damaged.
//
// Nothing on the disk is changed before everything has been found in order. Then the end is
// repaired: what was found, but perhaps never synced, is written again and made durable; what lies
// behind it is overwritten with zeros, so that no piece of it can ever follow a new frame.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "core/base/result.h"
#include "ports/file.h"
#include "store/log_format.h"
#include "store/op_log.h"

namespace ds::store {

// Where the log goes on.
struct RecoveredLog {
  // The generation to write to; no file if the log is new.
  std::shared_ptr<ports::File> file;
  GenerationHeader header;
  uint64_t position = 0;
  uint64_t next_sequence = 1;
  uint32_t last_flags = 0;            // of the newest frame
  std::map<uint32_t, uint64_t> used;  // bytes, of the generations before
  uint32_t first_generation = 1;
  // The next generation's file, made ready and not begun, if there is one.
  std::unique_ptr<ports::File> next_file;
  uint64_t next_bytes = 0;
  bool next_reused = false;  // it has a kSpareMark
};

Result<RecoveredLog, LogProblem> recover(ports::Directory& directory, const OpLogOptions& options,
                                         const OpLog::ReplayFn& replay, OpLog::Recovery& recovery);

// For messages: "no space left", ...
const char* io_error_text(ports::IoError error);

}  // namespace ds::store
