// Sealed messages that are answered as a range of their file.
#include "core/base/stored_range.h"

#include <gtest/gtest.h>

#include "store/new_segments.h"
#include "store/sealed_reader.h"
#include "tests/fakes/faulty_disk.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

using ports::IoError;
using ports::IoStatus;
using segment::SealedChunk;
using segment::SealedRead;

constexpr Incarnation kStream{7};
constexpr int kDescriptor = 42;

// Files that one could send from, on a disk that is counted on.
class SendableFile final : public ports::File {
 public:
  struct System {
    bool cached = true;
    uint64_t bytes_read = 0;
  };
  SendableFile(std::unique_ptr<ports::File> file, System& system)
      : file_(std::move(file)), system_(system) {}

  IoStatus write_at(uint64_t position, std::span<const std::string_view> parts) override {
    return file_->write_at(position, parts);
  }
  IoStatus sync() override { return file_->sync(); }
  Result<uint64_t, IoError> read_at(uint64_t position, char* to, uint64_t size) const override {
    system_.bytes_read += size;
    return file_->read_at(position, to, size);
  }
  Result<uint64_t, IoError> read_uncached(uint64_t position, char* to,
                                          uint64_t size) const override {
    return file_->read_uncached(position, to, size);
  }
  Result<uint64_t, IoError> size() const override { return file_->size(); }
  IoStatus truncate(uint64_t size) override { return file_->truncate(size); }
  IoStatus reserve(uint64_t size) override { return file_->reserve(size); }
  int descriptor() const override { return kDescriptor; }
  bool is_cached(uint64_t, uint64_t) const override { return system_.cached; }

 private:
  std::unique_ptr<ports::File> file_;
  System& system_;
};

class SendableDirectory final : public ports::Directory {
 public:
  SendableDirectory(std::unique_ptr<ports::Directory> inner, SendableFile::System& system)
      : inner_(std::move(inner)), system_(system) {}

  Result<std::unique_ptr<ports::File>, IoError> open(const std::string& name, Open how) override {
    auto opened = inner_->open(name, how);
    if (!opened.ok()) return opened;
    return std::unique_ptr<ports::File>(
        std::make_unique<SendableFile>(std::move(*opened), system_));
  }
  Result<std::vector<std::string>, IoError> list() override { return inner_->list(); }
  IoStatus rename(const std::string& from, const std::string& to) override {
    return inner_->rename(from, to);
  }
  IoStatus remove(const std::string& name) override { return inner_->remove(name); }
  IoStatus sync() override { return inner_->sync(); }
  IoStatus lock(const std::string& name) override { return inner_->lock(name); }
  Result<std::unique_ptr<ports::Directory>, IoError> subdirectory(
      const std::string& name) override {
    return inner_->subdirectory(name);
  }

 private:
  std::unique_ptr<ports::Directory> inner_;
  SendableFile::System& system_;
};

struct StoredRangeTest : testing::Test {
  static constexpr uint64_t kMessageBytes = 1000;

  fakes::TempDirectory temp;
  fakes::FaultyDisk disk;
  SendableFile::System system;
  SendableDirectory directory{disk.root(), system};
  std::unique_ptr<Catalog> catalog =
      std::move(Catalog::open(temp.file("catalog.db"), Catalog::Mode::kReadWrite)).value();
  SegmentFiles files{directory};
  std::string problem;

  // Message i holds the letter i mod 26.
  uint64_t add_segment(uint64_t first, uint64_t count) {
    CatalogState state = *catalog->state();
    NewSegments made(directory, state.next_segment);
    auto output = std::move(made.create(0, false)).value();
    output->begin_extent(kStream, Position{first * kMessageBytes});
    for (uint64_t i = first; i < first + count; ++i) {
      output->add_message(std::string(kMessageBytes, static_cast<char>('a' + i % 26)), i);
    }
    output->end_extent();
    EXPECT_FALSE(output->finish().has_value());
    EXPECT_FALSE(made.sync().has_value());
    made.keep();
    state.next_segment = made.next_id();
    EXPECT_TRUE(catalog->begin().ok());
    EXPECT_FALSE(apply_segment(*catalog, state, *output).has_value());
    EXPECT_TRUE(catalog->finish().ok());
    return output->segment().id;
  }
  Result<SealedChunk, SealedReadError> read(uint64_t from, uint64_t to, uint64_t chunk_bytes,
                                            bool may_stay_stored = true) {
    SealedRead what;
    what.pieces = {{kStream, Position{from}, Position{to}}};
    what.max_chunk_bytes = chunk_bytes;
    what.may_stay_stored = may_stay_stored;
    system.bytes_read = 0;
    return read_sealed(*catalog, files, what, &problem);
  }
  std::string bytes_of(const StoredRange& range, uint64_t segment) {
    return disk.contents(segment_name(segment)).substr(range.offset, range.bytes);
  }
};

TEST_F(StoredRangeTest, IsWhatWouldHaveBeenRead) {
  const uint64_t id = add_segment(0, 1000);
  for (const uint64_t from : {uint64_t{0}, uint64_t{1000}, uint64_t{123456}, uint64_t{900000}}) {
    auto copied = read(from, 1000000, 200000, false);
    auto stored = read(from, 1000000, 200000);
    ASSERT_TRUE(copied.ok() && stored.ok()) << problem;
    ASSERT_NE(stored->stored, nullptr) << from;
    EXPECT_EQ(stored->bytes, nullptr);
    EXPECT_EQ(stored->stored->descriptor, kDescriptor);
    EXPECT_EQ(stored->begin, copied->begin);
    EXPECT_EQ(stored->end, copied->end);
    EXPECT_EQ(stored->ends, copied->ends);
    EXPECT_EQ(stored->newest_ms, copied->newest_ms);
    EXPECT_EQ(bytes_of(*stored->stored, id), *copied->bytes) << from;
  }
}

TEST_F(StoredRangeTest, OnlyOfOneFileAndOnlyIfItIsLarge) {
  add_segment(0, 300);
  add_segment(300, 300);
  EXPECT_EQ(read(0, 600000, 1 << 20)->stored, nullptr) << "two extents";
  EXPECT_EQ(read(0, 600000, 1 << 20)->bytes->size(), 600000u);
  EXPECT_NE(read(0, 600000, 200000)->stored, nullptr);
  EXPECT_EQ(read(0, 600000, 60000)->stored, nullptr) << "small";
  EXPECT_EQ(read(0, 600000, 200000, false)->stored, nullptr) << "not wanted";
}

TEST_F(StoredRangeTest, IsCheckedOnceAsLongAsTheSystemKeepsItInMemory) {
  const uint64_t id = add_segment(0, 1000);
  ASSERT_NE(read(0, 1000000, 500000)->stored, nullptr);
  EXPECT_GE(system.bytes_read, 500000u);
  ASSERT_NE(read(0, 1000000, 500000)->stored, nullptr);
  EXPECT_LT(system.bytes_read, 100000u);
  // Damage in a block that was intact is found when it is read from the medium again.
  disk.flip_bit(segment_name(id), 70000, 2);
  system.cached = false;
  const auto damaged = read(0, 1000000, 500000);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error(), SealedReadError::kCorrupt);
  EXPECT_NE(problem.find("messages are damaged"), std::string::npos) << problem;
  disk.flip_bit(segment_name(id), 70000, 2);
  EXPECT_TRUE(read(0, 1000000, 500000).ok());
}

TEST_F(StoredRangeTest, TrustInABlockEnds) {
  const uint64_t id = add_segment(0, 200);
  ASSERT_TRUE(read(0, 200000, 1 << 20).ok());
  disk.flip_bit(segment_name(id), 70000, 2);
  int reads = 0;
  while (reads <= CheckedHead::kTrustedReads && read(0, 200000, 1 << 20).ok()) ++reads;
  EXPECT_EQ(reads, CheckedHead::kTrustedReads);
}

TEST_F(StoredRangeTest, KeepsItsFileOpen) {
  const uint64_t id = add_segment(0, 200);
  const auto chunk = read(0, 200000, 1 << 20);
  ASSERT_TRUE(chunk.ok());
  const std::weak_ptr<const void> file = chunk->stored->file;
  files.forget(id);
  EXPECT_FALSE(file.expired());
}

}  // namespace
}  // namespace ds::store
