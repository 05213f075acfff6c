// Seeded random lives of a log: commits, faults, crashes, restarts. A model of what was promised is
// kept beside it.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "store/op_log.h"
#include "tests/fakes/log_world.h"

namespace ds::store {
namespace {

using fakes::FaultyDisk;
using fakes::LogWorld;
using ports::IoError;
using ports::IoStatus;

class RandomLife {
 public:
  explicit RandomLife(uint64_t seed) : random_(seed), world_(seed) {
    // Each life leaves some kinds of trouble out, so that rare pairs meet.
    relaxed_ = chance(4);
    faults_ = !chance(3);
    bytes_max_ = chance(2) ? 300 : 20000;
    world_.options.generation_bytes = kGenerationBytesMin << random_() % 2;
  }

  void run() {
    ASSERT_TRUE(world_.open());
    for (int step = 0; step < 120 && !testing::Test::HasFailure(); ++step) {
      if (faults_ && chance(12)) {
        world_.disk.fail_call(world_.disk.calls() + random_() % 12,
                              chance(4) ? IoError::kNoSpace : IoError::kFailed);
      }
      if (chance(20)) {
        restart();
      } else if (chance(15)) {
        (void)world_.log->prepare_next_generation();
      } else {
        commit();
      }
    }
    if (!testing::Test::HasFailure()) restart();
  }

 private:
  bool chance(uint32_t one_in) { return random_() % one_in == 0; }

  // One to three frames and a sync, as the committer would do it.
  void commit() {
    const uint64_t frames = chance(3) ? 1 + random_() % 3 : 1;
    bool failed = false;
    for (uint64_t i = 0; i < frames && !failed; ++i) {
      const uint64_t number = next_number_++;
      const IoStatus appended = world_.append(number, random_() % bytes_max_, relaxed_);
      if (!appended.ok() && !world_.log->broken()) continue;
      unsure_.push_back(number);
      failed = !appended.ok();
    }
    // Sometimes the power goes before the sync.
    if (!failed && chance(10)) return;
    if (!failed && world_.log->sync().ok()) return settle(unsure_.size());
    uint64_t kept = 0;
    for (int attempt = 0; !world_.log->reopen_after_failure(&kept).ok(); ++attempt) {
      if (chance(5)) return restart();
      ASSERT_LT(attempt, 5);
    }
    ASSERT_LE(kept, unsure_.size());
    settle(kept);
  }

  // The oldest `kept` unsure frames are durable, the others must never be seen.
  void settle(uint64_t kept) {
    durable_.insert(durable_.end(), unsure_.begin(), unsure_.begin() + static_cast<int64_t>(kept));
    unsure_.clear();
  }

  void restart() {
    const auto how = static_cast<FaultyDisk::Crash>(random_() % 3);
    const bool closed = chance(3) && world_.log->close().ok();
    if (closed) settle(unsure_.size());
    world_.crash(how);
    if (faults_ && chance(3)) {
      // The recovery itself is interrupted.
      world_.disk.fail_call(world_.disk.calls() + random_() % 20, IoError::kFailed);
      (void)world_.open();
      world_.crash(static_cast<FaultyDisk::Crash>(random_() % 3));
    }
    ASSERT_TRUE(world_.open()) << world_.problem->message;
    ASSERT_GE(world_.replayed.size(), durable_.size());
    const size_t kept = world_.replayed.size() - durable_.size();
    ASSERT_LE(kept, unsure_.size());
    if (how == FaultyDisk::Crash::kKeep && !faults_) {
      ASSERT_EQ(kept, unsure_.size());
    }
    // Answered before the sync, or not: what is missing must be admitted.
    if (relaxed_ && kept < unsure_.size()) {
      ASSERT_TRUE(world_.recovery.lost_writes);
    }
    if (closed || !relaxed_) {
      ASSERT_FALSE(world_.recovery.lost_writes);
    }
    settle(kept);
    ASSERT_EQ(world_.replayed, durable_);
  }

  std::mt19937_64 random_;
  LogWorld world_;
  bool relaxed_ = false;
  bool faults_ = false;
  uint64_t bytes_max_ = 0;
  uint64_t next_number_ = 1;
  std::vector<uint64_t> durable_;  // must be found, in this order
  std::vector<uint64_t> unsure_;   // may be found behind those, in this order
};

TEST(OpLogCrash, EveryRandomLifeKeepsItsPromises) {
  for (uint64_t seed = 1; seed <= 400 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomLife(seed).run();
  }
}

}  // namespace
}  // namespace ds::store
