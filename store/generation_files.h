// The open files of the log's generations, and how a new one comes to be.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "core/base/result.h"
#include "ports/file.h"

namespace ds::store {

// Under this name a generation's file is made ready before it gets its own.
inline constexpr const char* kUnfinishedName = "unfinished.tmp";
inline constexpr const char* kLockName = "LOCK";

// Asked between steps of filling a file, with the bytes that are filled: whether that is enough.
using Enough = std::function<bool(uint64_t filled)>;

// A file of zeros under the name of `generation`, replacing one that is there. When this returns,
// zeros and name are durable. After a failure nothing is there, or the finished file. Zeros are
// written so that later syncs find every block in use; those behind `enough` are only reserved.
Result<std::unique_ptr<ports::File>, ports::IoError> create_generation_file(
    ports::Directory& directory, uint32_t generation, uint64_t bytes, const Enough& enough);

// The same from the file of a generation that nobody needs or has open any more, which is
// kUnfinishedName by now: its blocks and the system's memory for it are there already. It keeps
// what it holds but for its header, and gets a kSpareMark. `file` is taken alone, and free when
// this returns. After a failure the file is gone, or the finished one.
ports::IoStatus reuse_generation_file(ports::Directory& directory, ports::File& file,
                                      uint32_t generation);

// Fills [from, to) with zeros and syncs in steps, so that commits to other files of the same disk
// are not held up for long. Once it is `enough`, only the last step is left.
ports::IoStatus fill_with_zeros(ports::File& file, uint64_t from, uint64_t to,
                                const Enough& enough = nullptr);

// Hands out files by generation, to any thread. Old ones are opened when they are read; only so
// many stay open.
class GenerationFiles {
 public:
  static constexpr size_t kOpenFilesMax = 128;

  // Borrows `directory` for its whole life.
  explicit GenerationFiles(ports::Directory& directory) : directory_(directory) {}

  // kNotFound if it is missing, or has been given up.
  Result<std::shared_ptr<ports::File>, ports::IoError> get(uint32_t generation);
  // Gives up this one and those before it, which are about to be removed: their files are closed
  // once nobody reads them any more. Returns the file of the last one if it was open here.
  std::shared_ptr<ports::File> give_up_through(uint32_t generation);
  bool given_up(uint32_t generation);
  // Replaces the file that is handed out from now on.
  void put(uint32_t generation, std::shared_ptr<ports::File> file);

 private:
  struct Entry {
    std::shared_ptr<ports::File> file;
    uint64_t last_use = 0;
  };

  ports::Directory& directory_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<uint32_t, Entry> entries_;
  uint32_t given_up_through_ = 0;
  uint64_t uses_ = 0;
};

}  // namespace ds::store
