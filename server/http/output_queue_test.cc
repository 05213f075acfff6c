#include "server/http/output_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "tests/fakes/temp_directory.h"

namespace ds::server {
namespace {

class OutputQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    file = ::open(temp.file("stored").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    for (size_t i = 0; i < kFileBytes; ++i) content += static_cast<char>('a' + i % 26);
    ASSERT_EQ(::write(file, content.data(), content.size()), static_cast<ssize_t>(kFileBytes));
  }
  void TearDown() override {
    for (const int fd : {ends[0], ends[1], file}) ::close(fd);
  }
  StoredBytes range(uint64_t offset, uint64_t bytes) const {
    return std::make_shared<const StoredRange>(StoredRange{keep, file, offset, bytes});
  }
  // Sends all, in as many turns as a slow reader needs, and returns what arrived.
  std::string pass() {
    std::string got;
    char buffer[10000];
    bool progress = false;
    OutputQueue::Sent sent = OutputQueue::Sent::kBlocked;
    while (sent == OutputQueue::Sent::kBlocked) {
      sent = queue.send(ends[0], &progress);
      for (ssize_t n = 1; n > 0;) {
        n = ::recv(ends[1], buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) got.append(buffer, static_cast<size_t>(n));
      }
    }
    EXPECT_EQ(sent, OutputQueue::Sent::kAll);
    return got;
  }

  static constexpr size_t kFileBytes = 1 << 20;
  fakes::TempDirectory temp;
  std::shared_ptr<int> keep = std::make_shared<int>(0);
  int ends[2] = {-1, -1};
  int file = -1;
  std::string content;
  MemoryBudget budget{1000};
  AnswerMemory memory{budget};
  TextPool texts;
  OutputQueue queue{texts, memory};
};

TEST_F(OutputQueueTest, SendsTextMemoryAndFilesInOrder) {
  const std::string shared(5000, 's');
  queue.append_text("head ");
  queue.append_stored(range(0, 700000));
  queue.append_text("] head ");
  queue.append_shared(Slice(share(shared)));
  queue.append_stored(range(1000, 2000));
  queue.append_stored(range(kFileBytes - 1, 1));
  queue.append_text("end");
  const std::string expected = "head " + content.substr(0, 700000) + "] head " + shared +
                               content.substr(1000, 2000) + content.back() + "end";
  EXPECT_EQ(queue.bytes(), expected.size());
  EXPECT_TRUE(pass() == expected);
  EXPECT_TRUE(queue.empty());
}

TEST_F(OutputQueueTest, AFileInTheQueueTakesNoMemoryAndIsKeptUntilItIsSent) {
  queue.append_stored(range(0, kFileBytes));
  EXPECT_EQ(keep.use_count(), 2);
  queue.hold();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_TRUE(pass() == content);
  EXPECT_EQ(keep.use_count(), 1);
  queue.append_stored(range(0, kFileBytes));
  queue.clear();
  EXPECT_EQ(keep.use_count(), 1);
}

TEST_F(OutputQueueTest, AFileThatIsShorterThanItWasBreaksTheConnection) {
  queue.append_text("head");
  queue.append_stored(range(kFileBytes - 10, 20));
  bool progress = false;
  EXPECT_EQ(queue.send(ends[0], &progress), OutputQueue::Sent::kBroken);
}

}  // namespace
}  // namespace ds::server
