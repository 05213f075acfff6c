#include "store/generation_files.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/log_format.h"
#include "store/op_log.h"
#include "tests/fakes/log_world.h"

namespace ds::store {
namespace {

using fakes::FaultyDisk;
using fakes::LogWorld;
using fakes::up_to;
using ports::IoError;
using ports::IoStatus;

constexpr uint64_t kBytes = 4 << 20;
constexpr uint32_t kGeneration = 7;
const Enough kNever = [](uint64_t) { return false; };
const Enough kAfterMegabyte = [](uint64_t filled) { return filled >= 1 << 20; };

TEST(GenerationFiles, ANewOneIsZerosHoweverMuchOfItIsFilled) {
  uint64_t calls_before = UINT64_MAX;
  for (const Enough& enough : {kNever, kAfterMegabyte, Enough([](uint64_t) { return true; })}) {
    FaultyDisk disk;
    auto directory = disk.root();
    ASSERT_TRUE(create_generation_file(*directory, kGeneration, kBytes, enough).ok());
    EXPECT_LT(disk.calls(), calls_before);
    calls_before = disk.calls();
    disk.crash(FaultyDisk::Crash::kForget);
    EXPECT_EQ(disk.contents(generation_name(kGeneration)), std::string(kBytes, '\0'));
    EXPECT_EQ(disk.names().size(), 1u);
  }
}

TEST(GenerationFiles, TheSpaceOfANewOneIsTakenHoweverMuchOfItIsFilled) {
  FaultyDisk disk;
  disk.set_space(kBytes - 1);
  auto directory = disk.root();
  const auto created = create_generation_file(*directory, kGeneration, kBytes, kAfterMegabyte);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error(), IoError::kNoSpace);
  EXPECT_TRUE(disk.names().empty());
}

TEST(GenerationFiles, WhereNothingCanBeReservedANewOneIsFilledWhole) {
  FaultyDisk disk;
  disk.set_can_reserve(false);
  disk.set_space(kBytes - 1);
  auto directory = disk.root();
  EXPECT_FALSE(create_generation_file(*directory, kGeneration, kBytes, kAfterMegabyte).ok());
  disk.set_space(kBytes);
  EXPECT_TRUE(create_generation_file(*directory, kGeneration, kBytes, kAfterMegabyte).ok());
  const uint64_t some = disk.calls();
  disk.set_can_reserve(true);
  disk.set_space(2 * kBytes);
  EXPECT_TRUE(create_generation_file(*directory, kGeneration + 1, kBytes, kAfterMegabyte).ok());
  EXPECT_LT(disk.calls() - some, some / 2);
}

TEST(GenerationFiles, WhateverCallFailsANewOneIsWholeOrNotThere) {
  for (uint64_t call = 0;; ++call) {
    FaultyDisk disk;
    auto directory = disk.root();
    disk.fail_call(call, IoError::kFailed);
    const auto created = create_generation_file(*directory, kGeneration, kBytes, kAfterMegabyte);
    const uint64_t calls = disk.calls();
    disk.crash(FaultyDisk::Crash::kForget);
    for (const std::string& name : disk.names()) {
      if (name == kUnfinishedName) continue;  // its removal failed
      EXPECT_EQ(name, generation_name(kGeneration));
      EXPECT_EQ(disk.contents(name), std::string(kBytes, '\0'));
    }
    if (calls <= call) {
      EXPECT_TRUE(created.ok());
      return;
    }
  }
}

// Forwards, and tells of each sync of a file that it has made.
class TellingFile final : public ports::File {
 public:
  TellingFile(std::unique_ptr<ports::File> file, uint64_t* written, std::function<void()>* told)
      : file_(std::move(file)), written_(written), told_(told) {}

  IoStatus write_at(uint64_t position, std::span<const std::string_view> parts) override {
    for (const std::string_view part : parts) *written_ += part.size();
    return file_->write_at(position, parts);
  }
  IoStatus sync() override {
    const IoStatus synced = file_->sync();
    if (*told_) (*told_)();
    return synced;
  }
  Result<uint64_t, IoError> read_at(uint64_t position, char* to, uint64_t size) const override {
    return file_->read_at(position, to, size);
  }
  Result<uint64_t, IoError> read_uncached(uint64_t position, char* to,
                                          uint64_t size) const override {
    return file_->read_uncached(position, to, size);
  }
  Result<uint64_t, IoError> size() const override { return file_->size(); }
  IoStatus truncate(uint64_t size) override { return file_->truncate(size); }
  Result<bool, IoError> reserve(uint64_t size) override { return file_->reserve(size); }

 private:
  std::unique_ptr<ports::File> file_;
  uint64_t* written_;
  std::function<void()>* told_;
};

class TellingDirectory final : public ports::Directory {
 public:
  explicit TellingDirectory(std::unique_ptr<ports::Directory> directory)
      : directory_(std::move(directory)) {}

  Result<std::unique_ptr<ports::File>, IoError> open(const std::string& name, Open how) override {
    auto opened = directory_->open(name, how);
    if (!opened.ok() || how != Open::kCreateNew) return opened;
    return std::unique_ptr<ports::File>(
        std::make_unique<TellingFile>(std::move(opened).value(), &written, &told));
  }
  Result<std::vector<std::string>, IoError> list() override { return directory_->list(); }
  IoStatus rename(const std::string& from, const std::string& to) override {
    return directory_->rename(from, to);
  }
  IoStatus remove(const std::string& name) override { return directory_->remove(name); }
  IoStatus sync() override { return directory_->sync(); }
  IoStatus lock(const std::string& name) override { return directory_->lock(name); }
  Result<std::unique_ptr<ports::Directory>, IoError> subdirectory(
      const std::string& name) override {
    return directory_->subdirectory(name);
  }

  uint64_t written = 0;        // to files that were made
  std::function<void()> told;  // at each of their syncs

 private:
  std::unique_ptr<ports::Directory> directory_;
};

// Prepares the next generation of a log whose appends use up `used` bytes for each sync of that.
// Returns how many bytes of the new file were written.
uint64_t prepare_beside_appends(uint64_t used) {
  LogWorld world;
  world.options.generation_bytes = kBytes;
  TellingDirectory directory(world.disk.root());
  auto opened = OpLog::open(
      directory, world.options, [](std::string_view, LogPosition) { return true; },
      &world.recovery);
  EXPECT_TRUE(opened.ok());
  world.log = std::move(opened).value();
  uint64_t number = 0;
  while (!world.log->wants_next_generation()) EXPECT_TRUE(world.commit(++number, 100'000).ok());

  const uint64_t appended_before = world.log->stats().bytes;
  directory.written = 0;
  bool appends = true;
  directory.told = [&] {
    // The current generation's file was made, too.
    if (!std::exchange(appends, false)) return;
    const bool fits = world.log->stats().bytes + used + 4096 < kBytes;
    EXPECT_TRUE(!fits || world.commit(++number, used).ok());
    appends = true;
  };
  EXPECT_TRUE(world.log->prepare_next_generation().ok());
  directory.told = nullptr;
  const uint64_t written = directory.written - (world.log->stats().bytes - appended_before);

  while (world.log->stats().last_generation < 3) EXPECT_TRUE(world.commit(++number, 50'000).ok());
  world.log.reset();
  world.disk.crash(FaultyDisk::Crash::kForget);
  EXPECT_TRUE(world.open());
  EXPECT_EQ(world.replayed, up_to(number));
  return written;
}

TEST(GenerationFiles, TheNextOneIsFilledUnlessTheLogIsFaster) {
  EXPECT_EQ(prepare_beside_appends(1000), kBytes);
  EXPECT_LT(prepare_beside_appends(1'000'000), kBytes / 2);
}

}  // namespace
}  // namespace ds::store
