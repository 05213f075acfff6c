// Memory of large reads, used again: a fresh megabyte costs its page faults and its zeros, which
// is more than reading it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/slice.h"

namespace ds::store {

// Any thread.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  // What is kept for later, at most; more in one buffer is never kept.
  static constexpr uint64_t kKeptBytesMax = 16 << 20;
  static constexpr uint64_t kBufferBytesMax = 4 << 20;

  // One that was used before, with whatever size and contents it had, or an empty one.
  std::string take();
  // Comes back to the pool when nobody refers to it any more, if the pool is there still.
  SharedBytes share(std::string bytes);

  uint64_t kept_bytes() const;

 private:
  void give_back(std::string bytes);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::string> kept_;
  uint64_t kept_bytes_ = 0;
};

}  // namespace ds::store
