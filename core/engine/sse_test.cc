// SSE readers (PROTOCOL §5.8).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_host.h"
#include "core/engine/test_sse.h"
#include "core/wire/cursor.h"

namespace ds::engine {
namespace {

using namespace test;
using wire::ContentKind;

class Sse : public ::testing::Test {
 protected:
  Sse() { tail = text(*host.ask(put("p/s", "text/plain", "one")).next_offset); }
  std::vector<SseEvent> events(uint64_t id) { return parse_sse(host.socket(id).all()); }
  // The data events' data, each in parentheses, closed ones with "." and the end with "!".
  std::string story(uint64_t id) {
    std::string out;
    for (const SseEvent& event : events(id)) {
      if (event.type == "data") out += "(" + event.data + ")";
      if (event.type == "control" && field(event, "streamClosed") == "true") out += ".";
    }
    return out + (host.socket(id).ended ? "!" : "");
  }
  TestHost host;
  std::string tail;
};

TEST_F(Sse, CatchesUpAndThenFollows) {
  const uint64_t id = host.send(sse("p/s", "-1"));
  ASSERT_TRUE(host.is_sse(id));
  const Socket& socket = host.socket(id);
  EXPECT_TRUE(socket.head.sse);
  EXPECT_FALSE(socket.head.sse_base64);
  EXPECT_EQ(socket.head.status, 200);
  EXPECT_EQ(socket.head.cache.kind, wire::CachePolicy::Kind::kNoCache);
  EXPECT_EQ(host.engine().stats().sse_readers, 1u);
  std::vector<SseEvent> got = events(id);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].type, "data");
  EXPECT_EQ(got[0].data, "one");
  EXPECT_EQ(field(got[1], "streamNextOffset"), tail);
  EXPECT_EQ(field(got[1], "upToDate"), "true");
  EXPECT_EQ(field(got[1], "streamClosed"), "");
  EXPECT_EQ(field(got[1], "streamCursor"),
            std::to_string(wire::cursor_at(host.now(), std::nullopt)));
  const wire::Response appended = host.ask(post("p/s", "two"));
  got = events(id);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[2].data, "two");
  EXPECT_EQ(field(got[3], "streamNextOffset"), text(*appended.next_offset));
}

TEST_F(Sse, AReaderAtTheTailIsToldSoAtOnce) {
  for (const std::string& offset : {tail, std::string("now")}) {
    const uint64_t id = host.send(sse("p/s", offset));
    const std::vector<SseEvent> got = events(id);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(field(got[0], "streamNextOffset"), tail);
    EXPECT_EQ(field(got[0], "upToDate"), "true");
    host.ask(post("p/s", "more"));
    EXPECT_EQ(story(id), "(more)");
    tail = host.tail("p/s");
  }
}

TEST_F(Sse, OneFrameHoldsAllThatWasCommittedTogetherAndIsShared) {
  host.commits = TestHost::When::kByHand;
  const uint64_t a = host.send(sse("p/s", tail));
  const uint64_t b = host.send(sse("p/s", tail));
  host.send(post("p/s", "x"));
  host.send(post("p/s", "y"));
  EXPECT_EQ(story(a), "");
  Actions actions;
  const std::optional<Batch> batch = host.engine().take_batch();
  host.engine().on_commit(batch->batch_id, CommitOutcome::kDurable, log_position(2, 0), host.now(),
                          actions);
  size_t frames = 0;
  for (const Action& action : actions) {
    if (const auto* send = std::get_if<SendSse>(&action)) {
      ++frames;
      EXPECT_EQ(send->to.size(), 2u);
      EXPECT_EQ(send->begin, Position{3});
      EXPECT_EQ(send->end, Position{5});
      EXPECT_FALSE(send->pulled);
    }
  }
  EXPECT_EQ(frames, 1u);
  static_cast<void>(a), static_cast<void>(b);
}

TEST_F(Sse, JsonIsOneArrayPerEvent) {
  host.ask(put("p/j", "application/json", "[1,2]"));
  const uint64_t id = host.send(sse("p/j", "-1"));
  host.ask(post("p/j", "[[3],\"]\"]", "application/json"));
  host.ask(post("p/j", "{\"a\":\n1}", "application/json"));
  EXPECT_EQ(story(id), "([1,2])([[3],\"]\"])([{\"a\":\n1}])");
  EXPECT_FALSE(host.socket(id).head.sse_base64);
}

TEST_F(Sse, BinaryIsBase64) {
  const std::string bytes("\0\xff\n\r\x80", 5);
  host.ask(put("p/b", "application/octet-stream", bytes));
  const uint64_t id = host.send(sse("p/b", "-1"));
  EXPECT_TRUE(host.socket(id).head.sse_base64);
  EXPECT_EQ(story(id), "(AP8KDYA=)");
  EXPECT_EQ(from_base64("AP8KDYA="), bytes);
}

TEST_F(Sse, AClosedStreamEndsTheResponse) {
  host.ask(close("p/s"));
  const uint64_t from_start = host.send(sse("p/s", "-1"));
  EXPECT_EQ(story(from_start), "(one).!");
  const std::vector<SseEvent> got = events(from_start);
  EXPECT_EQ(field(got.back(), "streamCursor"), "");
  EXPECT_EQ(field(got.back(), "upToDate"), "true");
  EXPECT_EQ(story(host.send(sse("p/s", tail))), ".!");
  EXPECT_EQ(story(host.send(sse("p/s", "now"))), ".!");
  EXPECT_EQ(host.engine().stats().sse_readers, 0u);
}

TEST_F(Sse, ACloseIsTold) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.ask(close("p/s"));
  EXPECT_EQ(story(id), ".!");
}

TEST_F(Sse, AnAppendThatClosesDeliversItsDataFirst) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.ask(post("p/s", "last").closing());
  EXPECT_EQ(story(id), "(last).!");
}

TEST_F(Sse, ADeletionEndsTheResponse) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.ask(remove("p/s"));
  EXPECT_EQ(story(id), "!");
  EXPECT_EQ(host.engine().stats().sse_readers, 0u);
}

TEST_F(Sse, AnExpiryEndsTheResponse) {
  host.ask(put("p/d").with(HeaderId::kStreamExpiresAt, "2026-01-01T00:00:10Z"));
  const uint64_t id = host.send(sse("p/d", "-1"));
  host.advance(seconds(10));
  EXPECT_EQ(story(id), "!");
}

TEST_F(Sse, AResponseEndsAfterItsLifetimeGiveOrTakeATenth) {
  std::vector<uint64_t> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(host.send(sse("p/s", tail)));
  const auto ended = [&] {
    int n = 0;
    for (const uint64_t id : ids) n += host.socket(id).ended ? 1 : 0;
    return n;
  };
  host.advance(milliseconds(53999));
  EXPECT_EQ(ended(), 0);
  host.advance(milliseconds(6001));
  EXPECT_GT(ended(), 5);
  EXPECT_LT(ended(), 45);
  host.advance(milliseconds(6001));
  EXPECT_EQ(ended(), 50);
  EXPECT_EQ(host.engine().stats().sse_readers, 0u);
}

TEST_F(Sse, AResponseEndsWhateverItIsSentMeanwhile) {
  const uint64_t id = host.send(sse("p/s", tail));
  for (int second = 0; second < 67 && !host.socket(id).ended; ++second) {
    host.ask(post("p/s", "x"));
    host.advance(seconds(1));
  }
  EXPECT_TRUE(host.socket(id).ended);
  EXPECT_EQ(host.engine().stats().sse_readers, 0u);
}

TEST_F(Sse, ALifetimeMayBeShorterThanTheTimeBetweenHeartbeats) {
  EngineConfig config;
  config.sse_lifetime = seconds(5);
  TestHost brief(config);
  brief.ask(put("p/s"));
  const uint64_t id = brief.send(sse("p/s", "-1"));
  brief.advance(seconds(4));
  EXPECT_FALSE(brief.socket(id).ended);
  brief.advance(seconds(2));
  EXPECT_TRUE(brief.socket(id).ended);
}

TEST_F(Sse, AnIdleReaderHearsAHeartbeat) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.advance(milliseconds(14999));
  EXPECT_EQ(host.socket(id).frames.size(), 1u);
  host.advance(milliseconds(1));
  ASSERT_EQ(host.socket(id).frames.size(), 2u);
  EXPECT_EQ(host.socket(id).frames[1].bytes.substr(0, 1), ":");
  host.advance(seconds(10));
  host.ask(post("p/s", "x"));
  host.advance(seconds(10));
  EXPECT_EQ(host.socket(id).frames.size(), 3u) << "data counts as a sign of life";
  host.advance(seconds(5));
  EXPECT_EQ(host.socket(id).frames.size(), 4u);
  EXPECT_EQ(story(id), "(x)");
}

TEST_F(Sse, ACursorIsSharedExceptByThoseWhoBroughtAHigherOne) {
  const uint64_t current = wire::cursor_at(host.now(), std::nullopt);
  std::vector<uint64_t> ids;
  for (const uint64_t brought : {current - 3, current, current + 50}) {
    ids.push_back(host.send(sse("p/s", tail, "&cursor=" + std::to_string(brought))));
  }
  host.ask(post("p/s", "x"));
  const auto cursors = [&](uint64_t id) {
    std::vector<uint64_t> out;
    for (const SseEvent& event : events(id)) {
      if (event.type == "control") out.push_back(std::stoull(field(event, "streamCursor")));
    }
    return out;
  };
  EXPECT_EQ(cursors(ids[0]), (std::vector<uint64_t>{current, current}));
  EXPECT_EQ(cursors(ids[1]), (std::vector<uint64_t>{current + 1, current + 1}));
  EXPECT_EQ(cursors(ids[2]), (std::vector<uint64_t>{current + 51, current + 51}));
  host.advance(seconds(45));
  host.ask(post("p/s", "y"));
  EXPECT_EQ(cursors(ids[0]).back(), current + 2);
  EXPECT_EQ(cursors(ids[1]).back(), current + 2);
  EXPECT_EQ(cursors(ids[2]).back(), current + 51);
}

TEST_F(Sse, ADisconnectedReaderIsForgotten) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.disconnect(id);
  EXPECT_EQ(host.engine().stats().sse_readers, 0u);
  host.ask(post("p/s", "x"));
  host.advance(seconds(200));
}

TEST_F(Sse, TheServersEndIsACleanOne) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.end_live_readers();
  EXPECT_EQ(story(id), "!");
}

// --- Readers that fall behind -------------------------------------------------------------------

TEST_F(Sse, AReaderThatFallsBehindGetsWhatItMissedOnce) {
  const uint64_t slow = host.send(sse("p/s", tail));
  const uint64_t fast = host.send(sse("p/s", tail));
  host.stall(slow);
  host.ask(post("p/s", "a"));
  host.ask(post("p/s", "b"));
  EXPECT_EQ(story(slow), "");
  EXPECT_EQ(story(fast), "(a)(b)");
  EXPECT_EQ(host.engine().stats().lagging_readers, 1u);
  host.drain(slow);
  EXPECT_EQ(story(slow), "(ab)");
  host.ask(post("p/s", "c"));
  EXPECT_EQ(story(slow), "(ab)(c)") << "it follows live again";
}

TEST_F(Sse, AReaderThatFallsBehindAtTheEndGetsTheEnd) {
  const uint64_t slow = host.send(sse("p/s", tail));
  host.stall(slow);
  host.ask(post("p/s", "a"));
  host.ask(post("p/s", "b").closing());
  host.drain(slow);
  EXPECT_EQ(story(slow), "(ab).!");
}

TEST_F(Sse, ALongWayIsPulledChunkByChunk) {
  EngineConfig config;
  config.max_chunk_bytes = 4;
  TestHost small(config);
  small.ask(put("p/s", "text/plain", "aaa"));
  for (const char* more : {"bbb", "ccc", "ddd"}) small.ask(post("p/s", more));
  small.sockets = TestHost::When::kByHand;
  const uint64_t id = small.send(sse("p/s", "-1"));
  Socket& socket = small.socket(id);
  EXPECT_EQ(socket.inbox.size(), 1u) << "one chunk at a time";
  small.deliver_to_socket(id);
  EXPECT_TRUE(socket.inbox.empty());
  small.ask(post("p/s", "eee"));
  EXPECT_TRUE(socket.inbox.empty()) << "it is not at the tail: nothing is pushed";
  small.sockets = TestHost::When::kAtOnce;
  small.deliver_from_socket(id);
  std::string all;
  for (const SseEvent& event : parse_sse(socket.all())) {
    if (event.type == "data") all += event.data + "|";
  }
  EXPECT_EQ(all, "aaabbb|ccc|ddd|eee|");
}

TEST_F(Sse, ATinyCacheMakesReadersLoad) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  config.max_chunk_bytes = 4;
  TestHost small(config);
  small.loads = TestHost::When::kByHand;
  small.ask(put("p/s", "text/plain", "aaaa"));
  small.ask(post("p/s", "bbbb"));
  small.ask(post("p/s", "cccc"));
  const uint64_t id = small.send(sse("p/s", "-1"));
  ASSERT_EQ(small.waiting_loads(), 1u);
  EXPECT_TRUE(small.socket(id).frames.empty());
  small.load();
  small.load();
  EXPECT_EQ(small.waiting_loads(), 0u) << "the newest batch is always held";
  EXPECT_EQ(small.socket(id).accepted, Position{12});
  small.ask(post("p/s", "dddd"));
  EXPECT_EQ(small.socket(id).accepted, Position{16});
  EXPECT_EQ(small.engine().stats().cache_misses, 2u);
}

TEST_F(Sse, AFailedLoadEndsTheResponse) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  for (const auto end : {TestHost::LoadEnd::kFailed, TestHost::LoadEnd::kCorrupt}) {
    TestHost small(config);
    small.loads = TestHost::When::kByHand;
    small.ask(put("p/s", "text/plain", "aaaa"));
    small.ask(post("p/s", "bbbb"));
    const uint64_t id = small.send(sse("p/s", "-1"));
    ASSERT_EQ(small.waiting_loads(), 1u);
    small.load(end);
    if (end == TestHost::LoadEnd::kCorrupt) small.load(end);  // the first message alone
    EXPECT_TRUE(small.socket(id).ended);
    EXPECT_TRUE(small.socket(id).frames.empty());
    EXPECT_EQ(small.engine().stats().sse_readers, 0u);
  }
}

TEST_F(Sse, ALoadForAReaderThatIsGoneIsDropped) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  TestHost small(config);
  small.loads = TestHost::When::kByHand;
  small.ask(put("p/s", "text/plain", "aaaa"));
  small.ask(post("p/s", "bbbb"));
  const uint64_t gone = small.send(sse("p/s", "-1"));
  const uint64_t deleted = small.send(sse("p/s", "-1"));
  small.disconnect(gone);
  small.ask(remove("p/s"));
  EXPECT_TRUE(small.socket(deleted).ended);
  small.load();
  small.load();
  EXPECT_TRUE(small.socket(deleted).frames.empty());
}

TEST_F(Sse, TooManyLoadsEndTheResponse) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  config.pending_loads_max = 1;
  TestHost small(config);
  small.loads = TestHost::When::kByHand;
  small.ask(put("p/s", "text/plain", "aaaa"));
  small.ask(post("p/s", "bbbb"));
  const uint64_t first = small.send(sse("p/s", "-1"));
  const uint64_t second = small.send(sse("p/s", "-1"));
  EXPECT_FALSE(small.socket(first).ended);
  EXPECT_TRUE(small.socket(second).ended);
  EXPECT_EQ(small.ask(get("p/s")).error, ErrorCode::kOverloaded);
  small.load();
  EXPECT_EQ(small.socket(first).accepted, Position{8});
}

// --- Characters that are split over appends -----------------------------------------------------

TEST_F(Sse, ASplitCharacterIsHeldBackUntilItIsWhole) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.ask(post("p/s", "\xe2\x82"));
  EXPECT_EQ(story(id), "");
  const uint64_t late = host.send(sse("p/s", "-1"));
  EXPECT_EQ(story(late), "(one)");
  const SseEvent control = events(late).back();
  EXPECT_EQ(field(control, "streamNextOffset"), tail) << "before what is held back";
  EXPECT_EQ(field(control, "upToDate"), "");
  host.ask(post("p/s", "\xac!"));
  EXPECT_EQ(story(id), "(\xe2\x82\xac!)");
  EXPECT_EQ(story(late), "(one)(\xe2\x82\xac!)");
  EXPECT_EQ(field(events(late).back(), "upToDate"), "true");
}

TEST_F(Sse, AReaderBeforeAHeldBackCharacterIsToldWhereItStands) {
  host.ask(post("p/s", "\xe2\x82"));
  const uint64_t id = host.send(sse("p/s", tail));
  const std::vector<SseEvent> got = events(id);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(field(got[0], "streamNextOffset"), tail);
  EXPECT_EQ(field(got[0], "upToDate"), "");
  host.ask(post("p/s", "\xac"));
  EXPECT_EQ(story(id), "(\xe2\x82\xac)");
}

TEST_F(Sse, AHeldBackCharacterIsFlushedWhenItCanNoLongerBecomeWhole) {
  const uint64_t id = host.send(sse("p/s", tail));
  host.ask(post("p/s", "\xe2\x82"));
  host.ask(post("p/s", "x"));
  EXPECT_EQ(story(id), "(\xef\xbf\xbdx)");
  host.ask(post("p/s", "\xf0\x9f"));
  EXPECT_EQ(story(id), "(\xef\xbf\xbdx)");
  host.ask(close("p/s"));
  EXPECT_EQ(story(id), "(\xef\xbf\xbdx)(\xef\xbf\xbd).!");
}

TEST_F(Sse, ACharacterSplitOverManyAppendsAndChunks) {
  EngineConfig config;
  config.max_chunk_bytes = 2;
  TestHost small(config);
  small.ask(put("p/s", "text/plain", "a"));
  for (const char* byte : {"\xf0", "\x9f", "\x98", "\x80", "b"}) small.ask(post("p/s", byte));
  const uint64_t id = small.send(sse("p/s", "-1"));
  std::string all;
  for (const SseEvent& event : parse_sse(small.socket(id).all())) {
    if (event.type == "data") all += event.data;
  }
  EXPECT_EQ(all,
            "a\xf0\x9f\x98\x80"
            "b");
}

TEST_F(Sse, AHeldBackCharacterThatMustBeLoadedIsLoadedOnce) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  TestHost small(config);
  small.ask(put("p/s", "text/plain", "one"));
  const std::string at = small.tail("p/s");
  small.ask(post("p/s", "\xe2\x82"));
  small.ask(put("p/other", "text/plain", "evicts what came before"));
  const uint64_t id = small.send(sse("p/s", at));
  EXPECT_LE(small.engine().stats().cache_misses, 2u);
  std::vector<SseEvent> got = parse_sse(small.socket(id).all());
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(field(got[0], "streamNextOffset"), at);
  EXPECT_EQ(field(got[0], "upToDate"), "");
  small.ask(post("p/s", "\xac"));
  got = parse_sse(small.socket(id).all());
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[1].data, "\xe2\x82\xac");
  EXPECT_EQ(field(got[2], "upToDate"), "true");
}

TEST_F(Sse, AChunkOfNothingButAHeldBackCharacterIsFollowedFurther) {
  // Wherever it lies among the multiples of the chunk size.
  for (size_t before = 0; before < 25; ++before) {
    EngineConfig config;
    config.max_chunk_bytes = 10;
    TestHost small(config);
    small.ask(put("p/s", "text/plain", std::string(before, 'a')));
    const std::string at = small.tail("p/s");
    small.ask(post("p/s", std::string(10, 'b') + "\xe2\x82"));
    small.ask(post("p/s", "\xac"));
    const uint64_t id = small.send(sse("p/s", at));
    EXPECT_EQ(parse_sse(small.socket(id).all()).at(0).data, "bbbbbbbbbb\xe2\x82\xac");
  }
}

TEST_F(Sse, WhoNeverEndsACharacterDoesNotHoldBackEverything) {
  EngineConfig config;
  config.max_chunk_bytes = 16;
  TestHost small(config);
  const std::string at = text(*small.ask(put("p/s", "text/plain")).next_offset);
  const uint64_t live = small.send(sse("p/s", at));
  for (int i = 0; i < 100; ++i) small.ask(post("p/s", i == 0 ? "\xe2" : "\x82\xac\xe2"));
  const uint64_t late = small.send(sse("p/s", at));
  for (const uint64_t id : {live, late}) {
    EXPECT_GE(small.socket(id).accepted.value, 298 - 5 * 16u);
    std::string all;
    for (const SseEvent& event : parse_sse(small.socket(id).all())) all += event.data;
    EXPECT_NE(all.find("\xef\xbf\xbd"), std::string::npos);
  }
}

TEST_F(Sse, AChunkOfNothingButAHeldBackCharacterIsLoadedFurther) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  config.max_chunk_bytes = 2;
  TestHost small(config);
  small.ask(put("p/s", "text/plain", "ab"));
  const std::string at = small.tail("p/s");
  for (const char* byte : {"\xf0", "\x9f", "\x98", "\x80", "cd", "\xe2"}) {
    small.ask(post("p/s", byte));
  }
  small.ask(put("p/other", "text/plain", "evicts what came before"));
  const uint64_t id = small.send(sse("p/s", at));
  std::string all;
  for (const SseEvent& event : parse_sse(small.socket(id).all())) {
    if (event.type == "data") all += event.data;
  }
  EXPECT_EQ(all,
            "\xf0\x9f\x98\x80"
            "cd");
  EXPECT_LE(small.engine().stats().cache_misses, 10u);
  small.ask(close("p/s"));
  EXPECT_TRUE(small.socket(id).ended);
  EXPECT_EQ(field(parse_sse(small.socket(id).all()).back(), "streamClosed"), "true");
}

}  // namespace
}  // namespace ds::engine
