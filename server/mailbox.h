// What other threads leave for a loop: requests of connections elsewhere, answers for its own
// connections, the ends of commits and disk reads, new sockets. One wake-up per loop, however much
// has come.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/engine/actions.h"
#include "core/engine/engine.h"
#include "core/engine/owned_request.h"
#include "core/wire/request.h"
#include "server/http/connection.h"

namespace ds::server {

struct ReaderLagging {
  engine::RequestId id;
  Position accepted;
};
struct ReaderReady {
  engine::RequestId id;
};
struct ClientGone {
  engine::RequestId id;
};

// For the engine of a loop. Order matters: a request comes before the end of its client.
using ToEngine = std::variant<std::unique_ptr<engine::OwnedRequest>, ClientGone, ReaderLagging,
                              ReaderReady, engine::PeerMessage>;

struct CommitEnd {
  uint64_t batch_id = 0;
  engine::CommitOutcome outcome = engine::CommitOutcome::kFailed;
  LogPosition first_record;
};
struct LoadEnd {
  uint64_t load_id = 0;
  engine::LoadOutcome outcome = engine::LoadOutcome::kFailed;
  SharedBytes bytes;
};
struct SealedReadEnd {
  uint64_t load_id = 0;
  engine::LoadOutcome outcome = engine::LoadOutcome::kFailed;
  segment::SealedChunk chunk;
};
struct FindEnd {
  uint64_t find_id = 0;
  engine::Engine::Found found = engine::Engine::Found::kFailed;
  std::string snapshot;
};
struct NewSocket {
  int socket = -1;
  Peer peer;
};
using Task = std::function<void()>;  // anything rare

struct Mail {
  std::vector<ToEngine> to_engine;
  std::vector<engine::Action> answers;  // for requests of this loop's connections
  std::vector<CommitEnd> commits;
  std::vector<LoadEnd> loads;
  std::vector<SealedReadEnd> sealed_reads;
  std::vector<FindEnd> finds;
  std::vector<NewSocket> sockets;
  std::vector<Task> tasks;

  bool empty() const {
    return to_engine.empty() && answers.empty() && commits.empty() && loads.empty() &&
           sealed_reads.empty() && finds.empty() && sockets.empty() && tasks.empty();
  }
  void clear();
};

class Mailbox {
 public:
  // `wake` makes the owner call take(), from any thread.
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Any thread. `put` adds to the mail under the lock.
  template <typename Put>
  void leave(Put put) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      put(mail_);
      wake = !std::exchange(woken_, true);
    }
    if (wake) wake_();
  }

  // The owner: exchanges what has come for an empty `mail`.
  void take(Mail& mail) {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    std::swap(mail, mail_);
  }

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  bool woken_ = false;  // guarded by mutex_, as is mail_
  Mail mail_;
};

}  // namespace ds::server
