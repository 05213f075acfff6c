#include "server/commands/backup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/stream/op.h"
#include "core/stream/snapshot.h"
#include "server/commands/check.h"
#include "server/posix_file.h"
#include "store/catalog.h"
#include "store/log_format.h"
#include "store/op_log.h"
#include "tests/fakes/seal_world.h"
#include "tests/fakes/temp_directory.h"

namespace ds::server {
namespace {

namespace fs = std::filesystem;
using fakes::SealWorld;

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    fs::create_directory(data_);
    root_ = std::move(open_posix_directory(data_)).value();
    EXPECT_TRUE(root_->lock("LOCK").ok());  // as a server does
    log_ = std::move(root_->subdirectory("log")).value();
    world_ = std::make_unique<SealWorld>(*root_, data_ + "/catalog.db", 3);
    world_->options.merge_fan_in = 3;
    world_->open_sealer();
    work();
  }

  // Writes, seals, merges, and removes what was sealed.
  void work() {
    for (int i = 0; i < 2; ++i) {
      world_->churn(80);
      world_->fill_generation();
    }
    ASSERT_EQ(world_->seal_all(), "");
    for (;;) {
      const auto tidied = world_->sealer->tidy();
      ASSERT_TRUE(tidied.ok()) << tidied.error().message;
      if (!*tidied) break;
    }
    for (uint32_t i = 1; i <= world_->sealed_through(); ++i) {
      fs::remove(data_ + "/log/" + store::generation_name(i));
    }
    world_->churn(40);
    world_->commit();
  }

  int back_up_to(
      const std::string& to, const std::function<void()>& between = [] {}) {
    said_.clear();
    const auto say = [this](std::string_view text) { said_ += text; };
    return back_up({data_, to, "test", between}, say, say);
  }

  // The backup is intact; every stream of `then` has at least its bytes of then and no more than
  // those of now, unless it is gone now.
  void expect_restorable(const std::string& at, const fakes::StreamModel& then) {
    std::string found;
    const auto say = [&found](std::string_view text) { found += text; };
    EXPECT_EQ(check_data_directory(at, false, say, say), 0) << found;
    const auto catalog =
        std::move(store::Catalog::open(at + "/catalog.db", store::Catalog::Mode::kReadWrite))
            .value();
    std::map<Incarnation, Position> logged;  // tails
    const auto root = std::move(open_posix_directory(at)).value();
    const auto log = std::move(root->subdirectory("log")).value();
    store::OpLogOptions options;
    options.generation_bytes = store::kGenerationBytesMin;
    options.first_generation = catalog->state()->sealed_through + 1;
    store::OpLog::Recovery recovery;
    const auto take = [&logged](std::string_view record, LogPosition) {
      const auto op = stream::decode_record(record);
      if (op) logged[op->stream] = op->end();
      return op.has_value();
    };
    const auto opened = store::OpLog::open(*log, options, take, &recovery);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    for (const auto& [id, state] : then.states) {
      const auto now = world_->written.states.find(id);
      if (now == world_->written.states.end()) continue;
      Position tail;
      const auto row = catalog->find(id);
      ASSERT_TRUE(row.ok());
      EXPECT_TRUE(row->has_value() || logged.count(id) != 0) << id.value;
      if (row->has_value()) tail = stream::decode_snapshot((*row)->snapshot)->writer.tail;
      if (logged.count(id) != 0) tail = logged[id];
      EXPECT_GE(tail, state.writer.tail) << id.value;
      EXPECT_LE(tail, now->second.writer.tail) << id.value;
    }
  }

  fakes::TempDirectory temp_;
  std::string data_ = temp_.file("data");
  std::string to_ = temp_.file("backup");
  std::unique_ptr<ports::Directory> root_;
  std::unique_ptr<ports::Directory> log_;
  std::unique_ptr<SealWorld> world_;
  std::string said_;
};

TEST_F(BackupTest, ABackupIsACompleteDataDirectory) {
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  expect_restorable(to_, world_->written);
  // Sealed data is shared; the log never is.
  for (const auto& entry : fs::directory_iterator(to_ + "/segments")) {
    EXPECT_TRUE(
        fs::equivalent(entry.path(), fs::path(data_) / "segments" / entry.path().filename()));
  }
  for (const auto& entry : fs::directory_iterator(to_ + "/log")) {
    EXPECT_EQ(fs::hard_link_count(entry.path()), 1u);
  }
}

TEST_F(BackupTest, WhatIsSealedMergedAndRemovedUnderItsHandsMakesItLookAgain) {
  int works = 0;
  const auto then = world_->written;
  ASSERT_EQ(back_up_to(to_,
                       [&] {
                         if (works++ < 6) work();
                       }),
            0)
      << said_;
  EXPECT_GE(works, 6);
  expect_restorable(to_, then);
}

TEST_F(BackupTest, IsBroughtUpToDateAndForgetsWhatIsNotNeededAnyMore) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(back_up_to(to_), 0) << said_;
    work();
  }
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  std::set<std::string> wanted;
  for (const auto& segment : world_->segments()) wanted.insert(store::segment_name(segment.id));
  std::set<std::string> there;
  for (const auto& entry : fs::directory_iterator(to_ + "/segments")) {
    there.insert(entry.path().filename());
  }
  EXPECT_EQ(there, wanted);
  EXPECT_FALSE(fs::exists(to_ + "/log.old"));
  expect_restorable(to_, world_->written);
}

TEST_F(BackupTest, ASegmentThatIsAnotherOneUnderTheSameNameIsReplaced) {
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  const std::string name = store::segment_name(world_->segments()[0].id);
  const auto size = fs::file_size(data_ + "/segments/" + name);
  fs::remove(to_ + "/segments/" + name);
  std::ofstream(to_ + "/segments/" + name) << std::string(size, 'x');
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  EXPECT_TRUE(fs::equivalent(data_ + "/segments/" + name, to_ + "/segments/" + name));
}

TEST_F(BackupTest, DoesNotTouchADirectoryThatIsNoBackup) {
  fs::create_directory(to_);
  std::ofstream(to_ + "/mine") << "precious";
  EXPECT_EQ(back_up_to(to_), 1);
  EXPECT_NE(said_.find("is not empty and holds no backup"), std::string::npos) << said_;
  EXPECT_EQ(std::distance(fs::directory_iterator(to_), {}), 1);
  EXPECT_EQ(back_up_to(data_), 1) << "onto itself";
}

TEST_F(BackupTest, ABackupThatWasServedIsADataDirectoryLikeAnyOther) {
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  EXPECT_EQ(claim_backup(to_), "");
  EXPECT_FALSE(fs::exists(to_ + "/backup.json"));
  EXPECT_EQ(claim_backup(to_), "");
  EXPECT_EQ(back_up_to(to_), 1) << said_;
}

TEST_F(BackupTest, OneThatWasNotFinishedIsNotServedAndCanBeFinished) {
  fs::remove(data_ + "/segments/" + store::segment_name(world_->segments()[0].id));
  EXPECT_EQ(back_up_to(to_), 1);
  EXPECT_NE(claim_backup(to_).find("was not finished"), std::string::npos);
  EXPECT_TRUE(fs::exists(to_ + "/backup.json"));
}

TEST_F(BackupTest, OneThatWasKilledBeforeItsManifestIsBegunAnew) {
  fs::create_directory(to_);
  std::ofstream(to_ + "/LOCK");
  std::ofstream(to_ + "/backup.json.tmp") << "{";
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  expect_restorable(to_, world_->written);
}

TEST_F(BackupTest, ReportsADamagedLogInsteadOfCopyingIt) {
  ASSERT_EQ(back_up_to(to_), 0) << said_;
  world_->fill_generation();
  const std::string name = data_ + "/log/" + store::generation_name(world_->sealed_through() + 1);
  std::fstream(name, std::ios::in | std::ios::out | std::ios::binary).seekp(120) << "damage";
  EXPECT_EQ(back_up_to(to_), 1);
  EXPECT_NE(said_.find("is damaged"), std::string::npos) << said_;
  EXPECT_EQ(claim_backup(to_), "") << "the former one is still whole";
}

}  // namespace
}  // namespace ds::server
