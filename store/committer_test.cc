#include "store/committer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "tests/fakes/log_world.h"

namespace ds::store {
namespace {

using engine::CommitOutcome;
using fakes::FaultyDisk;
using fakes::LogWorld;
using fakes::make_record;
using fakes::up_to;
using ports::IoError;

struct Report {
  uint32_t engine;
  uint64_t batch;
  CommitOutcome outcome;
  LogPosition first_record;
};

class Listener : public CommitListener {
 public:
  void on_committed(uint32_t engine, uint64_t batch_id, CommitOutcome outcome,
                    LogPosition first_record) override {
    reports.push_back({engine, batch_id, outcome, first_record});
  }
  void on_log_health(bool healthy) override { health.push_back(healthy); }
  void on_answered_writes_lost(uint64_t frames) override { lost_frames += frames; }
  bool on_no_space() override {
    ++without_space;
    if (make_room) make_room();
    return make_room != nullptr;
  }

  // "0:1 durable, 1:1 full", and forgets it.
  std::string take() {
    std::string text;
    for (const Report& report : reports) {
      if (!text.empty()) text += ", ";
      text += std::to_string(report.engine) + ":" + std::to_string(report.batch);
      text += report.outcome == CommitOutcome::kDurable    ? " durable"
              : report.outcome == CommitOutcome::kDiskFull ? " full"
                                                           : " failed";
    }
    reports.clear();
    return text;
  }

  std::vector<Report> reports;
  std::vector<bool> health;
  uint64_t lost_frames = 0;
  int without_space = 0;
  std::function<void()> make_room;
};

class CommitterTest : public testing::Test {
 protected:
  void start(Durability durability = Durability::kSync) {
    ASSERT_TRUE(world_.open());
    options_.durability = durability;
    committer_ = std::make_unique<Committer>(*world_.log, listener_, options_, 3);
  }

  // A batch with one record, whose number tells engine and batch.
  void submit(uint32_t engine, uint64_t batch, uint64_t epoch = 0, uint64_t bytes = 10) {
    const uint64_t number = engine * 1000 + batch;
    committer_->submit(engine, epoch,
                       {batch, share(make_record(number, LogWorld::payload(number, bytes))), 1});
  }

  std::string run(Instant now = Instant{0}) {
    committer_->run_once(now);
    return listener_.take();
  }

  std::vector<uint64_t> found_after_power_loss() {
    committer_.reset();
    world_.crash(FaultyDisk::Crash::kForget);
    EXPECT_TRUE(world_.open()) << world_.problem->message;
    return world_.replayed;
  }

  LogWorld world_;
  Listener listener_;
  Committer::Options options_;
  std::unique_ptr<Committer> committer_;
};

TEST_F(CommitterTest, WhatHasQueuedUpBecomesOneFrame) {
  start();
  submit(0, 1);
  submit(1, 1);
  submit(0, 2);
  EXPECT_EQ(run(), "0:1 durable, 1:1 durable, 0:2 durable");
  EXPECT_EQ(committer_->stats().commits, 1u);
  EXPECT_EQ(committer_->stats().batches, 3u);
  EXPECT_EQ(committer_->stats().ops, 3u);
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 1001, 2}));
  EXPECT_EQ(world_.recovery.frames, 1u);
}

TEST_F(CommitterTest, ACommitWithoutRoomIsTriedAgainOnceSomeHasBeenMade) {
  start();
  world_.disk.set_space(kGenerationBytesMin + 100);
  submit(0, 1, 0, 40000);
  EXPECT_EQ(run(), "0:1 durable");
  submit(0, 2, 0, 40000);
  EXPECT_EQ(run(), "0:2 full");
  EXPECT_EQ(listener_.without_space, 1);
  listener_.make_room = [this] { world_.disk.set_space(3 * kGenerationBytesMin); };
  submit(0, 3, 1, 40000);
  EXPECT_EQ(run(), "0:3 durable");
  // Whoever makes none is not asked for ever.
  listener_.make_room = [] {};
  submit(0, 4, 1, 3 * kGenerationBytesMin);
  EXPECT_EQ(run(), "0:4 full");
  EXPECT_EQ(listener_.without_space, 3);
  EXPECT_TRUE(listener_.health.empty());
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 3}));
}

TEST_F(CommitterTest, ReportsWhereEachBatchBegins) {
  start();
  submit(0, 1, 0, 33);
  submit(1, 1, 0, 7);
  committer_->run_once(Instant{0});
  const std::vector<Report> reports = listener_.reports;
  ASSERT_EQ(reports.size(), 2u);
  found_after_power_loss();
  EXPECT_EQ(world_.positions,
            (std::vector<LogPosition>{reports[0].first_record, reports[1].first_record}));
}

TEST_F(CommitterTest, DoesNothingWithoutBatches) {
  start();
  const uint64_t calls = world_.disk.calls();
  EXPECT_FALSE(committer_->run_once(Instant{0}));
  EXPECT_EQ(world_.disk.calls(), calls);
}

TEST_F(CommitterTest, WhoeverAsksCommitsInItsPlace) {
  start();
  submit(0, 1);
  submit(1, 1);
  EXPECT_TRUE(committer_->try_run(Instant{0}));
  EXPECT_EQ(listener_.take(), "0:1 durable, 1:1 durable");
  EXPECT_EQ(committer_->stats().commits, 1U);
  EXPECT_EQ(committer_->stats().in_place, 1U);
  submit(0, 2);
  EXPECT_EQ(run(), "0:2 durable");
  EXPECT_EQ(committer_->stats().in_place, 1U);
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 1001, 2}));
}

TEST_F(CommitterTest, ARotationIsLeftToTheThread) {
  start();
  submit(0, 1);
  const uint32_t generation = world_.log->stats().generations;
  committer_->ask_for_rotation();
  EXPECT_TRUE(committer_->try_run(Instant{0}));
  EXPECT_EQ(listener_.take(), "0:1 durable");
  EXPECT_EQ(world_.log->stats().generations, generation);
  run();
  EXPECT_EQ(world_.log->stats().generations, generation + 1);
}

TEST_F(CommitterTest, RelaxedDurabilityIsLeftToTheThread) {
  start(Durability::kRelaxed);
  submit(0, 1);
  EXPECT_FALSE(committer_->try_run(Instant{0}));
  EXPECT_EQ(run(), "0:1 durable");
}

TEST_F(CommitterTest, ABrokenLogIsLeftToTheThread) {
  start();
  world_.disk.fail_next_sync(FaultyDisk::SyncFault::kKeepsDirty);
  submit(0, 1);
  EXPECT_TRUE(committer_->try_run(Instant{0}));  // which breaks it
  EXPECT_EQ(listener_.take(), "");
  submit(1, 1);
  EXPECT_FALSE(committer_->try_run(Instant{0}));
  EXPECT_EQ(run(), "0:1 durable, 1:1 durable");
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 1001}));
}

TEST_F(CommitterTest, CutsFramesAtTheirSize) {
  options_.frame_bytes_max = 1000;
  start();
  for (uint64_t i = 1; i <= 5; ++i) submit(0, i, 0, 400);
  submit(0, 6, 0, 5000);  // larger than a frame should be, and not to be split
  submit(0, 7);
  EXPECT_EQ(run(),
            "0:1 durable, 0:2 durable, 0:3 durable, 0:4 durable, 0:5 durable, 0:6 durable, "
            "0:7 durable");
  EXPECT_EQ(committer_->stats().commits, 5u);
  EXPECT_EQ(found_after_power_loss(), up_to(7));
}

TEST_F(CommitterTest, CountsLatencyOncePerFrame) {
  start();
  for (uint64_t i = 1; i <= 3; ++i) {
    submit(0, i);
    run();
  }
  const Committer::Stats stats = committer_->stats();
  uint64_t frames = 0;
  for (const uint64_t count : stats.latency) frames += count;
  EXPECT_EQ(frames, 3u);
  EXPECT_EQ(stats.failures, 0u);
  EXPECT_EQ(stats.bytes, 3u * (stream::kRecordHeaderBytes + 10));
}

// --- Failures
// -------------------------------------------------------------------------------------

TEST_F(CommitterTest, AFullDiskFailsTheOldestBatchOfEveryEngineOnce) {
  options_.frame_bytes_max = 1000;  // each batch here has a frame of its own
  start();
  submit(2, 1);
  EXPECT_EQ(run(), "2:1 durable");
  world_.disk.set_space(0);
  submit(0, 1, 0, 100000);
  submit(1, 1, 0, 900);
  submit(0, 2);
  submit(1, 2);
  EXPECT_EQ(run(), "0:1 full, 1:1 full");
  // Of the same epoch, decided before its engine knew: dropped.
  submit(0, 3);
  EXPECT_EQ(run(), "");
  // Of the next one.
  submit(0, 4, 1);
  submit(2, 2);
  EXPECT_EQ(run(), "0:4 durable, 2:2 durable");
  EXPECT_TRUE(listener_.health.empty());
  EXPECT_EQ(committer_->stats().failures, 1u);
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{2001, 4, 2002}));
}

TEST_F(CommitterTest, ANextGenerationThatCannotBeMadeFailsOnlyWhatNeedsIt) {
  start();
  submit(0, 1, 0, 40000);
  EXPECT_EQ(run(), "0:1 durable");
  submit(0, 2, 0, 40000);
  submit(1, 1);
  world_.disk.fail_call(world_.disk.calls(), IoError::kFailed);  // opening the new file
  EXPECT_EQ(run(), "0:2 failed, 1:1 failed");
  EXPECT_TRUE(listener_.health.empty());
  submit(0, 3, 1, 40000);
  EXPECT_EQ(run(), "0:3 durable");
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 3}));
}

TEST_F(CommitterTest, ASyncThatFailsIsAnsweredByWhatIsFound) {
  start();
  submit(0, 1);
  submit(1, 1);
  world_.disk.fail_next_sync(FaultyDisk::SyncFault::kKeepsDirty);
  EXPECT_EQ(run(), "") << "parked: nobody knows yet";
  EXPECT_EQ(listener_.health, (std::vector<bool>{false}));
  EXPECT_EQ(run(), "0:1 durable, 1:1 durable");
  EXPECT_EQ(listener_.health, (std::vector<bool>{false, true}));
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 1001}));
}

TEST_F(CommitterTest, WhatIsNotFoundFailsWithItsEpoch) {
  start();
  submit(0, 1);
  submit(0, 2);
  submit(1, 1);
  world_.disk.fail_call(world_.disk.calls(), IoError::kFailed);  // the write
  std::string reports = run();
  EXPECT_EQ(reports, "");
  submit(0, 3);
  submit(2, 1);
  reports = run();
  if (reports.find("failed") != std::string::npos) {
    EXPECT_EQ(reports, "0:1 failed, 1:1 failed, 2:1 durable");
    submit(0, 4, 1);
    EXPECT_EQ(run(), "0:4 durable");
    EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{2001, 4}));
  } else {
    EXPECT_EQ(reports, "0:1 durable, 0:2 durable, 1:1 durable, 0:3 durable, 2:1 durable");
    EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{1, 2, 1001, 3, 2001}));
  }
}

TEST_F(CommitterTest, WhatADiskDroppedFailsAndIsNotInTheLog) {
  // Over many disks, so that each way of dropping is met.
  int failed = 0;
  int durable = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    LogWorld world(seed);
    ASSERT_TRUE(world.open());
    Listener listener;
    Committer committer(*world.log, listener, {}, 1);
    const auto submit_one = [&](uint64_t batch, uint64_t epoch) {
      committer.submit(0, epoch, {batch, share(make_record(batch, std::string(2000, 'x'))), 1});
    };
    submit_one(1, 0);
    committer.run_once(Instant{0});
    submit_one(2, 0);
    world.disk.fail_next_sync(FaultyDisk::SyncFault::kDropsCached);
    committer.run_once(Instant{0});
    committer.run_once(Instant{0});
    ASSERT_EQ(listener.reports.size(), 2u);
    const bool kept = listener.reports[1].outcome == CommitOutcome::kDurable;
    ++(kept ? durable : failed);
    submit_one(3, kept ? 0 : 1);
    committer.run_once(Instant{0});
    EXPECT_EQ(listener.reports.back().outcome, CommitOutcome::kDurable);
    world.crash(FaultyDisk::Crash::kForget);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.replayed,
              kept ? (std::vector<uint64_t>{1, 2, 3}) : (std::vector<uint64_t>{1, 3}));
  }
  EXPECT_GT(failed, 0);
  EXPECT_GT(durable, 0);
}

TEST_F(CommitterTest, ABrokenLogIsRetriedAtIntervalsAndHoldsEverybody) {
  options_.retry_interval = milliseconds(200);
  start();
  world_.disk.fail_from(world_.disk.calls(), IoError::kFailed);
  submit(0, 1);
  EXPECT_EQ(run(Instant{0}), "");
  EXPECT_EQ(run(Instant{0}), "");  // the first attempt, at once
  const uint64_t calls = world_.disk.calls();
  submit(1, 1);
  EXPECT_FALSE(committer_->run_once(Instant{199000}));
  EXPECT_EQ(world_.disk.calls(), calls);
  EXPECT_TRUE(committer_->run_once(Instant{200000}));
  EXPECT_GT(world_.disk.calls(), calls);
  world_.disk.heal();
  const std::string reports = run(Instant{400000});
  EXPECT_NE(reports.find("1:1 durable"), std::string::npos) << reports;
  EXPECT_NE(reports.find("0:1"), std::string::npos) << reports;
  EXPECT_EQ(listener_.health, (std::vector<bool>{false, true}));
}

TEST_F(CommitterTest, StoppingWithABrokenLogEndsWithoutAnAnswer) {
  start();
  world_.disk.fail_from(world_.disk.calls(), IoError::kFailed);
  submit(0, 1);
  run();
  submit(0, 2);
  committer_->stop();
  int turns = 0;
  while (committer_->wait(seconds(10))) {
    committer_->run_once(Instant{0});
    ASSERT_LT(++turns, 5);
  }
  EXPECT_EQ(listener_.take(), "");
}

// --- Relaxed durability
// ---------------------------------------------------------------------------

TEST_F(CommitterTest, RelaxedAnswersBeforeTheSyncThatFollowsInTime) {
  options_.sync_interval = milliseconds(100);
  start(Durability::kRelaxed);
  submit(0, 1);
  EXPECT_EQ(run(Instant{0}), "0:1 durable");
  submit(0, 2);
  EXPECT_EQ(run(Instant{50000}), "0:2 durable");
  const uint64_t calls = world_.disk.calls();
  EXPECT_FALSE(committer_->run_once(Instant{99000}));
  EXPECT_EQ(world_.disk.calls(), calls);
  EXPECT_TRUE(committer_->run_once(Instant{100000}));
  EXPECT_EQ(world_.disk.calls(), calls + 1);
  EXPECT_FALSE(committer_->run_once(Instant{300000}));
  EXPECT_EQ(found_after_power_loss(), up_to(2));
}

TEST_F(CommitterTest, RelaxedIsSyncedWhenStopping) {
  start(Durability::kRelaxed);
  submit(0, 1);
  run(Instant{0});
  committer_->stop();
  while (committer_->wait(seconds(10))) committer_->run_once(Instant{0});
  EXPECT_EQ(found_after_power_loss(), up_to(1));
}

TEST_F(CommitterTest, RelaxedFramesThatAreFoundAfterAFailureAreNoLoss) {
  start(Durability::kRelaxed);
  for (uint64_t i = 1; i <= 3; ++i) {
    submit(0, i);
    EXPECT_EQ(run(Instant{0}), "0:" + std::to_string(i) + " durable");
  }
  world_.disk.fail_next_sync(FaultyDisk::SyncFault::kDropsDirty);
  run(Instant{1000000});
  submit(0, 4);
  EXPECT_EQ(run(Instant{1000000}), "0:4 durable");
  EXPECT_EQ(listener_.lost_frames, 0u);
  EXPECT_EQ(listener_.health, (std::vector<bool>{false, true}));
  run(Instant{2000000});
  EXPECT_EQ(found_after_power_loss(), up_to(4));
}

TEST_F(CommitterTest, LostRelaxedFramesEndAllWriting) {
  start(Durability::kRelaxed);
  submit(0, 1, 0, 30000);
  EXPECT_EQ(run(Instant{0}), "0:1 durable");
  world_.disk.fail_next_sync(FaultyDisk::SyncFault::kDropsCached);
  run(Instant{1000000});
  run(Instant{1000000});
  EXPECT_EQ(listener_.lost_frames, 1u);
  submit(0, 2);
  submit(1, 1);
  EXPECT_EQ(run(Instant{1000000}), "0:2 failed, 1:1 failed");
  submit(0, 3, 1);
  EXPECT_EQ(run(Instant{5000000}), "0:3 failed");
  EXPECT_EQ(listener_.health, (std::vector<bool>{false}));
  EXPECT_EQ(found_after_power_loss(), (std::vector<uint64_t>{}));
  EXPECT_TRUE(world_.recovery.lost_writes);
}

// --- Threads
// --------------------------------------------------------------------------------------

// Counts, and checks the order of each engine's batches.
class CountingListener : public CommitListener {
 public:
  void on_committed(uint32_t engine, uint64_t batch_id, CommitOutcome outcome,
                    LogPosition) override {
    if (outcome != CommitOutcome::kDurable || batch_id != done[engine] + 1) wrong = true;
    done[engine] = batch_id;
    done[engine].notify_all();
  }
  void on_log_health(bool) override { wrong = true; }

  std::atomic<uint64_t> done[4] = {};
  std::atomic<bool> wrong{false};
};

TEST(CommitterThreads, EveryEnginesBatchesAreCommittedInOrder) {
  constexpr uint64_t kBatches = 2000;
  LogWorld world;
  ASSERT_TRUE(world.open());
  CountingListener listener;
  Committer committer(*world.log, listener, {}, 4);
  std::atomic<int64_t> now{0};
  std::thread thread([&] {
    while (committer.wait(seconds(60))) committer.run_once(Instant{++now});
  });
  std::atomic<bool> stop_helper{false};
  std::thread helper([&] {
    while (!stop_helper) {
      if (world.log->wants_next_generation()) {
        (void)world.log->prepare_next_generation();
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::vector<std::thread> engines;
  for (uint32_t e = 0; e < 4; ++e) {
    engines.emplace_back([&, e] {
      for (uint64_t i = 1; i <= kBatches; ++i) {
        const uint64_t number = e * 100000 + i;
        const bool in_place = e < 2 && i % 2 == 0;
        committer.submit(e, 0, {i, share(make_record(number, "payload")), 1},
                         in_place ? Committer::Wake::kNo : Committer::Wake::kYes);
        if (in_place) committer.try_run(Instant{++now});
        // Engine 0 waits for each batch, the others run ahead.
        for (uint64_t done = 0; e == 0 && (done = listener.done[0].load()) < i;) {
          listener.done[0].wait(done);
        }
      }
    });
  }
  for (std::thread& engine : engines) engine.join();
  committer.stop();
  thread.join();
  stop_helper = true;
  helper.join();
  EXPECT_FALSE(listener.wrong);
  for (const auto& done : listener.done) EXPECT_EQ(done, kBatches);
  world.crash(FaultyDisk::Crash::kForget);
  ASSERT_TRUE(world.open());
  std::map<uint64_t, uint64_t> last;
  for (const uint64_t number : world.replayed) {
    EXPECT_EQ(number % 100000, last[number / 100000] + 1);
    last[number / 100000] = number % 100000;
  }
  EXPECT_EQ(world.replayed.size(), 4 * kBatches);
}

// The same, of a log that breaks and is mended.
class MendedListener final : public CountingListener {
 public:
  void on_log_health(bool) override {}
};

TEST(CommitterThreads, TheThreadIsToldOfALogThatBrokeInPlace) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  MendedListener listener;
  Committer committer(*world.log, listener, {}, 1);
  std::thread thread([&] {
    while (committer.wait(seconds(3600))) committer.run_once(Instant{0});
  });
  world.disk.fail_next_sync(FaultyDisk::SyncFault::kKeepsDirty);
  committer.submit(0, 0, {1, share(make_record(1, "payload")), 1}, Committer::Wake::kNo);
  committer.try_run(Instant{0});
  listener.done[0].wait(0);
  EXPECT_EQ(listener.done[0].load(), 1U);
  committer.stop();
  thread.join();
  EXPECT_FALSE(listener.wrong);
}

TEST(CommitterThreads, ReadersReadWhileItCommits) {
  LogWorld world;
  ASSERT_TRUE(world.open());
  Listener listener;
  std::mutex mutex;
  std::vector<LogPosition> places;  // guarded by mutex
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&, i] {
      std::mt19937 random(static_cast<uint32_t>(i));
      while (!stop) {
        uint64_t number = 0;
        LogPosition place;
        {
          const std::lock_guard lock(mutex);
          if (places.empty()) continue;
          number = random() % places.size();
          place = places[number];
        }
        std::string out;
        bool corrupt = false;
        const OpLog::Piece piece{place, 0, 500};
        EXPECT_TRUE(world.log->read_payloads({&piece, 1}, out, &corrupt).ok());
        EXPECT_EQ(out, LogWorld::payload(number + 1, 500));
        ++reads;
      }
    });
  }
  for (uint64_t i = 1; i <= 1000 || reads < 100; ++i) {
    if (i % 200 == 0) {
      world.disk.fail_next_sync(FaultyDisk::SyncFault::kKeepsDirty);
    }
    uint64_t kept = 1;
    if (!world.append(i, 500).ok() || !world.log->sync().ok()) {
      EXPECT_TRUE(world.log->reopen_after_failure(&kept).ok());
    }
    if (kept == 0) {
      EXPECT_TRUE(world.commit(i, 500).ok());
    }
    const std::lock_guard lock(mutex);
    places.push_back(world.last_begin);
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace ds::store
