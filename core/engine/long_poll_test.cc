// Long-polls (PROTOCOL §5.7, §10.1).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_host.h"
#include "core/wire/cursor.h"

namespace ds::engine {
namespace {

using namespace test;

class LongPolls : public ::testing::Test {
 protected:
  LongPolls() { tail = text(*host.ask(put("p/s", "text/plain", "one")).next_offset); }
  TestHost host;
  std::string tail;
};

TEST_F(LongPolls, DataThatIsThereIsAnsweredAtOnce) {
  const wire::Response response = host.ask(poll("p/s", "-1"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(body_of(response), "one");
  EXPECT_TRUE(response.up_to_date);
  EXPECT_TRUE(response.cursor.has_value());
  EXPECT_TRUE(response.etag.has_value());
  EXPECT_EQ(text(*response.next_offset), tail);
  EXPECT_EQ(response.content_type.bytes, "text/plain");
}

TEST_F(LongPolls, BeyondTheTailIsTheTailOfTheMomentAndNotForCaches) {
  Offset beyond = *host.ask(head("p/s")).next_offset;
  beyond.position.value += 1;
  const uint64_t early = host.send(poll("p/s", text(beyond)));
  const uint64_t placed = host.send(poll("p/s", tail));
  host.ask(post("p/s", "two"));
  EXPECT_EQ(host.body(early), "two");
  EXPECT_EQ(host.answer(early)->cache.kind, wire::CachePolicy::Kind::kNoStore);
  EXPECT_EQ(host.body(placed), "two");
  EXPECT_EQ(host.answer(placed)->cache.kind, wire::CachePolicy::Kind::kPublic);
}

TEST_F(LongPolls, AnAppendWakesAParkedOne) {
  const uint64_t waiting = host.send(poll("p/s", tail));
  EXPECT_TRUE(host.waits(waiting));
  EXPECT_EQ(host.engine().stats().parked_long_polls, 1u);
  const wire::Response appended = host.ask(post("p/s", "two"));
  ASSERT_EQ(host.status(waiting), 200);
  EXPECT_EQ(host.body(waiting), "two");
  EXPECT_EQ(host.answer(waiting)->next_offset, appended.next_offset);
  EXPECT_TRUE(host.answer(waiting)->up_to_date);
  EXPECT_FALSE(host.answer(waiting)->closed);
  EXPECT_TRUE(host.answer(waiting)->cursor.has_value());
  EXPECT_EQ(host.engine().stats().parked_long_polls, 0u);
}

TEST_F(LongPolls, OnlyADurableAppendWakes) {
  host.commits = TestHost::When::kByHand;
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.send(post("p/s", "two"));
  host.take();
  EXPECT_TRUE(host.waits(waiting));
  host.fail();
  EXPECT_TRUE(host.waits(waiting));
  host.send(post("p/s", "2"));
  host.commit();
  EXPECT_EQ(host.body(waiting), "2");
}

TEST_F(LongPolls, OneAnswerHoldsAllThatWasCommittedTogether) {
  host.commits = TestHost::When::kByHand;
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.send(post("p/s", "a"));
  host.send(post("p/s", "b"));
  host.send(post("p/s", "c").closing());
  host.commit();
  EXPECT_EQ(host.body(waiting), "abc");
  EXPECT_TRUE(host.answer(waiting)->closed);
}

TEST_F(LongPolls, ATimeoutIsA204WithTheTail) {
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.advance(milliseconds(29999));
  EXPECT_TRUE(host.waits(waiting));
  host.advance(milliseconds(1));
  ASSERT_EQ(host.status(waiting), 204);
  const wire::Response& response = *host.answer(waiting);
  EXPECT_EQ(text(*response.next_offset), tail);
  EXPECT_TRUE(response.up_to_date);
  EXPECT_FALSE(response.closed);
  EXPECT_EQ(response.cursor, wire::cursor_at(host.now(), std::nullopt));
  EXPECT_EQ(response.cache.kind, wire::CachePolicy::Kind::kNoStore);
  EXPECT_TRUE(response.body.empty());
  // What arrives later finds nobody.
  EXPECT_EQ(host.ask(post("p/s", "two")).status, 204);
}

TEST_F(LongPolls, ACloseWakesWithA204AndTheEnd) {
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.ask(close("p/s"));
  ASSERT_EQ(host.status(waiting), 204);
  EXPECT_TRUE(host.answer(waiting)->closed);
  EXPECT_TRUE(host.answer(waiting)->up_to_date);
  EXPECT_EQ(text(*host.answer(waiting)->next_offset), tail);
  // At the end of a closed stream nobody waits.
  for (const std::string& offset : {tail, std::string("now")}) {
    const wire::Response response = host.ask(poll("p/s", offset));
    EXPECT_EQ(response.status, 204);
    EXPECT_TRUE(response.closed);
    EXPECT_TRUE(response.up_to_date);
    EXPECT_EQ(text(*response.next_offset), tail);
  }
  const wire::Response last = host.ask(poll("p/s", "-1"));
  EXPECT_EQ(last.status, 200);
  EXPECT_TRUE(last.closed);
}

TEST_F(LongPolls, ADeletionWakesWithA404) {
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.ask(remove("p/s"));
  EXPECT_EQ(host.error(waiting), ErrorCode::kNotFound);
}

TEST_F(LongPolls, ASoftDeletionWakesWithA410) {
  host.ask(fork("p/fork", "p/s"));
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.ask(remove("p/s"));
  EXPECT_EQ(host.error(waiting), ErrorCode::kStreamDeleted);
}

TEST_F(LongPolls, AnExpiryWakesWithA404) {
  const std::string at = text(
      *host.ask(put("p/d").with(HeaderId::kStreamExpiresAt, "2026-01-01T00:00:10Z")).next_offset);
  const uint64_t waiting = host.send(poll("p/d", at));
  host.advance(seconds(9));
  EXPECT_TRUE(host.waits(waiting));
  host.advance(seconds(1));
  EXPECT_EQ(host.error(waiting), ErrorCode::kNotFound);
}

TEST_F(LongPolls, NowWaitsForWhatComesNext) {
  const uint64_t waiting = host.send(poll("p/s", "now"));
  EXPECT_TRUE(host.waits(waiting));
  host.ask(post("p/s", "two"));
  EXPECT_EQ(host.body(waiting), "two");
}

TEST_F(LongPolls, AnOffsetBeyondTheTailWaitsAtTheTail) {
  const Offset at = *host.ask(head("p/s")).next_offset;
  const uint64_t waiting = host.send(poll("p/s", text({at.life, at.position + 1})));
  EXPECT_TRUE(host.waits(waiting));
  host.ask(post("p/s", "two"));
  EXPECT_EQ(host.body(waiting), "two");
}

TEST_F(LongPolls, AnOffsetOfAnotherLifeIsGone) {
  host.ask(remove("p/s"));
  host.ask(put("p/s", "text/plain", "new"));
  EXPECT_EQ(host.ask(poll("p/s", tail)).error, ErrorCode::kOffsetGone);
  EXPECT_EQ(host.ask(poll("p/s", tail)).status, 410);
}

TEST_F(LongPolls, ACursorNeverGoesBack) {
  const uint64_t current = wire::cursor_at(host.now(), std::nullopt);
  const auto cursor_after = [&](uint64_t brought) {
    const std::string more = "&cursor=" + std::to_string(brought);
    const wire::Response at_once = host.ask(poll("p/s", "-1", more));
    const uint64_t waiting = host.send(poll("p/s", host.tail("p/s"), more));
    host.ask(post("p/s", "x"));
    EXPECT_EQ(at_once.cursor, host.answer(waiting)->cursor);
    return *at_once.cursor;
  };
  EXPECT_EQ(cursor_after(current - 5), current);
  EXPECT_GT(cursor_after(current), current);
  EXPECT_GT(cursor_after(current + 1000), current + 1000);
  // A timeout too.
  const uint64_t waiting =
      host.send(poll("p/s", host.tail("p/s"), "&cursor=" + std::to_string(current + 1000)));
  host.advance(seconds(30));
  EXPECT_GT(*host.answer(waiting)->cursor, current + 1000);
}

TEST_F(LongPolls, ManyShareOneBody) {
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 100; ++i) waiting.push_back(host.send(poll("p/s", tail)));
  EXPECT_EQ(host.engine().stats().parked_long_polls, 100u);
  host.ask(post("p/s", "two"));
  const Slice& first = host.answer(waiting[0])->body.at(0);
  for (const uint64_t id : waiting) {
    EXPECT_EQ(host.body(id), "two");
    EXPECT_EQ(host.answer(id)->body.at(0).owner, first.owner);
  }
}

TEST_F(LongPolls, AnIfNoneMatchDoesNotCutOneShort) {
  const std::string etag = "*";
  const uint64_t waiting = host.send(poll("p/s", tail).with(HeaderId::kIfNoneMatch, etag));
  EXPECT_TRUE(host.waits(waiting));
  host.ask(post("p/s", "two"));
  EXPECT_EQ(host.status(waiting), 200);
}

TEST_F(LongPolls, ADisconnectedOneIsForgotten) {
  const uint64_t waiting = host.send(poll("p/s", tail));
  const uint64_t other = host.send(poll("p/s", tail));
  host.disconnect(waiting);
  EXPECT_EQ(host.engine().stats().parked_long_polls, 1u);
  host.ask(post("p/s", "two"));
  EXPECT_TRUE(host.waits(waiting));
  EXPECT_EQ(host.body(other), "two");
  host.advance(seconds(60));
}

TEST_F(LongPolls, AtCapacityOneMoreIsTurnedAwayAndNothingIsForgotten) {
  EngineConfig config;
  config.live_readers_max = 2;
  TestHost small(config);
  const std::string at = text(*small.ask(put("p/s")).next_offset);
  const uint64_t a = small.send(poll("p/s", at));
  const uint64_t b = small.send(sse("p/s", at));
  const wire::Response refused = small.ask(poll("p/s", at));
  EXPECT_EQ(refused.error, ErrorCode::kTooManyReaders);
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.retry_after_seconds.has_value());
  EXPECT_EQ(small.ask(sse("p/s", at)).error, ErrorCode::kTooManyReaders);
  // Data that is there needs no place.
  small.ask(post("p/s", "x"));
  EXPECT_EQ(small.body(a), "x");
  EXPECT_EQ(small.ask(poll("p/s", at)).status, 200);
  small.disconnect(b);
  EXPECT_TRUE(small.waits(small.send(poll("p/s", small.tail("p/s")))));
}

TEST_F(LongPolls, ALongWayIsGoneInChunks) {
  EngineConfig config;
  config.max_chunk_bytes = 10;
  TestHost small(config);
  small.ask(put("p/s", "text/plain", "1234567"));
  small.ask(post("p/s", "89abcdef"));
  small.ask(post("p/s", "g"));
  const wire::Response first = small.ask(poll("p/s", "-1"));
  EXPECT_EQ(body_of(first), "123456789abcdef");
  EXPECT_FALSE(first.up_to_date);
  const wire::Response second = small.ask(poll("p/s", text(*first.next_offset)));
  EXPECT_EQ(body_of(second), "g");
  EXPECT_TRUE(second.up_to_date);
}

TEST_F(LongPolls, TheServersEndIsATimeout) {
  const uint64_t waiting = host.send(poll("p/s", tail));
  host.end_live_readers();
  EXPECT_EQ(host.status(waiting), 204);
  EXPECT_EQ(text(*host.answer(waiting)->next_offset), tail);
}

TEST_F(LongPolls, JsonIsAnArray) {
  const std::string at = text(*host.ask(put("p/j", "application/json")).next_offset);
  const uint64_t waiting = host.send(poll("p/j", at));
  host.ask(post("p/j", "[1,{\"a\":2}]", "application/json"));
  EXPECT_EQ(host.body(waiting), "[1,{\"a\":2}]");
}

}  // namespace
}  // namespace ds::engine
