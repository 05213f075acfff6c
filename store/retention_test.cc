#include "store/retention.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/stream/snapshot.h"
#include "core/stream/state.h"
#include "tests/fakes/temp_directory.h"

namespace ds::store {
namespace {

constexpr Instant kNow{int64_t{1800000000} * 1000000};

uint64_t ms_ago(int64_t seconds_ago) {
  return static_cast<uint64_t>((kNow.us - seconds(seconds_ago).us) / 1000);
}

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() {
    auto opened = Catalog::open(directory_.file("catalog.db"), Catalog::Mode::kReadWrite);
    catalog_ = std::move(opened).value();
    state_.id = Incarnation{7};
    state_.path = "p/s";
    state_.path_hash = 11;
    state_.config.content_type = "text/plain";
    state_.lives = {{Position{0}, state_.id, false}};
  }

  // Extents of 100 bytes, by the age of their newest message in seconds, oldest first.
  void put(const std::vector<int64_t>& ages) {
    CatalogChange change;
    change.segments.push_back({1, 0, false, 10000, 10000, ages.size(), 0});
    uint64_t begin = state_.config.fork ? state_.config.fork->position.value : 0;
    for (const int64_t age : ages) {
      CatalogExtent& added = change.extents.emplace_back();
      added.segment = 1;
      added.extent.stream = state_.id;
      added.extent.begin = Position{begin};
      added.extent.end = Position{begin += 100};
      added.extent.newest_ms = ms_ago(age);
    }
    state_.writer.tail = Position{begin};
    CatalogStream& row = change.streams.emplace_back();
    row.id = state_.id;
    row.path = state_.path;
    stream::append_snapshot(row.snapshot, state_);
    row.trim_due = Instant{0};
    ASSERT_TRUE(catalog_->commit(change).ok());
  }

  // Where the stream is to begin; its tail and one more if it is left alone.
  Position earliest(Instant now = kNow) {
    size_t looked_at = 0;
    const auto trims = plan_trims(*catalog_, server_, now, 10, &looked_at);
    EXPECT_TRUE(trims.ok());
    looked_at_ = looked_at;
    if (trims->empty()) return kNothing;
    EXPECT_EQ(trims->front().stream, state_.id);
    EXPECT_EQ(trims->front().path_hash, state_.path_hash);
    return trims->front().earliest;
  }

  static constexpr Position kNothing{UINT64_MAX};
  fakes::TempDirectory directory_;
  std::unique_ptr<Catalog> catalog_;
  stream::StreamState state_;
  stream::Retention server_;
  size_t looked_at_ = 0;
};

TEST_F(RetentionTest, ExtentsBeyondTheSizeGoFromTheOldestOn) {
  state_.config.retention.max_bytes = 250;
  put({50, 40, 30, 20, 10});
  EXPECT_EQ(earliest(), Position{200}) << "what is left is at least what it keeps";
  EXPECT_EQ(earliest(), kNothing) << "asked for: it is looked at again in a while";
  EXPECT_EQ(looked_at_, 0u);
  EXPECT_EQ(earliest(kNow + seconds(61)), Position{200}) << "it was not done: asked for again";
}

TEST_F(RetentionTest, ExtentsThatAreTooOldGoAndTheNextOneIsWaitedFor) {
  state_.config.retention.max_age_seconds = 35;
  put({50, 40, 30, 20});
  EXPECT_EQ(earliest(), Position{200});
  state_.earliest = Position{200};
  CatalogChange change;
  CatalogStream& row = change.streams.emplace_back();
  row.id = state_.id;
  row.path = state_.path;
  stream::append_snapshot(row.snapshot, state_);
  row.known = true;
  row.trim_due = Instant{0};
  ASSERT_TRUE(catalog_->commit(change).ok());
  EXPECT_EQ(earliest(), kNothing);
  EXPECT_EQ(looked_at_, 1u);
  EXPECT_EQ(earliest(kNow + seconds(4)), kNothing);
  EXPECT_EQ(looked_at_, 0u) << "nothing to look at before the next one is due";
  EXPECT_EQ(earliest(kNow + seconds(5)), Position{300});
}

TEST_F(RetentionTest, TheStricterOfStreamAndServerCounts) {
  state_.config.retention.max_bytes = 300;
  server_.max_bytes = 100;
  put({50, 40, 30, 20});
  EXPECT_EQ(earliest(), Position{300});
}

TEST_F(RetentionTest, TheServersAloneCountsForAllOnceTheyAreDue) {
  put({50, 40, 30, 20});
  EXPECT_EQ(earliest(), kNothing);
  server_.max_age_seconds = 25;
  EXPECT_EQ(earliest(), kNothing);
  EXPECT_EQ(looked_at_, 0u);
  CatalogChange change;
  change.all_trims_due = true;
  ASSERT_TRUE(catalog_->commit(change).ok());
  EXPECT_EQ(earliest(), Position{300});
}

TEST_F(RetentionTest, AForkLetsGoOfAllThatItInheritedAtOnce) {
  state_.config.retention.max_bytes = 150;
  state_.config.fork =
      stream::ForkOrigin{Incarnation{3}, 5, "p/source", Position{40}, 0, Position{40}};
  state_.lives = {{Position{0}, Incarnation{3}, false}, {Position{40}, state_.id, false}};
  put({50, 40});
  EXPECT_EQ(earliest(), Position{40});
}

TEST_F(RetentionTest, AStreamThatIsDeletedForItsReadersIsLeftAlone) {
  state_.config.retention.max_bytes = 1;
  state_.soft_deleted = true;
  put({50, 40});
  EXPECT_EQ(earliest(), kNothing);
}

}  // namespace
}  // namespace ds::store
