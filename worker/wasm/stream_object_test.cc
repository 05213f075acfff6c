#include "worker/wasm/stream_object.h"

#include <gtest/gtest.h>

#include "worker/wasm/test_world.h"

namespace ds::worker {
namespace {

constexpr const char* kText = "content-type:text/plain\n";
constexpr const char* kPath = "_default/s";

// Reads all of a stream, chunk by chunk; "!" and the status if a read fails.
std::string read_all(TestWorld& world, const std::string& path, std::string offset = "-1") {
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const TestAnswer answer = world.send(path, "GET", "offset=" + offset);
    if (answer.status != 200) return all + "!" + std::to_string(answer.status);
    all += answer.body;
    if (!answer.header("Stream-Up-To-Date").empty()) return all;
    offset = answer.header("Stream-Next-Offset");
  }
  return all + "!endless";
}

std::string message(int i) { return "message " + std::to_string(i) + ";"; }

TEST(StreamObject, WhatWasAnsweredIsThereAfterEveryEviction) {
  TestWorld world(test_options());
  ASSERT_EQ(world.send(kPath, "PUT", "", kText).status, 201);
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(world.send(kPath, "POST", "", kText, message(i)).status, 204) << i;
    expected += message(i);
    if (i % 3 == 0) world.evict(kPath);
    ASSERT_EQ(read_all(world, kPath), expected) << i;
  }
}

TEST(StreamObject, AProducersRetryIsRecognisedAfterAnEviction) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", kText);
  std::string first;
  for (int i = 0; i < 9; ++i) {
    const std::string headers =
        std::string(kText) + "producer-id:p\nproducer-epoch:0\nproducer-seq:" + std::to_string(i) +
        "\n";
    const TestAnswer answer = world.send(kPath, "POST", "", headers, message(i));
    ASSERT_EQ(answer.status, 200);
    if (i == 5) first = answer.header("Stream-Next-Offset");
  }
  world.evict(kPath);
  const TestAnswer again =
      world.send(kPath, "POST", "",
                 std::string(kText) + "producer-id:p\nproducer-epoch:0\nproducer-seq:5\n", "x");
  EXPECT_EQ(again.status, 204);
  EXPECT_EQ(again.header("Stream-Next-Offset"), first);
}

TEST(StreamObject, ARecordThatIsSpreadOverRowsIsReadBackWhole) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", kText);
  const std::string large(100000, 'x');
  ASSERT_EQ(world.send(kPath, "POST", "", kText, large).status, 204);
  world.evict(kPath);
  EXPECT_EQ(read_all(world, kPath), large);
}

TEST(StreamObject, WithoutRoomNothingIsStoredAndReadsGoOn) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", kText);
  world.send(kPath, "POST", "", kText, "kept");
  world.storage(kPath).full = true;
  EXPECT_EQ(world.send(kPath, "POST", "", kText, "lost").status, 507);
  EXPECT_EQ(read_all(world, kPath), "kept");
  world.storage(kPath).full = false;
  EXPECT_EQ(world.send(kPath, "POST", "", kText, " more").status, 204);
  EXPECT_EQ(read_all(world, kPath), "kept more");
}

TEST(StreamObject, PastItsQuotaOnlyWhatGivesRoomIsTaken) {
  Options options = test_options();
  options.storage_bytes_max = 200000;
  TestWorld world(options);
  world.send(kPath, "PUT", "", kText);
  ASSERT_EQ(world.send(kPath, "POST", "", kText, std::string(300000, 'x')).status, 204);
  EXPECT_EQ(world.send(kPath, "POST", "", kText, "y").status, 507);
  world.evict(kPath);
  EXPECT_EQ(world.send(kPath, "POST", "", kText, "y").status, 507);
  EXPECT_EQ(world.send(kPath, "POST", "", "stream-closed:true\n").status, 204);
  EXPECT_EQ(world.send(kPath, "DELETE").status, 204);
}

TEST(StreamObject, AStreamThatIsDeletedLeavesOneRowAndComesBackUnderANewLife) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", kText);
  for (int i = 0; i < 20; ++i) world.send(kPath, "POST", "", kText, message(i));
  const std::string before = world.send(kPath, "HEAD").header("Stream-Next-Offset");
  ASSERT_EQ(world.send(kPath, "DELETE").status, 204);
  EXPECT_TRUE(world.storage(kPath).rows.empty());
  EXPECT_LE(world.storage(kPath).facts.size(), 2u);
  world.evict(kPath);
  EXPECT_EQ(world.send(kPath, "GET").status, 404);
  // Even if the clock has been set back meanwhile.
  world.now = Instant{1600000000000000};
  world.evict(kPath);
  ASSERT_EQ(world.send(kPath, "PUT", "", kText).status, 201);
  EXPECT_GT(world.send(kPath, "HEAD").header("Stream-Next-Offset").substr(0, 16),
            before.substr(0, 16));
  EXPECT_EQ(world.send(kPath, "GET", "offset=" + before).status, 410);
}

TEST(StreamObject, AnExpiredStreamIsRemovedByItsAlarmThoughNobodyAsks) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", std::string(kText) + "stream-ttl:100\n", "body");
  world.evict(kPath);
  world.pass(seconds(99));
  EXPECT_FALSE(world.storage(kPath).rows.empty());
  world.evict(kPath);
  world.pass(seconds(60));
  EXPECT_TRUE(world.storage(kPath).rows.empty());
  EXPECT_EQ(world.send(kPath, "GET").status, 404);
}

TEST(StreamObject, AStreamCreatedWhereAnotherHasJustExpiredKeepsItsFirstMessage) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", std::string(kText) + "stream-ttl:10\n", "old");
  for (int i = 0; i < 6; ++i) world.send(kPath, "POST", "", kText, message(i));
  world.now = world.now + seconds(60);
  ASSERT_EQ(world.send(kPath, "PUT", "", kText, "new").status, 201);
  EXPECT_EQ(read_all(world, kPath), "new");
  world.evict(kPath);
  EXPECT_EQ(read_all(world, kPath), "new");
  EXPECT_EQ(world.send(kPath, "POST", "", kText, "er").status, 204);
  EXPECT_EQ(read_all(world, kPath), "newer");
}

TEST(StreamObject, HistoryInObjectsIsReadAsItWasAndItsRowsGo) {
  Options options = test_options();
  options.seal_bytes = 400;
  TestWorld world(options);
  world.send(kPath, "PUT", "", kText);
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(world.send(kPath, "POST", "", kText, message(i)).status, 204);
    expected += message(i);
    world.settle();
    if (i % 50 == 49) world.evict(kPath);
  }
  EXPECT_GT(world.objects.size(), 3u);
  EXPECT_LT(world.storage(kPath).rows.size(), 60u);
  EXPECT_EQ(read_all(world, kPath), expected);
  // From inside a message of history: that message is whole.
  const std::string life = world.send(kPath, "HEAD").header("Stream-Next-Offset").substr(0, 17);
  EXPECT_TRUE(
      world.send(kPath, "GET", "offset=" + life + "0000000000000003").body.starts_with(message(0)));
  ASSERT_EQ(world.send(kPath, "DELETE").status, 204);
  world.pass(seconds(60));
  EXPECT_TRUE(world.objects.empty());
}

TEST(StreamObject, AnObjectWhoseMakerDiedIsNotForgotten) {
  Options options = test_options();
  options.seal_bytes = 100;
  TestWorld world(options);
  world.send(kPath, "PUT", "", kText);
  for (int i = 0; i < 30; ++i) {
    const uint64_t id = world.submit(kPath, "POST", "", kText, message(i));
    ASSERT_EQ(world.take(id).status, 204);
    if (i % 2 == 0) world.settle();
    world.kill(kPath);
  }
  world.settle();
  EXPECT_FALSE(world.objects.empty());
  world.send(kPath, "DELETE");
  world.pass(seconds(120));
  EXPECT_TRUE(world.objects.empty());
}

TEST(StreamObject, ADamagedObjectIsAnErrorForItsRangeAlone) {
  Options options = test_options();
  options.seal_bytes = 300;
  TestWorld world(options);
  world.send(kPath, "PUT", "", kText);
  for (int i = 0; i < 60; ++i) {
    world.send(kPath, "POST", "", kText, message(i));
    world.settle();
  }
  world.objects.begin()->second[5] ^= 1;
  EXPECT_EQ(world.send(kPath, "GET", "offset=-1").status, 500);
  EXPECT_EQ(world.send(kPath, "GET", "offset=now").status, 200);
}

TEST(StreamObject, RetentionDropsWholeParts) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", std::string(kText) + "stream-max-bytes:100\n");
  for (int i = 0; i < 100; ++i) world.send(kPath, "POST", "", kText, message(i));
  const std::string rest = read_all(world, kPath);
  EXPECT_TRUE(rest.ends_with(message(99)));
  EXPECT_GE(rest.size(), 100u);
  EXPECT_LT(rest.size(), 300u);
  EXPECT_LT(world.storage(kPath).rows.size(), 30u);
  world.evict(kPath);
  EXPECT_EQ(read_all(world, kPath), rest);
}

TEST(StreamObject, EveryReaderGetsEveryEventOnceThoughTheObjectIsEvictedBetweenThem) {
  TestWorld world(test_options());
  world.send(kPath, "PUT", "", kText);
  world.send(kPath, "POST", "", kText, message(0));
  std::vector<uint64_t> readers;
  for (int i = 0; i < 10; ++i) {
    readers.push_back(world.submit(kPath, "GET", "offset=-1&live=sse"));
    world.settle();
  }
  std::string expected;
  for (int i = 1; i < 40; ++i) {
    world.evict(kPath);
    world.send(kPath, "POST", "", kText, message(i));
    world.settle();
  }
  for (const uint64_t id : readers) {
    const std::string& got = world.reader(id).received;
    size_t at = 0;
    for (int i = 0; i < 40; ++i) {
      at = got.find("data:" + message(i), at);
      ASSERT_NE(at, std::string::npos) << i;
      EXPECT_EQ(got.find("data:" + message(i), at + 1), std::string::npos) << i;
    }
    EXPECT_FALSE(world.reader(id).ended);
  }
  EXPECT_FALSE(world.doubled());
  world.evict(kPath);
  world.send(kPath, "POST", "", "stream-closed:true\n");
  for (const uint64_t id : readers) EXPECT_TRUE(world.reader(id).ended);
}

TEST(StreamObject, AnAppendWritesOneRowAndACheckpointTwoMoreNowAndThen) {
  Options options = test_options();
  options.checkpoint_ops = 256;
  TestWorld world(options);
  world.send(kPath, "PUT", "", kText);
  const uint64_t before = world.storage(kPath).rows_written;
  for (int i = 0; i < 1024; ++i) world.send(kPath, "POST", "", kText, "x");
  // Per checkpoint: the snapshot and the part; once, where history begins.
  EXPECT_EQ(world.storage(kPath).rows_written - before, 1024u + 4 * 2 + 1);
}

}  // namespace
}  // namespace ds::worker
