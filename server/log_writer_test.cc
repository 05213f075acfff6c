#include "server/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ds::server {
namespace {

std::string lost_line(uint64_t lines) { return "lost " + std::to_string(lines) + "\n"; }

class LogWriterTest : public ::testing::Test {
 protected:
  LogWriterTest() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
  ~LogWriterTest() override {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
  // Everything up to the end of the pipe, which comes once all writers are gone.
  std::vector<std::string> read_lines() {
    ::close(std::exchange(ends[1], -1));
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
    std::vector<std::string> lines;
    for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
      lines.push_back(text.substr(at, end - at));
    }
    return lines;
  }
  // A pipe that is full with its first line.
  void make_small() { ::fcntl(ends[1], F_SETPIPE_SZ, 4096); }
  int ends[2] = {-1, -1};
};

TEST_F(LogWriterTest, LinesComeOutInOrderAndAllOfThemByTheEnd) {
  std::vector<std::string> wanted;
  {
    LogWriter writer(ends[1], 1 << 20, lost_line);
    for (int i = 0; i < 20; ++i) {
      wanted.push_back("line " + std::to_string(i));
      writer.put(wanted.back() + "\n");
    }
  }
  EXPECT_EQ(read_lines(), wanted);
}

TEST_F(LogWriterTest, APipeThatNobodyReadsHoldsNobodyUpAndLosesTheOldestLines) {
  constexpr int kLines = 10000;
  make_small();
  auto writer = std::make_unique<LogWriter>(ends[1], 2000, lost_line);
  for (int i = 0; i < kLines; ++i) writer->put("line " + std::to_string(i) + "\n");
  // Only now somebody reads, until there is nothing more.
  std::thread ending([&] { writer.reset(); });
  std::string text;
  char buffer[4096];
  const std::string last = "line " + std::to_string(kLines - 1) + "\n";
  while (!text.ends_with(last)) {
    const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
    ASSERT_GT(n, 0);
    text.append(buffer, static_cast<size_t>(n));
  }
  ending.join();
  // Every line is there, or counted where it is missing.
  int next = 0;
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string line = text.substr(at, end - at);
    if (line.starts_with("lost ")) {
      next += std::stoi(line.substr(5));
    } else {
      EXPECT_EQ(line, "line " + std::to_string(next++));
    }
  }
  EXPECT_EQ(next, kLines);
  EXPECT_NE(text.find("lost "), std::string::npos);
}

TEST_F(LogWriterTest, ItEndsAlthoughNobodyReads) {
  make_small();
  LogWriter writer(ends[1], 1 << 20, lost_line);
  for (int i = 0; i < 1000; ++i) writer.put("a line that nobody will ever read\n");
}

TEST_F(LogWriterTest, ABrokenPipeIsNoMatter) {
  ::close(std::exchange(ends[0], -1));
  LogWriter writer(ends[1], 1 << 20, lost_line);
  writer.put("line\n");
}

}  // namespace
}  // namespace ds::server
