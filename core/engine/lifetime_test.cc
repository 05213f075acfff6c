// Sliding and absolute lifetimes (PROTOCOL §4, §5.1).
#include <gtest/gtest.h>

#include <string>

#include "core/engine/test_host.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;

class Lifetimes : public ::testing::Test {
 protected:
  // Whether the stream is there, without renewing it.
  bool there(const std::string& path) { return host.ask_status(head(path)) == 200; }
  TestHost host;
};

TEST_F(Lifetimes, AStreamThatNobodyUsesExpires) {
  host.ask(put("p/s", "text/plain", "x").ttl(100));
  EXPECT_EQ(host.ask(head("p/s")).ttl_seconds, 100u);
  host.advance(milliseconds(99999));
  EXPECT_TRUE(there("p/s"));
  host.advance(milliseconds(1));
  EXPECT_EQ(host.engine().stats().streams, 0u) << "its expiry needs no request";
  EXPECT_EQ(host.engine().stats().expired_streams, 1u);
  EXPECT_EQ(host.ops(OpType::kExpire), 1);
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kNotFound);
  EXPECT_EQ(host.ask(head("p/s")).error, ErrorCode::kNotFound);
  EXPECT_EQ(host.ask(post("p/s", "y")).error, ErrorCode::kNotFound);
  EXPECT_EQ(host.ask(remove("p/s")).error, ErrorCode::kNotFound);
}

TEST_F(Lifetimes, EveryReadAndWriteRenewsButAHeadDoesNot) {
  const Request uses[] = {get("p/s"),
                          get("p/s", "offset=now"),
                          get("p/s").with(HeaderId::kIfNoneMatch, "*"),
                          post("p/s", "x"),
                          put("p/s").ttl(100),
                          poll("p/s", "-1"),
                          sse("p/s", "now"),
                          post("p/s", "x").with(HeaderId::kStreamSeq, "1"),
                          close("p/s")};
  host.ask(put("p/s", "text/plain", "x").ttl(100));
  for (const Request& use : uses) {
    host.advance(seconds(60));
    const uint64_t id = host.send(use);
    host.disconnect(id);
    host.advance(seconds(60));
    EXPECT_TRUE(there("p/s")) << use.query << static_cast<int>(use.method);
    host.send(get("p/s"));
  }
  host.advance(seconds(60));
  EXPECT_TRUE(there("p/s"));
  host.advance(seconds(60));
  EXPECT_FALSE(there("p/s"));
}

TEST_F(Lifetimes, AParkedReaderCountsAsAccess) {
  host.ask(put("p/s", "text/plain", "x").ttl(10));
  const uint64_t waiting = host.send(poll("p/s", host.tail("p/s")));
  host.advance(seconds(29));
  EXPECT_TRUE(host.waits(waiting));
  EXPECT_TRUE(there("p/s"));
  host.advance(seconds(1));
  EXPECT_EQ(host.status(waiting), 204);
  host.advance(seconds(11));
  EXPECT_FALSE(there("p/s"));
}

TEST_F(Lifetimes, AnAbsoluteEndIsNotPutOff) {
  host.ask(put("p/s", "text/plain", "x").with(HeaderId::kStreamExpiresAt, "2026-01-01T00:01:00Z"));
  EXPECT_EQ(host.ask(head("p/s")).expires_at, kStart + seconds(60));
  for (int i = 0; i < 59; ++i) {
    host.advance(seconds(1));
    EXPECT_EQ(host.ask_status(get("p/s")), 200);
  }
  EXPECT_EQ(host.ask_status(post("p/s", "x")), 204);
  host.advance(seconds(1));
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.ops(OpType::kTouch), 0);
}

TEST_F(Lifetimes, AnEndInThePastIsTheEnd) {
  EXPECT_EQ(
      host.ask_status(
          put("p/s", "text/plain", "x").with(HeaderId::kStreamExpiresAt, "2020-01-01T00:00:00Z")),
      201);
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.ask_status(put("p/z").ttl(0)), 201);
  EXPECT_EQ(host.ask_status(get("p/z")), 404);
  EXPECT_EQ(host.ask_status(put("p/z").ttl(0)), 201);
}

TEST_F(Lifetimes, APathThatExpiredHasANewLife) {
  const std::string old = text(*host.ask(put("p/s", "text/plain", "x").ttl(10)).next_offset);
  host.advance(seconds(11));
  const wire::Response again = host.ask(put("p/s", "text/plain", "y").ttl(20));
  EXPECT_EQ(again.status, 201);
  EXPECT_LT(old, text(*again.next_offset));
  const wire::Response read = host.ask(get("p/s", "offset=" + old));
  EXPECT_EQ(read.status, 410);
  EXPECT_EQ(read.error, ErrorCode::kOffsetGone);
  EXPECT_EQ(host.read("p/s"), "y");
}

TEST_F(Lifetimes, AnExpiryThatIsDueIsDecidedByTheNextRequest) {
  TestHost late;
  late.ask(put("p/s", "text/plain", "x").ttl(10));
  late.commits = TestHost::When::kByHand;
  late.pass(seconds(10));  // the timer is late
  const uint64_t read = late.send(get("p/s"));
  const uint64_t meta = late.send(head("p/s"));
  const uint64_t append = late.send(post("p/s", "y"));
  const uint64_t created = late.send(put("p/s", "application/json"));
  for (const uint64_t id : {read, meta, append, created}) {
    EXPECT_TRUE(late.waits(id)) << "no answer tells of an expiry that is not durable";
  }
  late.commit_all();
  EXPECT_EQ(late.error(read), ErrorCode::kNotFound);
  EXPECT_EQ(late.error(meta), ErrorCode::kNotFound);
  EXPECT_EQ(late.error(append), ErrorCode::kNotFound);
  EXPECT_EQ(late.status(created), 201);
  EXPECT_EQ(late.ops(OpType::kExpire), 1);
}

TEST_F(Lifetimes, AnExpiryThatCannotBeRecordedIsTriedAgain) {
  host.ask(put("p/s", "text/plain", "x").ttl(10));
  host.commits = TestHost::When::kByHand;
  host.advance(seconds(10));
  const uint64_t read = host.send(get("p/s"));
  ASSERT_TRUE(host.fail());
  EXPECT_EQ(host.status(read), 503);
  EXPECT_FALSE(host.engine().has_batch());
  host.advance(seconds(2));
  EXPECT_TRUE(host.engine().has_batch());
  host.commit();
  EXPECT_EQ(host.engine().stats().streams, 0u);
}

TEST_F(Lifetimes, AccessesAreRecordedCoarsely) {
  host.ask(put("p/s", "text/plain", "x").ttl(80000));
  for (int i = 0; i < 1000; ++i) {
    host.ask(get("p/s"));
    host.advance(seconds(36));
  }
  // 36,000 s of reads; recorded at most once an hour.
  EXPECT_GE(host.ops(OpType::kTouch), 9);
  EXPECT_LE(host.ops(OpType::kTouch), 10);
  host.ask(put("p/short", "text/plain", "x").ttl(8));
  const int before = host.ops(OpType::kTouch);
  for (int i = 0; i < 100; ++i) {
    host.ask(get("p/short"));
    host.advance(milliseconds(100));
  }
  EXPECT_GE(host.ops(OpType::kTouch) - before, 8);
  EXPECT_LE(host.ops(OpType::kTouch) - before, 10);
}

TEST_F(Lifetimes, AppendsNeedNoRecordOfTheirOwn) {
  host.ask(put("p/s", "text/plain", "x").ttl(8));
  for (int i = 0; i < 100; ++i) {
    host.ask(post("p/s", "y"));
    host.advance(seconds(1));
  }
  EXPECT_EQ(host.ops(OpType::kTouch), 0);
  EXPECT_TRUE(there("p/s"));
}

TEST_F(Lifetimes, ARepeatedAppendRenewsForGood) {
  host.ask(put("p/s", "text/plain", "x").ttl(80));
  host.ask(post("p/s", "y").producer("w", 0, 0));
  for (int i = 0; i < 10; ++i) {
    host.advance(seconds(40));
    EXPECT_EQ(host.ask_status(post("p/s", "y").producer("w", 0, 0)), 204);
  }
  host.restart();
  EXPECT_TRUE(there("p/s"));
}

TEST_F(Lifetimes, ARefusalDoesNotRenew) {
  host.ask(put("p/s", "text/plain", "x").ttl(80));
  host.advance(seconds(79));
  EXPECT_EQ(host.ask_status(post("p/s", "{}", "application/json")), 409);
  host.advance(seconds(1));
  EXPECT_FALSE(there("p/s"));
}

TEST_F(Lifetimes, ARestartNeitherExpiresEarlyNorResurrects) {
  host.ask(put("p/s", "text/plain", "x").ttl(800));
  host.advance(seconds(99));
  host.ask(get("p/s"));  // too soon after the last record to be put on record itself
  EXPECT_EQ(host.ops(OpType::kTouch), 0);
  host.advance(seconds(799));
  host.restart();
  EXPECT_TRUE(there("p/s")) << "its last access is 799 s ago";
  host.advance(seconds(2));
  EXPECT_FALSE(there("p/s"));
  host.restart();
  EXPECT_FALSE(there("p/s"));
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
}

TEST_F(Lifetimes, AnAccessWhileTheClockIsSetBackDoesNotShortenALife) {
  constexpr Duration kBack = seconds(3600);
  for (const Request& use : {post("p/s", "y"), get("p/s")}) {
    host.ask(put("p/s", "text/plain", "x").ttl(800));
    host.pass(Duration{-kBack.us});
    host.restart();
    EXPECT_LT(host.ask_status(use), 300);
    host.pass(kBack);
    EXPECT_TRUE(there("p/s"));
    host.restart();
    EXPECT_TRUE(there("p/s"));
  }
}

TEST_F(Lifetimes, WhatExpiredDuringADowntimeIsGoneAfterwards) {
  host.ask(put("p/s", "text/plain", "x").ttl(800));
  host.ask(put("p/d").with(HeaderId::kStreamExpiresAt, "2026-01-01T00:10:00Z"));
  auto later = host.twin(2);
  later->advance(seconds(601));
  EXPECT_EQ(later->ask_status(get("p/d")), 404);
  EXPECT_EQ(later->ask_status(head("p/s")), 200);
  later->advance(seconds(300));
  EXPECT_EQ(later->ask_status(head("p/s")), 404);
}

TEST_F(Lifetimes, AnExpiredSourceOfForksIsKeptForThem) {
  host.ask(put("p/s", "text/plain", "x").ttl(10));
  EXPECT_EQ(host.ask_status(fork("p/f", "p/s").ttl(1000)), 201);
  host.advance(seconds(11));
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kStreamDeleted);
  EXPECT_EQ(host.ask(get("p/s")).status, 410);
  EXPECT_EQ(host.ask(head("p/s")).status, 410);
  EXPECT_EQ(host.ask(put("p/s")).error, ErrorCode::kPathHeld);
  EXPECT_EQ(host.ask(put("p/s").ttl(10)).status, 409);
  EXPECT_EQ(host.read("p/f"), "x");
  host.advance(seconds(1001));
  EXPECT_EQ(host.ask_status(get("p/f")), 404);
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.engine().stats().streams, 0u);
}

TEST_F(Lifetimes, AForksLifetimeIsRenewedByItself) {
  host.ask(put("p/s", "text/plain", "x").ttl(10));
  host.ask(fork("p/f", "p/s"));
  for (int i = 0; i < 5; ++i) {
    host.advance(seconds(6));
    EXPECT_EQ(host.read("p/f"), "x");
  }
  EXPECT_EQ(host.ask_status(head("p/s")), 410);
  EXPECT_EQ(host.ask_status(head("p/f")), 200);
}

TEST_F(Lifetimes, AnAnswerIsNotCachedLongerThanItsStreamLives) {
  host.ask(put("p/s", "text/plain", "x").ttl(30).closing());
  const std::string begin = text({host.ask(head("p/s")).next_offset->life, Position{0}});
  host.advance(seconds(1));
  const wire::Response read = host.ask(get("p/s", "offset=" + begin));
  EXPECT_EQ(read.cache.kind, wire::CachePolicy::Kind::kPublic);
  EXPECT_EQ(read.cache.max_age_seconds, 30u);
  EXPECT_EQ(read.cache.stale_while_revalidate_seconds, 0u);
}

TEST_F(Lifetimes, TheLongestLifetimeDoesNotOverflow) {
  EXPECT_EQ(host.ask_status(put("p/s").ttl(wire::kTtlSecondsMax)), 201);
  EXPECT_EQ(host.ask(put("p/t").ttl(wire::kTtlSecondsMax + 1)).error, ErrorCode::kInvalidTtl);
  EXPECT_EQ(host.ask_status(put("p/d").with(HeaderId::kStreamExpiresAt, "9999-12-31T23:59:59Z")),
            201);
  host.advance(seconds(1000));
  host.restart();
  EXPECT_TRUE(there("p/s"));
  EXPECT_TRUE(there("p/d"));
}

}  // namespace
}  // namespace ds::engine
