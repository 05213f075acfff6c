// Gives the committer its thread, and the log's next generation another one, so that no commit
// waits for a file to be zero-filled.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/ballast.h"
#include "server/clock.h"
#include "store/committer.h"
#include "store/op_log.h"

namespace ds::server {

class CommitterThread {
 public:
  CommitterThread(store::Committer& committer, store::OpLog& log, Ballast& ballast,
                  const Clock& clock);
  ~CommitterThread();
  CommitterThread(const CommitterThread&) = delete;
  CommitterThread& operator=(const CommitterThread&) = delete;

  // Commits what is queued, then ends both threads.
  void stop();
  // Any thread: commits what is queued before it returns, unless the thread is at it already.
  void commit_in_place();

 private:
  void commit();
  void prepare();
  void ask_for_generation();

  store::Committer& committer_;
  store::OpLog& log_;
  Ballast& ballast_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false;   // guarded by mutex_
  bool stopped_ = false;  // guarded by mutex_
  std::thread preparing_;
  std::thread committing_;
};

}  // namespace ds::server
