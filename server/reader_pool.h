// Threads that read what is not in memory: payloads from the op log, sealed messages from segments,
// streams from the catalog; so that no event loop waits for a disk. Bounded: what does not fit is
// refused at once. What is read for answers counts as answer memory from the moment that it is
// asked for until nobody refers to it any more.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "core/base/slice.h"
#include "core/engine/actions.h"
#include "core/engine/engine.h"
#include "server/memory_budget.h"
#include "store/catalog.h"
#include "store/op_log.h"
#include "store/sealed_reader.h"

namespace ds::server {

// Told how each ended, on a thread of the pool.
class ReadListener {
 public:
  virtual ~ReadListener() = default;
  virtual void on_load_end(uint64_t load_id, engine::LoadOutcome outcome, SharedBytes bytes) = 0;
  virtual void on_sealed_read_end(uint64_t load_id, engine::LoadOutcome outcome,
                                  segment::SealedChunk chunk) = 0;
  virtual void on_find_end(uint64_t find_id, engine::Engine::Found found, std::string snapshot) = 0;
};

class ReaderPool {
 public:
  struct Sources {
    const store::OpLog& log;
    store::SegmentFiles& segments;
    std::string catalog_path;
  };
  ReaderPool(const Sources& sources, uint32_t threads, size_t queue_max,
             MemoryBudget& answer_memory);
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  // Any thread. False: the queue or the answer memory is full, and the listener will not be called.
  [[nodiscard]] bool submit(ReadListener& listener, engine::Load load);
  [[nodiscard]] bool submit(ReadListener& listener, engine::ReadSealed read);
  // Served before any read, and never refused: the engine bounds them.
  void submit(ReadListener& listener, engine::Find find);
  // Anything else that reads the catalog, on a thread of the pool; it may be missing (null).
  using CatalogRead = std::function<void(store::Catalog*)>;
  [[nodiscard]] bool submit(CatalogRead read);
  // Finishes the reads that have begun, forgets the others.
  void stop();

 private:
  struct Job {
    ReadListener* listener = nullptr;
    std::variant<engine::Load, engine::ReadSealed, engine::Find, CatalogRead> what;
    MemoryCharge charge = {};
  };
  bool submit_read(Job job);
  void run();
  bool take(std::vector<Job>& jobs);
  void serve(Job& job, store::Catalog* catalog);
  void serve(ReadListener& listener, const engine::Load& load, MemoryCharge charge);
  void serve(ReadListener& listener, const engine::ReadSealed& read, MemoryCharge charge,
             store::Catalog* catalog);
  void serve(ReadListener& listener, const engine::Find& find, store::Catalog* catalog);

  const Sources sources_;
  const size_t queue_max_;
  MemoryBudget& answer_memory_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> reads_;  // guarded by mutex_
  std::deque<Job> finds_;  // guarded by mutex_
  bool stopped_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace ds::server
