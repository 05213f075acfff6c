#include "server/commands/segment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/segment/test_segment.h"

namespace ds::server {
namespace {

// What the command says about a file with these bytes.
class SegmentInspect : public testing::Test {
 protected:
  SegmentInspect()
      : path_(testing::TempDir() + "/segment_test." + std::to_string(::getpid()) + ".seg"),
        whole_(segment::write_segment(segment::small_segment()).bytes) {}
  ~SegmentInspect() override { std::filesystem::remove(path_); }

  int inspect(const std::string& bytes, bool with_messages = false) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return inspect_path(path_, with_messages);
  }

  int inspect_path(const std::string& path, bool with_messages = false) {
    out_.clear();
    error_.clear();
    return inspect_segment(
        path, with_messages, [this](std::string_view text) { out_ += text; },
        [this](std::string_view text) { error_ += text; });
  }

  std::string complaint(const std::string& what) const {
    return "durable-streams: " + path_ + ": " + what + "\n";
  }

  std::string damaged_at(size_t at) const {
    std::string bytes = whole_;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  }

  std::string path_;
  std::string whole_;
  std::string out_;
  std::string error_;
};

TEST_F(SegmentInspect, TellsWhatASegmentHolds) {
  EXPECT_EQ(inspect(whole_), 0);
  EXPECT_EQ(out_,
            "version 1, 157 bytes: data 10, message lists 16, heads 67, trailer 64\n"
            "stream 1751328000000000 [0, 5): 2 messages in 1 block, "
            "newest 2025-07-01T00:00:00.120Z, data at 0, head at 26\n"
            "stream 1751328000000007 [4096, 4101): 1 message in 1 block, "
            "newest 2025-07-01T00:00:00.200Z, data at 5, head at 59\n"
            "2 extents, 2 blocks, 3 messages: intact\n");
  EXPECT_EQ(error_, "");
}

TEST_F(SegmentInspect, TellsOfEachMessageIfAsked) {
  EXPECT_EQ(inspect(whole_, true), 0);
  EXPECT_NE(out_.find("  message [0, 2) 2025-07-01T00:00:00.123Z\n"
                      "  message [2, 5) 2025-07-01T00:00:00.120Z\n"),
            std::string::npos)
      << out_;
}

TEST_F(SegmentInspect, NamesWhatIsDamagedAndGoesOn) {
  EXPECT_EQ(inspect(damaged_at(1)), 1);
  EXPECT_NE(out_.find("damaged: bytes [0, 5): data of stream 1751328000000000 at [0, 5)\n"),
            std::string::npos)
      << out_;
  EXPECT_NE(out_.find("stream 1751328000000007 [4096, 4101)"), std::string::npos) << out_;
  EXPECT_NE(out_.find("2 extents, 2 blocks, 3 messages: 1 place damaged\n"), std::string::npos);

  EXPECT_EQ(inspect(damaged_at(20), true), 1);
  EXPECT_NE(out_.find("damaged: bytes [19, 26): message list of stream 1751328000000007 at "
                      "[4096, 4101)\n"),
            std::string::npos)
      << out_;

  EXPECT_EQ(inspect(damaged_at(60)), 1);
  EXPECT_NE(out_.find("damaged: bytes [59, 93): head of extent 2 of 2\n"), std::string::npos)
      << out_;
}

TEST_F(SegmentInspect, EveryByteThatChangesIsAnExitCode) {
  for (size_t at = 0; at < whole_.size(); ++at) EXPECT_EQ(inspect(damaged_at(at)), 1) << at;
}

TEST_F(SegmentInspect, SaysInOneSentenceWhatIsNoSegment) {
  EXPECT_EQ(inspect(""), 1);
  EXPECT_EQ(error_, complaint("is not a segment, or its end is missing"));
  EXPECT_EQ(inspect(std::string(1000, 'x')), 1);
  EXPECT_EQ(error_, complaint("is not a segment, or its end is missing"));
  EXPECT_EQ(inspect(whole_.substr(0, whole_.size() - 1)), 1);
  EXPECT_EQ(error_, complaint("is not a segment, or its end is missing"));
  EXPECT_EQ(inspect(damaged_at(whole_.size() - 1)), 1);
  EXPECT_EQ(error_, complaint("is a segment whose trailer, at byte 93, is damaged"));
  EXPECT_EQ(inspect(whole_.substr(1)), 1);
  EXPECT_EQ(error_, complaint("has 156 bytes, its trailer tells of 157"));
  EXPECT_EQ(out_, "");

  std::string other = whole_;
  const size_t trailer = other.size() - segment::kTrailerBytes;
  put_at<uint32_t>(other, trailer + 8, 2);
  const std::string_view bytes = std::string_view(other).substr(trailer);
  put_at<uint32_t>(other, trailer + 12, crc32c(bytes.substr(16), crc32c(bytes.substr(0, 12))));
  EXPECT_EQ(inspect(other), 1);
  EXPECT_EQ(error_, complaint("is a segment of version 2, this program knows version 1"));
}

TEST_F(SegmentInspect, SaysInOneSentenceWhatCanNotBeRead) {
  std::filesystem::remove(path_);
  EXPECT_EQ(inspect_path(path_), 1);
  EXPECT_EQ(error_, complaint("there is no such file"));
  EXPECT_EQ(inspect_path(testing::TempDir()), 1);
  EXPECT_EQ(error_,
            "durable-streams: " + testing::TempDir() + ": is not a file that can be read\n");
}

}  // namespace
}  // namespace ds::server
