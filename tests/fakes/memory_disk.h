// A correct disk in memory: ports::Directory and ports::File that never fail. Everything is durable
// at once.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ports/file.h"

namespace ds::fakes {

// The directory tree. Outlives its directories and files. Any thread.
class MemoryDisk {
 public:
  struct Node {
    std::mutex mutex;
    std::string content;  // guarded by mutex
  };

  // A new handle on the root; a second one is like a second process.
  std::unique_ptr<ports::Directory> root() { return directory(""); }

 private:
  friend class MemoryDirectory;
  std::unique_ptr<ports::Directory> directory(const std::string& path);

  std::mutex mutex_;
  // Guarded by mutex_. Paths begin with a slash.
  std::map<std::string, std::shared_ptr<Node>> files_;
  std::map<std::string, const void*> locks_;  // path of the lock -> handle that has it
};

}  // namespace ds::fakes
