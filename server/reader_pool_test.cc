#include "server/reader_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>

#include "server/http/file_twin.h"
#include "server/posix_file.h"
#include "tests/fakes/one_segment.h"
#include "tests/fakes/temp_directory.h"

namespace ds::server {
namespace {

using engine::LoadOutcome;
using segment::SealedChunk;

constexpr Incarnation kStream{7};

class Listener : public ReadListener {
 public:
  void on_load_end(uint64_t, LoadOutcome, SharedBytes) override {}
  void on_sealed_read_end(uint64_t, LoadOutcome outcome, SealedChunk chunk) override {
    EXPECT_EQ(outcome, LoadOutcome::kDone);
    chunk_.set_value(std::move(chunk));
  }
  void on_find_end(uint64_t, engine::Engine::Found, std::string) override {}
  SealedChunk wait() { return chunk_.get_future().get(); }

 private:
  std::promise<SealedChunk> chunk_;
};

struct ReaderPoolTest : testing::Test {
  static std::unique_ptr<store::OpLog> open_log(ports::Directory& directory) {
    store::OpLog::Recovery recovery;
    auto log = store::OpLog::open(
        directory, {store::kGenerationBytesMin}, [](std::string_view, LogPosition) { return true; },
        &recovery);
    EXPECT_TRUE(log.ok()) << (log.ok() ? "" : log.error().message);
    return std::move(log).value();
  }

  SealedChunk read(uint64_t from, uint64_t to) {
    Listener listener;
    engine::ReadSealed what;
    what.read.pieces = {{kStream, Position{from}, Position{to}}};
    what.read.max_chunk_bytes = 1 << 20;
    EXPECT_TRUE(pool.submit(listener, std::move(what)));
    return listener.wait();
  }

  fakes::TempDirectory temp;
  std::unique_ptr<ports::Directory> directory =
      std::move(open_posix_directory(temp.file("."))).value();
  std::unique_ptr<store::Catalog> catalog =
      std::move(store::Catalog::open(temp.file("catalog.db"), store::Catalog::Mode::kReadWrite))
          .value();
  std::unique_ptr<ports::Directory> log_directory =
      std::move(open_posix_directory(temp.file("log"))).value();
  std::unique_ptr<store::OpLog> log = open_log(*log_directory);
  store::SegmentFiles segments{*directory};
  MemoryBudget budget{100 << 20};
  ReaderPool pool{{*log, segments, temp.file("catalog.db")}, 1, 10, budget};
};

TEST_F(ReaderPoolTest, AChunkOfASegmentMaySoonBeSentFromItsFile) {
  const uint64_t id = fakes::add_segment(*catalog, *directory, kStream, 0, 300, 1000);
  const auto before = std::chrono::steady_clock::now();
  const SealedChunk chunk = read(500, 300000);
  const auto after = std::chrono::steady_clock::now();
  ASSERT_EQ(chunk.bytes->size(), 300000u) << "from the beginning of the first message";
  EXPECT_TRUE(is_charged(chunk.bytes));
  const FileTwinPtr twin = twin_of(chunk.bytes);
  ASSERT_NE(twin, nullptr);
  EXPECT_GT(twin->good_until, before);
  EXPECT_LE(twin->good_until, after + std::chrono::milliseconds(100));
  std::string there(chunk.bytes->size(), '\0');
  EXPECT_EQ(::pread(twin->descriptor, there.data(), there.size(), static_cast<off_t>(twin->offset)),
            static_cast<ssize_t>(there.size()));
  EXPECT_EQ(there, *chunk.bytes);
  EXPECT_FALSE(twin->file.expired());
  segments.forget(id);
  EXPECT_TRUE(twin->file.expired()) << "an answer holds no file that has been removed";
}

TEST_F(ReaderPoolTest, ASmallChunkIsSentFromMemory) {
  fakes::add_segment(*catalog, *directory, kStream, 0, 300, 1000);
  const SealedChunk chunk = read(299000, 300000);
  ASSERT_EQ(chunk.bytes->size(), 1000u);
  EXPECT_EQ(twin_of(chunk.bytes), nullptr);
}

}  // namespace
}  // namespace ds::server
