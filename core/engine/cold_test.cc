// Streams that leave the memory and come back: nobody can tell.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/engine/test_cold.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;
using When = TestHost::When;

class Cold : public ColdTest {
 protected:
  using ColdTest::ColdTest;
};

// --- Leaving ------------------------------------------------------------------------------------

TEST_F(Cold, AStreamThatIsWhollySealedAndUnusedLeavesTheMemory) {
  host.ask(put("p/s", "text/plain", "one"));
  host.advance(seconds(60));
  EXPECT_EQ(in_memory(), 1u) << "it is only in the log";
  host.rotate();
  host.ask(post("p/s", " two"));
  EXPECT_TRUE(host.seal());
  host.advance(seconds(60));
  EXPECT_EQ(in_memory(), 1u) << "its newest message is only in the log";
  host.rotate();
  EXPECT_TRUE(host.seal());
  host.advance(seconds(2));
  EXPECT_EQ(in_memory(), 0u);
  EXPECT_EQ(host.engine().stats().evictions, 1u);
  EXPECT_EQ(host.log_records(), 0u);
  EXPECT_EQ(host.read("p/s"), "one two");
  EXPECT_EQ(host.engine().stats().finds, 1u);
}

TEST_F(Cold, AStreamWithAReaderStaysUntilItLeaves) {
  host.ask(put("p/poll"));
  host.ask(put("p/sse"));
  const uint64_t polling = host.send(poll("p/poll", "now"));
  const uint64_t events = host.send(sse("p/sse", "now"));
  host.make_cold();
  EXPECT_EQ(in_memory(), 2u);
  EXPECT_TRUE(host.waits(polling));
  host.advance(seconds(30));
  EXPECT_EQ(host.status(polling), 204);
  host.advance(seconds(2));
  EXPECT_EQ(in_memory(), 1u);
  host.disconnect(events);
  host.advance(seconds(2));
  EXPECT_EQ(in_memory(), 0u);
}

TEST_F(Cold, AStreamWithAPendingOpStaysWhateverBecomesOfIt) {
  for (const bool fails : {true, false}) {
    SCOPED_TRACE(fails);
    const std::string path = fails ? "p/fails" : "p/succeeds";
    host.ask(put(path, "text/plain", "one"));
    host.seal_all();
    host.commits = When::kByHand;
    const uint64_t append = host.send(post(path, " two"));
    host.advance(seconds(60));
    EXPECT_EQ(in_memory(), 1u);
    host.commit(0, fails ? CommitOutcome::kFailed : CommitOutcome::kDurable);
    host.commits = When::kAtOnce;
    EXPECT_EQ(host.status(append), fails ? 503 : 204);
    host.advance(seconds(60));
    EXPECT_EQ(in_memory(), fails ? 0u : 1u);
    make_cold();
    EXPECT_EQ(host.read(path), fails ? "one" : "one two");
    make_cold();
  }
}

TEST_F(Cold, AStreamWithAReadUnderWayStays) {
  host.ask(put("p/s", "text/plain", "one"));
  make_cold();
  host.loads = When::kByHand;
  const uint64_t read = host.send(get("p/s"));
  host.advance(seconds(60));
  EXPECT_EQ(in_memory(), 1u);
  host.load();
  EXPECT_EQ(host.body(read), "one");
  host.advance(seconds(2));
  EXPECT_EQ(in_memory(), 0u);
}

TEST_F(Cold, WhoHasBeenUsedStaysForAWhile) {
  EngineConfig config = cold_config();
  config.evict_after = seconds(10);
  TestHost slow(config);
  slow.ask(put("p/s", "text/plain", "one"));
  slow.seal_all();
  slow.advance(seconds(20));
  EXPECT_EQ(slow.engine().stats().streams, 0u);
  // By any request, be it only a look.
  for (const Request& use : {get("p/s"), head("p/s"), put("p/s"), post("p/s", "[", "text/html")}) {
    slow.ask(use);
    slow.advance(seconds(9));
    EXPECT_EQ(slow.engine().stats().streams, 1u);
    slow.advance(seconds(2));
    EXPECT_EQ(slow.engine().stats().streams, 0u);
  }
}

TEST_F(Cold, WhenMemoryIsScarceEverythingIdleLeavesAndTheCacheShrinks) {
  EngineConfig config = cold_config();
  config.evict_after = seconds(3600);
  config.memory_bytes = 64 << 10;
  TestHost small(config);
  const std::string message(1000, 'x');
  for (int i = 0; i < 200; ++i) small.ask(put("p/" + std::to_string(i), "text/plain", message));
  EXPECT_EQ(small.engine().stats().streams, 200u) << "they are only in the log";
  EXPECT_LE(small.engine().stats().cache_bytes, config.memory_bytes / 8);
  small.seal_all();
  small.advance(seconds(2));
  const Engine::Stats stats = small.engine().stats();
  EXPECT_LE(stats.memory_bytes, config.memory_bytes);
  EXPECT_GT(stats.streams, 0u) << "no more leave than have to";
  EXPECT_EQ(stats.evictions, 200u - stats.streams);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(small.read("p/" + std::to_string(i)), message);
}

TEST_F(Cold, WhatHasBeenSealedLeavesTheCache) {
  host.ask(put("p/s", "text/plain", "one"));
  host.rotate();
  host.ask(post("p/s", " two"));
  const uint64_t before = host.engine().stats().cache_bytes;
  host.seal();
  const uint64_t between = host.engine().stats().cache_bytes;
  EXPECT_LT(between, before);
  EXPECT_GT(between, 0u);
  EXPECT_EQ(host.read("p/s"), "one two");
  host.seal_all();
  EXPECT_EQ(host.engine().stats().cache_bytes, 0u);
}

TEST_F(Cold, AMillionStreamsWouldBeNoMoreThanTheirSum) {
  // What the estimate counts goes when the streams go.
  for (int i = 0; i < 50; ++i) {
    host.ask(put("p/" + std::to_string(i), "text/plain", "x"));
    host.ask(fork("p/f" + std::to_string(i), "p/" + std::to_string(i)));
  }
  EXPECT_GT(host.engine().stats().memory_bytes, 50u * 1000);
  make_cold();
  EXPECT_EQ(host.engine().stats().memory_bytes, 0u);
}

// --- Coming back --------------------------------------------------------------------------------

// Every answer, to the last header, is the one that a server gives which has everything in memory.
class Unnoticed : public ::testing::Test {
 protected:
  Unnoticed() : cold_(cold_config(), 2), plain_(EngineConfig(), 2) {}

  void expect_same(const Request& request) {
    SCOPED_TRACE(std::to_string(static_cast<int>(request.method)) + " " + request.path + "?" +
                 request.query);
    cold_.make_cold();
    plain_.advance(seconds(2));
    ASSERT_EQ(cold_.now(), plain_.now());
    EXPECT_EQ(answer_of(cold_, request), answer_of(plain_, request));
  }
  // All that its client sees at once.
  static std::string answer_of(TestHost& host, const Request& request) {
    const uint64_t id = host.send(request);
    if (!host.waits(id)) return seen(*host.answer(id));
    std::string out = "(waits)";
    if (host.is_sse(id)) out = seen(host.socket(id).head) + host.socket(id).all();
    host.disconnect(id);
    return out;
  }
  std::string tail(const std::string& path) { return plain_.tail(path); }

  TestHost cold_;
  TestHost plain_;
};

TEST_F(Unnoticed, EveryKindOfRequestFindsWhatWasThere) {
  for (const std::string type : {"text/plain", "application/json", "application/octet-stream"}) {
    SCOPED_TRACE(type);
    const bool json = type == "application/json";
    const std::string path = "p/" + type.substr(type.find('/') + 1);
    const auto append = [&](int n) {
      return post(path,
                  json ? "[1,{\"n\":" + std::to_string(n) + "}]" : "message " + std::to_string(n),
                  type);
    };
    expect_same(put(path, type));
    for (int i = 0; i < 3; ++i) expect_same(append(i));
    const std::string middle = tail(path);
    expect_same(append(3));
    expect_same(get(path));
    expect_same(get(path, "offset=-1"));
    expect_same(get(path, "offset=now"));
    expect_same(get(path, "offset=" + middle));
    expect_same(get(path, "offset=" + tail(path)));
    expect_same(get(path, "offset=0000000000000001_0000000000000001"));
    expect_same(head(path));
    for (const std::string& from : {std::string("-1"), middle, std::string("now"), tail(path)}) {
      expect_same(poll(path, from));
      expect_same(sse(path, from));
    }
    // Idempotent creation and its refusals.
    expect_same(put(path, type));
    expect_same(put(path, "text/html"));
    expect_same(put(path, type).ttl(5));
    expect_same(put(path, type).closing());
    // Refusals of writes.
    expect_same(post(path, "x", "text/html"));
    expect_same(append(4).if_match(middle));
    expect_same(append(5).if_match(tail(path)));
    expect_same(append(6).with(HeaderId::kStreamSeq, "b"));
    expect_same(append(7).with(HeaderId::kStreamSeq, "a"));
    expect_same(append(8).with(HeaderId::kStreamSeq, "c"));
    // Closing, and what comes after it.
    expect_same(append(9).closing());
    expect_same(append(10));
    expect_same(close(path));
    expect_same(get(path, "offset=" + middle));
    expect_same(poll(path, tail(path)));
    expect_same(sse(path, middle));
    expect_same(sse(path, tail(path)));
    expect_same(head(path));
    // The end, and a new beginning.
    expect_same(test::remove(path));
    expect_same(test::remove(path));
    expect_same(get(path));
    expect_same(put(path, "text/html", "x"));
    expect_same(get(path, "offset=" + middle));
    expect_same(get(path));
  }
}

TEST_F(Unnoticed, ProducersAreKnownWithTheirEpochsSequencesAndReceipts) {
  expect_same(put("p/s"));
  for (uint64_t seq = 0; seq < 40; ++seq) {
    expect_same(post("p/s", "message " + std::to_string(seq)).producer("w", 3, seq));
  }
  // Retries, recent and forgotten; a gap; those who were fenced, and who fences them.
  for (const uint64_t seq : {39u, 38u, 20u, 8u, 7u, 0u}) {
    expect_same(post("p/s", "again").producer("w", 3, seq));
  }
  expect_same(post("p/s", "gap").producer("w", 3, 41));
  expect_same(post("p/s", "old").producer("w", 2, 40));
  expect_same(post("p/s", "not zero").producer("w", 4, 1));
  expect_same(post("p/s", "next").producer("w", 4, 0));
  expect_same(post("p/s", "fenced").producer("w", 3, 40));
  expect_same(post("p/s", "another").producer("v", 0, 0));
  expect_same(post("p/s", "another").producer("v", 0, 1).closing());
  expect_same(post("p/s", "another").producer("v", 0, 1).closing());
  expect_same(post("p/s", "another").producer("v", 0, 2));
  expect_same(get("p/s"));
}

TEST_F(Unnoticed, SourcesAndForksAreKnownAsSuch) {
  expect_same(put("p/s", "text/plain", "one"));
  expect_same(post("p/s", " two"));
  const std::string middle = tail("p/s");
  expect_same(post("p/s", " three"));
  expect_same(fork("p/f", "p/s").at_offset(middle));
  expect_same(fork("p/f", "p/s").at_offset(middle));
  expect_same(fork("p/f", "p/s"));
  expect_same(fork("p/f", "p/s").at_offset(tail("p/s")));
  expect_same(fork("p/g", "p/f").at_offset(middle).sub_offset(1));
  expect_same(post("p/f", " four"));
  expect_same(fork("p/g", "p/f").at_offset(middle).sub_offset(1));
  expect_same(fork("p/h", "p/f").at_offset(middle).sub_offset(99));
  for (const char* path : {"p/f", "p/g"}) {
    expect_same(get(path));
    expect_same(head(path));
  }
  expect_same(test::remove("p/s"));
  expect_same(get("p/s"));
  expect_same(put("p/s"));
  expect_same(fork("p/h", "p/s"));
  expect_same(get("p/f"));
  expect_same(test::remove("p/f"));
  expect_same(get("p/g"));
  expect_same(test::remove("p/g"));
  for (const char* path : {"p/s", "p/f", "p/g"}) expect_same(get(path));
  cold_.make_cold();
  EXPECT_EQ(cold_.catalog().streams(), 0u);
  EXPECT_TRUE(cold_.catalog().open_pins().empty());
}

// --- Deletion -----------------------------------------------------------------------------------

TEST_F(Cold, ADeletedStreamDoesNotComeBackWhileItsEndIsNotSealed) {
  for (const int restarts : {0, 1, 2}) {
    SCOPED_TRACE(restarts);
    host.ask(put("p/s", "text/plain", "one"));
    make_cold();
    EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
    EXPECT_EQ(host.catalog().streams(), 1u) << "the catalog still knows it";
    for (int i = 0; i < restarts; ++i) host.restart(static_cast<uint32_t>(i + 1));
    EXPECT_EQ(host.ask_status(get("p/s")), 404);
    EXPECT_EQ(host.ask_status(post("p/s", "x")), 404);
    EXPECT_EQ(host.ask_status(fork("p/f", "p/s")), 404);
    host.rotate();
    host.ask(put("p/another"));
    EXPECT_EQ(host.ask_status(get("p/s")), 404);
    host.seal();
    EXPECT_EQ(host.catalog().streams(), 0u);
    EXPECT_EQ(host.ask_status(get("p/s")), 404);
    EXPECT_EQ(host.ask_status(test::remove("p/another")), 204);
    make_cold();
  }
}

TEST_F(Cold, ASoftDeletedStreamGoesWithItsLastForkThoughNeitherIsInMemory) {
  for (const bool restarts : {false, true}) {
    SCOPED_TRACE(restarts);
    host.ask(put("p/s", "text/plain", "one"));
    host.ask(fork("p/f", "p/s"));
    host.ask(test::remove("p/s"));
    make_cold();
    EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kStreamDeleted);
    make_cold();
    host.peers = When::kByHand;
    EXPECT_EQ(host.ask_status(test::remove("p/f")), 204);
    EXPECT_EQ(host.waiting_messages(), 1u);
    // Its release arrives, or is lost.
    host.peers = When::kAtOnce;
    restarts ? host.restart() : host.deliver_message();
    EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kNotFound);
    EXPECT_EQ(host.ask_status(put("p/s", "text/plain", "two")), 201);
    EXPECT_EQ(host.read("p/s"), "two");
    EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
    make_cold();
    EXPECT_EQ(host.catalog().streams(), 0u);
    EXPECT_TRUE(host.catalog().open_pins().empty());
  }
}

TEST_F(Cold, AReleaseThatWasLostIsMadeUpForWhereverItsForkWasSealed) {
  host.ask(put("p/s", "text/plain", "one"));
  host.ask(fork("p/f", "p/s"));
  make_cold();
  host.ask(test::remove("p/s"));
  host.peers = When::kByHand;
  EXPECT_EQ(host.ask_status(test::remove("p/f")), 204);
  host.seal_all();
  EXPECT_EQ(host.catalog().open_pins().size(), 1u);
  host.peers = When::kAtOnce;
  host.restart();
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kNotFound);
  make_cold();
  EXPECT_EQ(host.catalog().streams(), 0u);
  EXPECT_TRUE(host.catalog().open_pins().empty());
}

TEST_F(Cold, APinWhoseForkNeverCameToBeIsDroppedAtTheNextStart) {
  host.ask(put("p/s", "text/plain", "one"));
  host.peers = When::kByHand;
  host.send(fork("p/f", "p/s"));
  host.deliver_message();
  EXPECT_EQ(host.ops(OpType::kPin), 1);
  host.seal_all();
  host.advance(seconds(5));
  host.peers = When::kAtOnce;
  host.restart();
  EXPECT_EQ(host.ask_status(get("p/f")), 404);
  EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ds::engine
