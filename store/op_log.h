// The op log: generations of preallocated files that hold every op of every stream in commit order.
// Byte format: docs/op-log-format.md, store/log_format.h.
//
// A *frame* is what one commit wrote: a header (magic, generation, sequence, "synced through"
// sequence, length, checksums) and the records of all batches in it. A frame is there wholly or not
// at all. Sequences count frames over all generations without a gap; the first frame of a
// generation follows the last valid one of the generation before, whatever else lies behind that
// one in its file.
//
// After a failed sync nothing that was written since the last good one is trusted: the log stays
// broken until reopen_after_failure() has looked at the medium and begun a new generation.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/types.h"
#include "ports/file.h"

namespace ds::store {

inline constexpr uint64_t kGenerationBytesMin = 64 << 10;
inline constexpr uint64_t kGenerationBytesMax = 1 << 30;
// Of a generation that is made while space is saved, if all are not smaller anyway.
inline constexpr uint64_t kSavingGenerationBytes = 1 << 20;

struct OpLogOptions {
  // Size of a generation's file, from kGenerationBytesMin to kGenerationBytesMax. A frame larger
  // than what a generation holds gets a generation of its own size.
  uint64_t generation_bytes = 64 << 20;
  // The oldest generation that must be there. Those before it have been sealed: what is left of
  // their files is removed. The last one that was begun is never among them.
  uint32_t first_generation = 1;
  // What the generations' salts are made from: a random number that no client can guess. 0: taken
  // from the system.
  uint64_t salt_seed = 0;
  // As save_space(true), for the first generation already.
  bool saves_space = false;
};

// A problem found while opening: one sentence for the operator that names file and position.
struct LogProblem {
  enum class Kind : uint8_t { kIo, kLocked, kCorrupt, kForeign, kRefused } kind = Kind::kIo;
  std::string message;
};

class OpLog {
 public:
  // Called for every record in log order. False stops the recovery with kCorrupt.
  using ReplayFn = std::function<bool(std::string_view record, LogPosition at)>;

  struct Recovery {
    uint64_t frames = 0;
    uint64_t records = 0;
    uint64_t bytes = 0;
    // The tail that a crash had torn and that was cut off, for the log message.
    uint64_t torn_bytes = 0;
    // The log was written with a relaxed sync and not closed cleanly: answered ops may be missing.
    bool lost_writes = false;
  };

  // Takes the lock of `directory`, opens or creates the log in it and replays it. A torn tail of
  // the last generation is cut off; damage anywhere else is reported as kCorrupt and nothing is
  // changed. Borrows `directory` for the log's whole life.
  static Result<std::unique_ptr<OpLog>, LogProblem> open(ports::Directory& directory,
                                                         const OpLogOptions& options,
                                                         const ReplayFn& replay,
                                                         Recovery* recovery);
  virtual ~OpLog() = default;

  // --- Committer thread only -------------------------------------------------------------------

  // Writes one frame that holds `batches` (each: whole records back to back) and tells where each
  // batch begins. Does not sync, except once when relaxed frames begin. `relaxed` marks the frame
  // as answered before it is synced. A frame over kFramePayloadBytesMax never fits (kNoSpace).
  // After a failure broken() tells: if it is not, nothing of the frame is there and the log works
  // on (a full disk, a next generation that could not be made); if it is, the frame may be there.
  virtual ports::IoStatus append(std::span<const std::string_view> batches, bool relaxed,
                                 std::span<LogPosition> begins) = 0;
  // Makes everything appended durable.
  virtual ports::IoStatus sync() = 0;
  // Whether nothing more can be appended before reopen_after_failure().
  virtual bool broken() const = 0;
  // After a failed append or sync. Looks for the frames since the last good sync: those that are
  // wholly there are kept (written again, synced, and read back from the medium), the rest is cut
  // off, and a new generation begins. On success `*kept_frames` is the number of frames that
  // survived of those that append was called for since sync last succeeded, oldest first; on
  // failure the log stays broken and the call may be repeated.
  virtual ports::IoStatus reopen_after_failure(uint64_t* kept_frames) = 0;
  // Begins the next generation, so that the current one can be sealed. Nothing happens if nothing
  // has been written to it. Errors as for append.
  virtual ports::IoStatus rotate() = 0;
  // Marks the log as cleanly closed. Nothing may be appended afterwards.
  virtual ports::IoStatus close() = 0;

  // --- A helper thread, or nobody --------------------------------------------------------------

  // Creates, zero-fills and syncs the file of the next generation if there is none yet, so that
  // append never waits for it: if it is faster, what is left is not filled. May be called from one
  // other thread beside the committer's. Whoever calls it waits a while after a failure; append
  // does without.
  virtual ports::IoStatus prepare_next_generation() = 0;
  // True when it is time: a part of the current generation is used and the next one is not there.
  // Any thread.
  virtual bool wants_next_generation() const = 0;
  // While it is on, the generations that are made are as small as they can be: for a full disk.
  // Any thread.
  virtual void save_space(bool on) = 0;

  // --- The thread that seals, or nobody --------------------------------------------------------

  // Removes the files of all generations up to this one, which is not the last: they have been
  // sealed. Reads of theirs that have not begun fail with kNotFound from then on.
  virtual ports::IoStatus remove_through(uint32_t generation) = 0;

  // --- Any thread ------------------------------------------------------------------------------

  struct Piece {
    LogPosition record;
    uint32_t skip = 0;   // payload bytes to leave out
    uint32_t bytes = 0;  // payload bytes wanted
  };
  // Appends the wanted payload bytes of each record to `out`, checking every record's checksum.
  // Blocks. `*corrupt` is set if it fails because of what is stored there, or is missing; kNotFound
  // without it says that remove_through() was faster.
  virtual ports::IoStatus read_payloads(std::span<const Piece> pieces, std::string& out,
                                        bool* corrupt) const = 0;

  struct Stats {
    uint64_t bytes = 0;          // of all generations' used parts
    uint64_t current_bytes = 0;  // of the last one's
    uint32_t generations = 0;
    uint32_t first_generation = 0;
    uint32_t last_generation = 0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace ds::store
