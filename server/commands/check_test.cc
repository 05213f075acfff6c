#include "server/commands/check.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/posix_file.h"
#include "store/log_format.h"
#include "tests/fakes/seal_world.h"
#include "tests/fakes/temp_directory.h"

namespace ds::server {
namespace {

namespace fs = std::filesystem;
using fakes::SealWorld;

// A data directory as a server leaves it, with sealed streams, forks, merges, and three generations
// that are not sealed.
class CheckTest : public testing::Test {
 protected:
  CheckTest() {
    fs::create_directory(data_);
    auto root = std::move(open_posix_directory(data_)).value();
    SealWorld world(*root, data_ + "/catalog.db", 7);
    world.options.merge_fan_in = 3;
    world.open_sealer();
    for (int round = 0; round < 3; ++round) {
      world.churn(150);
      world.fill_generation();
    }
    EXPECT_EQ(world.seal_all(), "");
    for (;;) {
      const auto tidied = world.sealer->tidy();
      EXPECT_TRUE(tidied.ok());
      if (!tidied.ok() || !*tidied) break;
    }
    a_ = world.create("/a", world.text(300));
    world.fill_generation();
    world.append(a_, world.text(100));
    world.fill_generation();
    EXPECT_EQ(world.seal_all(), "");
    sealed_through_ = world.sealed_through();
    for (int i = 0; i < 2; ++i) {
      world.append(a_, world.text(100));
      world.fill_generation();
    }
    world.append(a_, world.text(100));
    world.commit();
    world.churn(60);
    world.commit();
    last_generation_ = world.last_generation();
    extents_of_a_ = world.extents(a_);
    world.catalog.reset();
  }

  // Returns the exit code.
  int check(bool quick = false) {
    out_.clear();
    return check_data_directory(
        data_, quick, [this](std::string_view text) { out_ += text; },
        [this](std::string_view text) { out_ += text; });
  }

  // Exactly one problem, and it says all of that.
  void expect_problem(const std::vector<std::string>& names, bool only = true) {
    EXPECT_EQ(check(), 1);
    std::string problem;
    size_t problems = 0;
    for (size_t at = 0; at < out_.size();) {
      const size_t end = out_.find('\n', at);
      const std::string line = out_.substr(at, end - at);
      at = end + 1;
      if (line.rfind("problem: ", 0) != 0) continue;
      ++problems;
      if (std::all_of(names.begin(), names.end(), [&](const std::string& name) {
            return line.find(name) != std::string::npos;
          })) {
        problem = line;
      }
    }
    EXPECT_NE(problem, "") << names[0] << " in\n" << out_;
    if (only) {
      EXPECT_EQ(problems, 1u) << out_;
    }
  }

  void flip(const std::string& name, uint64_t at) {
    std::fstream file(data_ + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 1));
  }

  void sql(const std::string& text) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open((data_ + "/catalog.db").c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }

  std::string of_a() const { return "stream = " + std::to_string(a_.value); }
  std::string name_of_a() const {
    const std::string digits = std::to_string(a_.value);
    return "stream " + std::string(16 - digits.size(), '0') + digits;
  }
  std::string segment_of_a() const {
    return "segments/" + store::segment_name(extents_of_a_[0].segment);
  }
  std::string generation(uint32_t number) const { return "log/" + store::generation_name(number); }

  // Every file with its size and contents.
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(data_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path()] = std::string(std::istreambuf_iterator<char>(file), {});
    }
    return files;
  }

  fakes::TempDirectory temp_;
  std::string data_ = temp_.file("data");
  Incarnation a_;
  uint32_t sealed_through_ = 0;
  uint32_t last_generation_ = 0;
  std::vector<store::CatalogExtent> extents_of_a_;
  std::string out_;
};

TEST_F(CheckTest, AnUndamagedDirectoryIsIntactAndStaysAsItIs) {
  const auto before = contents();
  EXPECT_EQ(check(), 0) << out_;
  EXPECT_EQ(out_.find("problem: "), std::string::npos) << out_;
  EXPECT_NE(out_.find(": intact\n"), std::string::npos) << out_;
  EXPECT_NE(out_.find("3 unsealed generations"), std::string::npos) << out_;
  EXPECT_EQ(check(true), 0) << out_;
  EXPECT_TRUE(before == contents());
}

TEST_F(CheckTest, WhatACrashLeftInTheCatalogsLogIsReadAndStaysThere) {
  // Files as they are while the catalog is open.
  auto catalog =
      std::move(store::Catalog::open(data_ + "/catalog.db", store::Catalog::Mode::kReadWrite))
          .value();
  store::CatalogChange change;
  change.state = *catalog->state();
  ++change.state.highest_life.value;
  ASSERT_TRUE(catalog->commit(change).ok());
  const std::string copy = temp_.file("copy");
  fs::copy(data_, copy, fs::copy_options::recursive);
  fs::remove(copy + "/catalog.db-shm");
  catalog.reset();
  data_ = copy;
  ASSERT_GT(fs::file_size(copy + "/catalog.db-wal"), 0u);
  const auto before = contents();
  EXPECT_EQ(check(), 0) << out_;
  EXPECT_TRUE(before == contents());
}

TEST_F(CheckTest, WhileAServerHasTheDirectoryItsLogIsCheckedAsFarAsItGoes) {
  auto root = std::move(open_posix_directory(data_)).value();
  ASSERT_TRUE(root->lock("LOCK").ok());
  auto catalog =
      std::move(store::Catalog::open(data_ + "/catalog.db", store::Catalog::Mode::kReadWrite))
          .value();
  EXPECT_EQ(check(), 0) << out_;
  EXPECT_NE(out_.find("a server has the directory"), std::string::npos) << out_;
}

TEST_F(CheckTest, ATornTailIsNoDamage) {
  std::fstream file(data_ + "/" + generation(last_generation_),
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(60 << 10);
  file << "half a frame";
  file.close();
  EXPECT_EQ(check(), 0) << out_;
}

TEST_F(CheckTest, FindsAFlippedByteOfData) {
  flip(segment_of_a(), extents_of_a_[0].extent.data_offset + 3);
  expect_problem({segment_of_a(), "data of " + name_of_a()});
  EXPECT_EQ(check(true), 0) << "not looked at: " << out_;
}

TEST_F(CheckTest, FindsAFlippedByteOfAMessageList) {
  const auto file = std::move(open_posix_file(data_ + "/" + segment_of_a())).value();
  std::string head(extents_of_a_[0].extent.head_bytes, '\0');
  ASSERT_TRUE(file->read_at(extents_of_a_[0].extent.head_offset, head.data(), head.size()).ok());
  flip(segment_of_a(), segment::decode_head(head)->blocks[0].list_offset);
  expect_problem({segment_of_a(), "message list of " + name_of_a()});
}

TEST_F(CheckTest, FindsAFlippedByteOfAHead) {
  flip(segment_of_a(), extents_of_a_[0].extent.head_offset + 5);
  expect_problem({segment_of_a(), "head of extent"});
  EXPECT_EQ(check(true), 1);
}

TEST_F(CheckTest, FindsASegmentWithoutItsEnd) {
  fs::resize_file(data_ + "/" + segment_of_a(), 100);
  expect_problem({segment_of_a(), "its end is missing"});
}

TEST_F(CheckTest, FindsThatASegmentIsMissing) {
  fs::remove(data_ + "/" + segment_of_a());
  expect_problem({segment_of_a(), "is missing"});
}

TEST_F(CheckTest, FindsThatAnExtentIsMissing) {
  const segment::Extent& extent = extents_of_a_[0].extent;
  sql("DELETE FROM extents WHERE " + of_a() + " AND begin_at = 0");
  expect_problem({name_of_a() + " (/a)",
                  "no extent holds its positions [0, " + std::to_string(extent.end.value) + ")"},
                 false);
}

TEST_F(CheckTest, FindsAnExtentThatIsShifted) {
  sql("UPDATE extents SET begin_at = 10 WHERE " + of_a() + " AND begin_at = 0");
  expect_problem({name_of_a(), "no extent holds its positions [0, 10)"}, false);
  expect_problem({segment_of_a(), "it has no extent of " + name_of_a() + " at [10, "}, false);
}

TEST_F(CheckTest, FindsExtentsThatOverlap) {
  const segment::Extent& extent = extents_of_a_[0].extent;
  ASSERT_GE(extents_of_a_.size(), 2u);
  sql("UPDATE extents SET end_at = end_at + 7 WHERE " + of_a() + " AND begin_at = 0");
  expect_problem({name_of_a(), "overlaps"}, false);
  expect_problem({segment_of_a(), "its head at byte " + std::to_string(extent.head_offset)}, false);
}

TEST_F(CheckTest, FindsADamagedSnapshot) {
  sql("UPDATE streams SET snapshot = CAST(substr(snapshot, 1, 20) || x'ff' || substr(snapshot, 22) "
      "AS BLOB) WHERE id = " +
      std::to_string(a_.value));
  expect_problem({name_of_a() + " (/a)", "its snapshot is damaged"}, false);
}

TEST_F(CheckTest, FindsAPathThatLeadsToAnotherStream) {
  sql("UPDATE paths SET stream = (SELECT min(id) FROM streams) WHERE path = '/a'");
  expect_problem({"path /a leads to stream "}, false);
  expect_problem({"the path of " + name_of_a() + " (/a) does not lead to it"}, false);
}

TEST_F(CheckTest, FindsADamagedFrameInTheMiddleOfTheLog) {
  flip(generation(sealed_through_ + 2), store::kGenerationHeaderBytes + 60);
  expect_problem({generation(sealed_through_ + 2) + " at byte 64: frame ", "is damaged"});
}

TEST_F(CheckTest, FindsADamagedFrameInTheLastGeneration) {
  flip(generation(last_generation_), store::kGenerationHeaderBytes + 60);
  if (check() == 0) GTEST_SKIP() << "one frame only, and it could be a torn one";
  expect_problem({generation(last_generation_) + " at byte 64"});
}

TEST_F(CheckTest, FindsADamagedHeaderOfAGeneration) {
  flip(generation(sealed_through_ + 2), 30);
  expect_problem({generation(sealed_through_ + 2), "the header is damaged"});
}

TEST_F(CheckTest, FindsThatAGenerationIsMissing) {
  fs::remove(data_ + "/" + generation(sealed_through_ + 2));
  expect_problem({generation(sealed_through_ + 2) + " is missing"});
}

TEST_F(CheckTest, FindsThatTheWholeLogIsMissing) {
  for (uint32_t i = 1; i <= last_generation_ + 1; ++i) fs::remove(data_ + "/" + generation(i));
  expect_problem({generation(sealed_through_ + 1) + " is missing"});
}

TEST_F(CheckTest, FindsACatalogThatForgotASealing) {
  for (uint32_t i = 1; i <= sealed_through_; ++i) fs::remove(data_ + "/" + generation(i));
  sql("UPDATE state SET sealed_through = sealed_through - 1");
  expect_problem({generation(sealed_through_) + " is missing"});
}

TEST_F(CheckTest, FindsThatSealedRecordsAreReplayedAgain) {
  sql("UPDATE state SET sealed_through = sealed_through - 1");
  if (!fs::exists(data_ + "/" + generation(sealed_through_))) GTEST_SKIP() << "removed already";
  expect_problem({generation(sealed_through_), "does not follow"});
}

TEST_F(CheckTest, FindsACatalogThatIsAheadOfItsLog) {
  sql("UPDATE state SET sealed_through = sealed_through + 1");
  expect_problem({generation(sealed_through_ + 1), "is not in the catalog"}, false);
  fs::remove(data_ + "/" + generation(sealed_through_ + 1));
  expect_problem({generation(sealed_through_ + 2), "does not follow"});
}

TEST_F(CheckTest, FindsAForkWhoseSourceDoesNotHoldItsBytes) {
  // The source's row as if it had never been.
  sql("DELETE FROM streams WHERE id = (SELECT min(id) FROM streams WHERE pinned)");
  expect_problem({"which is not there"}, false);
}

TEST_F(CheckTest, FindsADamagedPageOfTheCatalog) {
  const auto size = fs::file_size(data_ + "/catalog.db");
  for (uint64_t at = 4096; at + 4096 <= size; at += 4096) flip("catalog.db", at);
  expect_problem({"catalog.db: "}, false);
}

TEST_F(CheckTest, NamesFilesThatBelongToNobody) {
  std::ofstream(data_ + "/segments/notes.txt") << "mine";
  std::ofstream(data_ + "/segments/00000000000fffff.seg") << "left over";
  EXPECT_EQ(check(), 0) << out_;
  EXPECT_NE(out_.find("note: segments/notes.txt: does not belong here"), std::string::npos) << out_;
  EXPECT_NE(out_.find("note: segments/00000000000fffff.seg: not in the catalog"), std::string::npos)
      << out_;
  std::ofstream(data_ + "/log/notes.txt") << "mine";
  expect_problem({"log/notes.txt does not belong to a log"});
}

TEST(Check, RefusesWhatIsNoDataDirectory) {
  const fakes::TempDirectory temp;
  std::string error;
  const auto ignore = [](std::string_view) {};
  const auto keep = [&error](std::string_view text) { error += text; };
  EXPECT_EQ(check_data_directory(temp.file("none"), false, ignore, keep), 1);
  EXPECT_EQ(check_data_directory(temp.file("."), false, ignore, keep), 1);
  EXPECT_NE(error.find("there is no catalog.db in it"), std::string::npos);
  EXPECT_FALSE(fs::exists(temp.file("none")));
  EXPECT_FALSE(fs::exists(temp.file("LOCK")));
}

}  // namespace
}  // namespace ds::server
