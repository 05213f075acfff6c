// Threads that read payloads back from the op log, so that no event loop waits for a disk. Bounded:
// what does not fit is refused at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/slice.h"
#include "core/engine/actions.h"
#include "store/op_log.h"

namespace ds::server {

class LoadListener {
 public:
  virtual ~LoadListener() = default;
  // On a thread of the pool. No bytes: the read failed; `corrupt`: because of what is stored.
  virtual void on_load_end(uint64_t load_id, SharedBytes bytes, bool corrupt) = 0;
};

class ReaderPool {
 public:
  ReaderPool(const store::OpLog& log, uint32_t threads, size_t queue_max);
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  // Any thread. False: the queue is full, and the listener will not be called.
  [[nodiscard]] bool submit(LoadListener& listener, const engine::Load& load);
  // Finishes the reads that have begun, forgets the others.
  void stop();

 private:
  struct Job {
    LoadListener* listener = nullptr;
    uint64_t load_id = 0;
    std::vector<store::OpLog::Piece> pieces;
  };
  void run();

  const store::OpLog& log_;
  const size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;  // guarded by mutex_
  bool stopped_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace ds::server
