// Files and directories as the store needs them. The native host implements them over POSIX
// (server/posix_file.h), tests over memory with faults (tests/fakes/faulty_disk.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace ds::ports {

// Why an operation on a file did not succeed.
enum class [[nodiscard]] IoError : uint8_t{
    kNoSpace,  // ENOSPC, EDQUOT
    kNotFound, kExists,
    kLocked,    // another process holds the directory
    kReadOnly,  // EROFS, EACCES, EPERM
    kFailed,    // EIO and everything else
};

// An error or nothing.
class [[nodiscard]] IoStatus {
 public:
  IoStatus() = default;
  IoStatus(IoError error) : error_(error), failed_(true) {}
  bool ok() const { return !failed_; }
  IoError error() const { return error_; }  // REQUIRES: !ok()

 private:
  IoError error_ = IoError::kFailed;
  bool failed_ = false;
};

// An open file. Positions are explicit: there is no shared file pointer. read_at may be called from
// any thread at any time; the others from one thread at a time. Interrupted and short transfers are
// continued inside. May outlive its Directory.
class File {
 public:
  virtual ~File() = default;
  // Writes all parts back to back at `position`, or reports why not: then any part of them may have
  // been written; but not all, if there was no space.
  virtual IoStatus write_at(uint64_t position, std::span<const std::string_view> parts) = 0;
  // Makes everything written before durable (fdatasync). After an error nothing is known about what
  // was written since the last success, and this descriptor must not be used for writing again.
  virtual IoStatus sync() = 0;
  // Reads up to `size` bytes; fewer only at the end of the file. Returns the number read.
  virtual Result<uint64_t, IoError> read_at(uint64_t position, char* to, uint64_t size) const = 0;
  // Like read_at, but from the medium and not from a cache of the system's: for looking at what is
  // really there after a failed sync.
  virtual Result<uint64_t, IoError> read_uncached(uint64_t position, char* to,
                                                  uint64_t size) const = 0;
  virtual Result<uint64_t, IoError> size() const = 0;
  // The system's descriptor of the file, from which it can send what read_at() reads; -1: there is
  // none. It is this object's.
  virtual int descriptor() const { return -1; }
  virtual IoStatus truncate(uint64_t size) = 0;
  // Takes space for the first `size` bytes, so that a full disk shows itself before anything is
  // written. False where the file system cannot do that. Changes no contents.
  virtual Result<bool, IoError> reserve(uint64_t size) = 0;
  // A hint: the file is written once, from its beginning to its end, and read later if at all. What
  // is written in whole multiples of kStreamedBlock, at such a position, goes past the system's
  // cache then, where that can be.
  virtual void expect_streaming() {}
  static constexpr uint64_t kStreamedBlock = 4096;
  // Brings what was written there to the medium, as far as that goes without a sync, so that the
  // next sync() has little left to do and does not hold up those of other files. Makes nothing
  // durable; but an error counts as one of sync(), which need not report it again.
  virtual IoStatus write_behind(uint64_t position, uint64_t bytes) {
    static_cast<void>(position);
    static_cast<void>(bytes);
    return {};
  }
  // Keeps this open file from being taken in another way by another open file of the same contents,
  // of this process or any, until it is taken anew or ends. False if another one stands in the way;
  // then nothing has changed. It binds only those who ask. A file is opened as kFree. Where the
  // system cannot tell, kShared succeeds and kAlone does not.
  enum class Hold : uint8_t { kFree, kShared, kAlone };
  virtual bool take(Hold hold) {
    (void)hold;
    return true;  // nobody else has it
  }
};

// One directory, flat. Names have no slashes. `open` may be called from any thread at any time, the
// others from one thread at a time.
class Directory {
 public:
  virtual ~Directory() = default;
  enum class Open : uint8_t { kExisting, kCreateNew };
  virtual Result<std::unique_ptr<File>, IoError> open(const std::string& name, Open how) = 0;
  virtual Result<std::vector<std::string>, IoError> list() = 0;
  // Replaces `to` if it exists.
  virtual IoStatus rename(const std::string& from, const std::string& to) = 0;
  virtual IoStatus remove(const std::string& name) = 0;
  // Makes creations, renames and removals durable (fsync of the directory).
  virtual IoStatus sync() = 0;
  // Takes the directory until this object ends: kLocked if another process, or another Directory
  // object of this one, has it. Taking it again changes nothing.
  virtual IoStatus lock(const std::string& name) = 0;
  // The directory inside this one, made if it is missing.
  virtual Result<std::unique_ptr<Directory>, IoError> subdirectory(const std::string& name) = 0;
};

}  // namespace ds::ports
