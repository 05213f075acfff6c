#include "server/posix_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "store/op_log.h"
#include "tests/fakes/records.h"

namespace ds::server {
namespace {

using ports::Directory;
using ports::IoError;

// A directory of its own for each test, below `parent`; removed at the end.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& parent = testing::TempDir()) {
    path_ = parent + "/posix_file_test.XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string read_all(const ports::File& file, uint64_t position, uint64_t size) {
  std::string bytes(size, '?');
  const auto got = file.read_at(position, bytes.data(), size);
  EXPECT_TRUE(got.ok());
  bytes.resize(got.ok() ? *got : 0);
  return bytes;
}

class PosixFileTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_posix_directory(scratch_.path());
    ASSERT_TRUE(opened.ok());
    directory_ = std::move(opened).value();
  }

  std::unique_ptr<ports::File> create(const std::string& name) {
    auto file = directory_->open(name, Directory::Open::kCreateNew);
    EXPECT_TRUE(file.ok());
    return std::move(file).value();
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Directory> directory_;
};

TEST_F(PosixFileTest, WritesPartsBackToBackAndReadsThemBack) {
  const auto file = create("a");
  const std::string_view parts[] = {"hello", "", " ", "world"};
  ASSERT_TRUE(file->write_at(3, parts).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(read_all(*file, 0, 100), std::string(3, '\0') + "hello world");
  EXPECT_EQ(read_all(*file, 5, 4), "llo ");
  EXPECT_EQ(read_all(*file, 14, 10), "");
  EXPECT_EQ(*file->size(), 14u);
  ASSERT_TRUE(file->truncate(4).ok());
  EXPECT_EQ(*file->size(), 4u);
}

TEST_F(PosixFileTest, WritesMorePartsThanOneCallTakes) {
  const auto file = create("a");
  std::vector<std::string> texts;
  std::string whole;
  for (int i = 0; i < 3000; ++i) {
    texts.push_back(std::to_string(i));
    whole += texts.back();
  }
  const std::vector<std::string_view> parts(texts.begin(), texts.end());
  ASSERT_TRUE(file->write_at(0, parts).ok());
  EXPECT_EQ(read_all(*file, 0, whole.size() + 10), whole);
}

TEST_F(PosixFileTest, WritesLargeParts) {
  const auto file = create("a");
  std::string large(10 << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);
  const std::string_view parts[] = {"<", large, ">"};
  ASSERT_TRUE(file->write_at(0, parts).ok());
  EXPECT_EQ(read_all(*file, 0, large.size() + 10), "<" + large + ">");
}

// What depends on the file system, on each that there is.
class PosixFileOnDisksTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (::access(GetParam().c_str(), W_OK) != 0) GTEST_SKIP() << "no " << GetParam();
    auto opened = open_posix_directory(scratch_.path());
    ASSERT_TRUE(opened.ok());
    directory_ = std::move(opened).value();
    auto file = directory_->open("a", Directory::Open::kCreateNew);
    ASSERT_TRUE(file.ok());
    file_ = std::move(file).value();
  }

  ScratchDirectory scratch_{GetParam()};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<ports::File> file_;
};

INSTANTIATE_TEST_SUITE_P(Disks, PosixFileOnDisksTest,
                         testing::Values(testing::TempDir(), "/dev/shm", "/var/tmp"));

TEST_P(PosixFileOnDisksTest, ReadsPastTheCacheAtAnyAlignment) {
  std::string bytes(3000001, 'x');
  for (size_t i = 0; i < bytes.size(); i += 7) bytes[i] = static_cast<char>(i / 7);
  const std::string_view part = bytes;
  ASSERT_TRUE(file_->write_at(0, {&part, 1}).ok());
  for (const uint64_t position : {0u, 1u, 4095u, 4096u, 1048575u, 2999999u, 3000001u, 9000000u}) {
    for (const uint64_t size : {0u, 1u, 511u, 4096u, 1048577u, 4000000u}) {
      std::string got(size, '?');
      const auto count = file_->read_uncached(position, got.data(), size);
      ASSERT_TRUE(count.ok());
      got.resize(*count);
      const std::string expected =
          position < bytes.size() ? bytes.substr(position, size) : std::string();
      ASSERT_TRUE(got == expected) << position << " " << size;
    }
  }
}

TEST_P(PosixFileOnDisksTest, WritesBehindWithoutChangingAnything) {
  const std::string bytes(100000, 'x');
  const std::string_view whole = bytes;
  ASSERT_TRUE(file_->write_at(0, {&whole, 1}).ok());
  ASSERT_TRUE(file_->write_behind(0, 100000).ok());
  ASSERT_TRUE(file_->write_behind(5000, 1 << 20).ok());  // also where there is nothing
  ASSERT_TRUE(file_->sync().ok());
  EXPECT_EQ(read_all(*file_, 0, 100000), bytes);
  EXPECT_EQ(file_->size().value(), 100000U);
}

TEST_P(PosixFileOnDisksTest, StreamsPastTheCacheWhereItCan) {
  file_->expect_streaming();
  std::string bytes((5 << 20) + 12345, 'x');
  for (size_t i = 0; i < bytes.size(); i += 7) bytes[i] = static_cast<char>(i / 7);
  const std::string_view whole = bytes;
  // Whole blocks, from memory that is not aligned; then what a file may end with; then more.
  uint64_t at = 0;
  for (const size_t size : {4096u, 1u << 20, 3u << 20, 8192u + 1, 4096u}) {
    const std::string_view part = whole.substr(at, size);
    ASSERT_TRUE(file_->write_at(at, {&part, 1}).ok());
    // Readers may come at any time, at any place.
    ASSERT_EQ(read_all(*file_, at + 1, part.size() - 1), part.substr(1));
    at += part.size();
  }
  const std::string_view rest[] = {whole.substr(at, 10), whole.substr(at + 10)};
  ASSERT_TRUE(file_->write_at(at, rest).ok());
  ASSERT_TRUE(file_->sync().ok());
  EXPECT_EQ(*file_->size(), bytes.size());
  ASSERT_TRUE(read_all(*file_, 0, bytes.size() + 1) == bytes);
}

TEST_F(PosixFileTest, ReservingTakesSpaceOrSaysAtOnceThatThereIsNone) {
  const auto file = create("a");
  EXPECT_TRUE(file->reserve(1 << 20).ok());
  const auto status = file->reserve(uint64_t{1} << 55);
  EXPECT_FALSE(status.ok());
}

TEST_F(PosixFileTest, NamesExistOnce) {
  create("a");
  const auto again = directory_->open("a", Directory::Open::kCreateNew);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error(), IoError::kExists);
  const auto missing = directory_->open("b", Directory::Open::kExisting);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error(), IoError::kNotFound);
  EXPECT_TRUE(directory_->open("a", Directory::Open::kExisting).ok());
}

TEST_F(PosixFileTest, ListsRenamesAndRemoves) {
  create("a");
  const std::string_view text = "b";
  ASSERT_TRUE(create("b")->write_at(0, {&text, 1}).ok());
  ASSERT_TRUE(directory_->rename("b", "a").ok());
  create("c");
  ASSERT_TRUE(directory_->sync().ok());
  auto names = directory_->list();
  ASSERT_TRUE(names.ok());
  std::sort(names->begin(), names->end());
  EXPECT_EQ(*names, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(read_all(**directory_->open("a", Directory::Open::kExisting), 0, 10), "b");
  EXPECT_TRUE(directory_->remove("a").ok());
  const auto removed = directory_->remove("a");
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error(), IoError::kNotFound);
}

TEST_F(PosixFileTest, TheLockEndsWithItsDirectory) {
  auto second = open_posix_directory(scratch_.path());
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(directory_->lock("LOCK").ok());
  EXPECT_TRUE(directory_->lock("LOCK").ok());
  const auto refused = (*second)->lock("LOCK");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error(), IoError::kLocked);
  directory_.reset();
  EXPECT_TRUE((*second)->lock("LOCK").ok());
}

TEST_F(PosixFileTest, AnOpenFileIsTakenBesideOthersOrAlone) {
  using Hold = ports::File::Hold;
  const auto first = create("a");
  const auto second = std::move(directory_->open("a", Directory::Open::kExisting)).value();
  EXPECT_TRUE(first->take(Hold::kShared));
  EXPECT_TRUE(second->take(Hold::kShared));
  EXPECT_FALSE(first->take(Hold::kAlone));
  EXPECT_TRUE(second->take(Hold::kFree));
  EXPECT_TRUE(first->take(Hold::kAlone));
  EXPECT_FALSE(second->take(Hold::kShared));
  EXPECT_TRUE(first->take(Hold::kFree));
  EXPECT_TRUE(second->take(Hold::kShared));
}

TEST_F(PosixFileTest, AGenerationThatSomebodyElseReadsIsNotReused) {
  store::OpLogOptions options;
  options.generation_bytes = store::kGenerationBytesMin;
  store::OpLog::Recovery recovery;
  const auto keep_all = [](std::string_view, LogPosition) { return true; };
  auto log = std::move(store::OpLog::open(*directory_, options, keep_all, &recovery)).value();
  const auto write_and_rotate = [&](uint64_t number) {
    const std::string record = fakes::make_record(number, "payload");
    const std::string_view batch = record;
    LogPosition begin;
    ASSERT_TRUE(log->append({&batch, 1}, false, {&begin, 1}).ok());
    ASSERT_TRUE(log->rotate().ok());
  };
  const std::string spare = scratch_.path() + "/unfinished.tmp";
  write_and_rotate(1);
  {
    const auto reader = directory_->open("00000001.log", Directory::Open::kExisting);
    ASSERT_TRUE(reader.ok());
    ASSERT_TRUE((*reader)->take(ports::File::Hold::kShared));
    const std::string before = read_all(**reader, 0, 200);
    ASSERT_TRUE(log->remove_through(1).ok());
    EXPECT_FALSE(std::filesystem::exists(spare));
    write_and_rotate(2);
    EXPECT_EQ(read_all(**reader, 0, 200), before);
  }
  ASSERT_TRUE(log->remove_through(2).ok());
  EXPECT_TRUE(std::filesystem::exists(spare));
  // And with a full disk its space is given back.
  log->save_space(true);
  EXPECT_FALSE(std::filesystem::exists(spare));
}

TEST_F(PosixFileTest, DirectoriesAreMadeWithTheirParents) {
  for (const std::string path : {"/one/two/three", "/one/two/four/", "/one/two/four/"}) {
    ASSERT_TRUE(open_posix_directory(scratch_.path() + path).ok()) << path;
  }
  EXPECT_TRUE(std::filesystem::is_directory(scratch_.path() + "/one/two/three"));
  EXPECT_TRUE(std::filesystem::is_directory(scratch_.path() + "/one/two/four"));
  auto inner = directory_->subdirectory("one");
  ASSERT_TRUE(inner.ok());
  EXPECT_EQ(*(*inner)->list(), (std::vector<std::string>{"two"}));
  std::ofstream(scratch_.path() + "/file") << "x";
  EXPECT_FALSE(open_posix_directory(scratch_.path() + "/file").ok());
  EXPECT_FALSE(open_posix_directory(scratch_.path() + "/file/below").ok());
}

TEST_F(PosixFileTest, FilesAreForTheirOwnerAlone) {
  create("a");
  struct stat info {};
  ASSERT_EQ(::stat((scratch_.path() + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

TEST_F(PosixFileTest, AChildProcessInheritsNothing) {
  const auto file = create("a");
  ASSERT_TRUE(directory_->lock("LOCK").ok());
  int ours = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    const std::string target = std::filesystem::read_symlink(entry.path(), ignored).string();
    if (!target.starts_with(std::filesystem::canonical(scratch_.path()).string())) continue;
    ++ours;
    const int fd = std::stoi(entry.path().filename().string());
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << target;
  }
  EXPECT_EQ(ours, 3);  // directory, file, lock
}

TEST_F(PosixFileTest, ALogLivesOnIt) {
  store::OpLogOptions options;
  options.generation_bytes = store::kGenerationBytesMin;
  std::vector<LogPosition> places;
  for (int round = 0; round < 4; ++round) {
    std::vector<LogPosition> replayed;
    store::OpLog::Recovery recovery;
    auto log = store::OpLog::open(
        *directory_, options,
        [&](std::string_view, LogPosition at) {
          replayed.push_back(at);
          return true;
        },
        &recovery);
    ASSERT_TRUE(log.ok()) << log.error().message;
    ASSERT_EQ(replayed, places);
    EXPECT_EQ(recovery.torn_bytes, 0u);
    for (uint64_t i = 0; i < 30; ++i) {
      const std::string record = fakes::make_record(i, std::string(5000, 'p'));
      const std::string_view batch = record;
      LogPosition begin;
      ASSERT_TRUE((*log)->append({&batch, 1}, false, {&begin, 1}).ok());
      ASSERT_TRUE((*log)->sync().ok());
      places.push_back(begin);
    }
    // As after a failure: everything is there and stays.
    uint64_t kept = 0;
    ASSERT_TRUE((*log)->reopen_after_failure(&kept).ok());
    std::string out;
    bool corrupt = false;
    std::vector<store::OpLog::Piece> pieces;
    for (const LogPosition place : places) pieces.push_back({place, 0, 5000});
    ASSERT_TRUE((*log)->read_payloads(pieces, out, &corrupt).ok());
    EXPECT_EQ(out, std::string(5000 * places.size(), 'p'));
    if (round % 2 == 0) {
      ASSERT_TRUE((*log)->close().ok());
    }
  }
}

TEST_F(PosixFileTest, ALogRereadsUnsyncedFramesFromTheMedium) {
  store::OpLog::Recovery recovery;
  auto log = store::OpLog::open(
      *directory_, {store::kGenerationBytesMin, 1, 0},
      [](std::string_view, LogPosition) { return true; }, &recovery);
  ASSERT_TRUE(log.ok());
  const std::string record = fakes::make_record(1, std::string(3000, 'p'));
  const std::string_view batch = record;
  LogPosition begin;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE((*log)->append({&batch, 1}, false, {&begin, 1}).ok());
  uint64_t kept = 0;
  ASSERT_TRUE((*log)->reopen_after_failure(&kept).ok());
  EXPECT_EQ(kept, 3u);
}

}  // namespace
}  // namespace ds::server
