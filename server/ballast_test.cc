#include "server/ballast.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/fakes/temp_directory.h"

namespace ds::server {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kBytes = 3 << 20;
constexpr uint64_t kGeneration = 1 << 20;

class BallastTest : public testing::Test {
 protected:
  Ballast::Options options(uint64_t bytes) { return {directory_.file(""), bytes, kGeneration}; }
  std::string path() { return directory_.file(kBallastName); }
  // Of the disk, not only of the file's length.
  uint64_t bytes_taken() {
    struct stat info {};
    if (::stat(path().c_str(), &info) != 0) return 0;
    return static_cast<uint64_t>(info.st_blocks) * 512;
  }

  fakes::TempDirectory directory_;
};

TEST_F(BallastTest, TakesItsSpaceAndIsFoundAgain) {
  {
    Ballast ballast(options(kBytes));
    ballast.prepare();
    EXPECT_FALSE(ballast.full());
    EXPECT_EQ(ballast.stats().bytes, kBytes);
    EXPECT_GE(bytes_taken(), kBytes);
  }
  const auto made = fs::last_write_time(path());
  Ballast ballast(options(kBytes));
  ballast.prepare();
  EXPECT_EQ(fs::last_write_time(path()), made);
  EXPECT_EQ(fs::file_size(path()), kBytes);
}

TEST_F(BallastTest, AFileThatTakesNoSpaceIsReplaced) {
  std::ofstream(path()).close();
  fs::resize_file(path(), kBytes);
  ASSERT_LT(bytes_taken(), kBytes);
  Ballast ballast(options(kBytes));
  ballast.prepare();
  EXPECT_GE(bytes_taken(), kBytes);
  Ballast larger(options(2 * kBytes));
  larger.prepare();
  EXPECT_GE(bytes_taken(), 2 * kBytes);
}

TEST_F(BallastTest, GivesItsSpaceBackOnceAndSaysThatTheDiskIsFull) {
  Ballast ballast(options(kBytes));
  ballast.prepare();
  int told = 0;
  ballast.start([&](bool full) { told += full ? 1 : 0; });
  EXPECT_TRUE(ballast.make_room());
  EXPECT_TRUE(ballast.make_room());
  ballast.stop();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(ballast.stats().releases, 1u);
}

TEST_F(BallastTest, OneThatDoesNotFitLeavesNothingBehind) {
  const uint64_t too_much = fs::space(directory_.file("")).available + (uint64_t{1} << 30);
  Ballast ballast(options(too_much));
  ballast.prepare();
  EXPECT_TRUE(ballast.full());
  EXPECT_EQ(ballast.stats().bytes, 0u);
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(BallastTest, NoneIsNoneAndTheDiskIsNeverFull) {
  std::ofstream(path()).close();
  Ballast ballast(options(0));
  ballast.prepare();
  EXPECT_FALSE(fs::exists(path()));
  EXPECT_FALSE(ballast.make_room());
  EXPECT_FALSE(ballast.full());
  EXPECT_EQ(ballast.spare_bytes(), UINT64_MAX);
}

}  // namespace
}  // namespace ds::server
