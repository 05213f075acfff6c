// HEAD and catch-up reads (PROTOCOL §5.5, §5.6, §10.1).
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/engine/test_host.h"

namespace ds::engine {
namespace {

using namespace test;
using Cache = wire::CachePolicy::Kind;

std::string etag_of(const wire::Response& response) {
  std::string out;
  if (response.etag) wire::append_etag(out, *response.etag);
  return out;
}

class Reads : public ::testing::Test {
 protected:
  static EngineConfig config() {
    EngineConfig out;
    out.max_chunk_bytes = 10;
    return out;
  }
  Reads() : host(config()) {}
  TestHost host;
};

TEST_F(Reads, AHeadSaysWhatThereIs) {
  host.ask(put("p/s", "text/plain; charset=utf-8", "abc").ttl(60));
  const wire::Response response = host.ask(head("p/s"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type.bytes, "text/plain; charset=utf-8");
  EXPECT_EQ(response.next_offset->position, Position{3});
  EXPECT_EQ(response.tail_etag, response.next_offset);
  EXPECT_EQ(response.ttl_seconds, 60u);
  EXPECT_EQ(response.write_timestamp_ms, static_cast<uint64_t>(kStart.us / 1000));
  EXPECT_EQ(response.cache.kind, Cache::kNoStore);
  EXPECT_TRUE(response.body.empty());
  EXPECT_FALSE(response.closed);
  EXPECT_FALSE(response.up_to_date);
  host.ask(close("p/s"));
  EXPECT_TRUE(host.ask(head("p/s")).closed);
  EXPECT_EQ(host.ask(head("p/none")).status, 404);
}

TEST_F(Reads, AHeadsTagIsWhatAConditionalAppendWants) {
  host.ask(put("p/s"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(host.ask_status(post("p/s", "x").if_match(host.tail("p/s"))), 204);
  }
  const std::string stale = host.tail("p/s");
  host.ask(post("p/s", "y"));
  const wire::Response refused = host.ask(post("p/s", "x").if_match(stale));
  EXPECT_EQ(refused.status, 412);
  EXPECT_EQ(text(*refused.next_offset), host.tail("p/s"));
  EXPECT_EQ(host.ask_status(post("p/s", "x").with(HeaderId::kIfMatch, "*")), 204);
  EXPECT_EQ(host.ask_status(post("p/s", "x").with(HeaderId::kIfMatch, "\"other\"")), 412);
}

TEST_F(Reads, AReadIsCutAtConvergentBoundaries) {
  host.ask(put("p/s", "text/plain", "0123"));
  for (const char* more : {"4567", "89ab", "cdef", "ghij", "klmn"}) host.ask(post("p/s", more));
  const wire::Response first = host.ask(get("p/s"));
  EXPECT_EQ(body_of(first), "0123456789ab");
  EXPECT_FALSE(first.up_to_date);
  const wire::Response second = host.ask(get("p/s", "offset=" + text(*first.next_offset)));
  EXPECT_EQ(body_of(second), "cdefghij");
  const wire::Response third = host.ask(get("p/s", "offset=" + text(*second.next_offset)));
  EXPECT_EQ(body_of(third), "klmn");
  EXPECT_TRUE(third.up_to_date);
  // From another beginning to the same boundary; from inside a message, that message.
  const Incarnation life = first.next_offset->life;
  const wire::Response inside = host.ask(get("p/s", "offset=" + text({life, Position{5}})));
  EXPECT_EQ(body_of(inside), "456789ab");
  EXPECT_EQ(inside.next_offset, first.next_offset);
}

TEST_F(Reads, TheTailIsAnEmptyAnswer) {
  host.ask(put("p/s", "text/plain", "abc"));
  const Offset tail = *host.ask(head("p/s")).next_offset;
  for (const uint64_t beyond : {0U, 1U, 1000U}) {
    const wire::Response response =
        host.ask(get("p/s", "offset=" + text({tail.life, tail.position + beyond})));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(body_of(response), "");
    EXPECT_EQ(response.next_offset, tail);
    EXPECT_TRUE(response.up_to_date);
    EXPECT_FALSE(response.closed);
    EXPECT_EQ(response.write_timestamp_ms, std::nullopt);
  }
  host.ask(put("p/j", "application/json"));
  EXPECT_EQ(host.read("p/j"), "[]");
}

TEST_F(Reads, NowIsTheTailAndIsNeverKept) {
  host.ask(put("p/s", "application/json", "[1,2]"));
  for (const bool closed : {false, true}) {
    if (closed) host.ask(close("p/s"));
    const wire::Response response = host.ask(get("p/s", "offset=now"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(body_of(response), "[]");
    EXPECT_TRUE(response.up_to_date);
    EXPECT_EQ(response.closed, closed);
    EXPECT_EQ(text(*response.next_offset), host.tail("p/s"));
    EXPECT_EQ(response.cache.kind, Cache::kNoStore);
    EXPECT_FALSE(response.etag.has_value());
    EXPECT_EQ(host.ask(get("p/s", "offset=now").with(HeaderId::kIfNoneMatch, "*")).status, 200);
  }
}

TEST_F(Reads, ClosureIsToldAtTheEndOnly) {
  host.ask(put("p/s", "text/plain", "0123456789"));
  host.ask(post("p/s", "rest").closing());
  const wire::Response first = host.ask(get("p/s"));
  EXPECT_FALSE(first.closed);
  EXPECT_FALSE(first.up_to_date);
  const wire::Response last = host.ask(get("p/s", "offset=" + text(*first.next_offset)));
  EXPECT_TRUE(last.closed);
  EXPECT_TRUE(last.up_to_date);
  const wire::Response end = host.ask(get("p/s", "offset=" + text(*last.next_offset)));
  EXPECT_TRUE(end.closed);
  EXPECT_EQ(body_of(end), "");
}

TEST_F(Reads, HowLongAnAnswerMayBeKept) {
  host.ask(put("p/s", "text/plain", "0123456789"));
  host.ask(post("p/s", "rest"));
  const Incarnation life = host.ask(head("p/s")).next_offset->life;
  const std::string begin = "offset=" + text({life, Position{0}});
  const auto cache = [&](const std::string& query) { return host.ask(get("p/s", query)).cache; };
  // A full chunk: for long if its URL names a life, for a moment if not.
  EXPECT_EQ(cache(begin).kind, Cache::kPublic);
  EXPECT_EQ(cache(begin).max_age_seconds, 60u);
  EXPECT_EQ(cache(begin).stale_while_revalidate_seconds, 300u);
  for (const char* query : {"", "offset=-1", "offset=0000000000000000_0000000000000000"}) {
    EXPECT_EQ(cache(query).kind, Cache::kPublic);
    EXPECT_EQ(cache(query).max_age_seconds, 5u);
    EXPECT_EQ(cache(query).stale_while_revalidate_seconds, 0u);
  }
  // What reaches the tail must be asked for again, until there is no more to come.
  const std::string rest = "offset=" + text({life, Position{10}});
  EXPECT_EQ(cache(rest).kind, Cache::kNoCache);
  host.ask(close("p/s"));
  EXPECT_EQ(cache(rest).kind, Cache::kPublic);
  EXPECT_EQ(host.ask(get("p/none")).cache.kind, Cache::kNoStore);
  EXPECT_EQ(cache("offset=" + text({Incarnation{7}, Position{1}})).kind, Cache::kNoStore);
}

TEST_F(Reads, ATagThatMatchesIsNotSentAgain) {
  host.ask(put("p/s", "text/plain", "0123"));
  const wire::Response read = host.ask(get("p/s"));
  const auto again = [&](const std::string& tags) {
    return host.ask(get("p/s").with(HeaderId::kIfNoneMatch, tags));
  };
  for (const std::string& tags : {etag_of(read), "\"x\", W/" + etag_of(read), std::string("*")}) {
    const wire::Response same = again(tags);
    EXPECT_EQ(same.status, 304);
    EXPECT_TRUE(same.body.empty());
    EXPECT_TRUE(same.content_type.bytes.empty());
    EXPECT_EQ(etag_of(same), etag_of(read));
    EXPECT_EQ(same.next_offset, read.next_offset);
    EXPECT_EQ(same.cache.kind, read.cache.kind);
  }
  EXPECT_EQ(again("\"other\"").status, 200);
}

TEST_F(Reads, ATagChangesWhenAnythingOfTheAnswerDoes) {
  std::set<std::string> tags;
  host.ask(put("p/s", "text/plain", "0123456789"));
  EXPECT_TRUE(tags.insert(etag_of(host.ask(get("p/s")))).second);
  host.ask(post("p/s", "rest"));
  EXPECT_TRUE(tags.insert(etag_of(host.ask(get("p/s")))).second) << "it is the tail no more";
  host.ask(remove("p/s"));
  host.ask(put("p/s", "text/plain", "0123456789"));
  EXPECT_TRUE(tags.insert(etag_of(host.ask(get("p/s")))).second) << "another life";
  host.ask(close("p/s"));
  EXPECT_TRUE(tags.insert(etag_of(host.ask(get("p/s")))).second) << "closed";
}

TEST_F(Reads, WhatIsNoLongerInTheCacheIsReadBack) {
  EngineConfig small_config = config();
  small_config.tail_cache_bytes = 1;
  small_config.pending_loads_max = 2;
  TestHost small(small_config);
  small.loads = TestHost::When::kByHand;
  small.ask(put("p/s", "application/json", "[1,2]"));
  small.ask(post("p/s", "[\"three\"]", "application/json"));
  small.ask(put("p/other"));
  const uint64_t read = small.send(get("p/s"));
  const uint64_t corrupt = small.send(get("p/s"));
  ASSERT_EQ(small.waiting_loads(), 2u);
  const wire::Response refused = small.ask(get("p/s"));
  EXPECT_EQ(refused.error, ErrorCode::kOverloaded);
  EXPECT_TRUE(refused.retry_after_seconds.has_value());
  EXPECT_EQ(small.ask(get("p/other")).status, 200) << "what needs no load is not in the way";
  small.load();
  EXPECT_EQ(small.body(read), "[1,2,\"three\"]");
  EXPECT_TRUE(small.answer(read)->up_to_date);
  // What is before the damage is still given, and asked for by itself.
  small.load(TestHost::LoadEnd::kCorrupt);
  ASSERT_TRUE(small.waits(corrupt));
  small.load(TestHost::LoadEnd::kCorrupt);
  EXPECT_EQ(small.error(corrupt), ErrorCode::kCorruptData);
  EXPECT_EQ(small.status(corrupt), 500);
}

TEST_F(Reads, WhatIsBeforeADamagedMessageIsGiven) {
  EngineConfig small_config = config();
  small_config.tail_cache_bytes = 1;
  TestHost small(small_config);
  small.ask(put("p/s", "text/plain", "good"));
  const std::string good_end = small.tail("p/s");
  small.ask(post("p/s", "damaged"));
  small.ask(put("p/other"));
  small.loads = TestHost::When::kByHand;
  const uint64_t read = small.send(get("p/s"));
  small.load(TestHost::LoadEnd::kCorrupt);
  small.load();
  EXPECT_EQ(small.body(read), "good");
  EXPECT_EQ(small.next(read), good_end);
  EXPECT_FALSE(small.answer(read)->up_to_date);
  EXPECT_EQ(small.answer(read)->cache.kind, wire::CachePolicy::Kind::kNoStore);
}

TEST_F(Reads, WhatChangesWhileBytesAreOnTheirWay) {
  EngineConfig small_config = config();
  small_config.tail_cache_bytes = 1;
  TestHost small(small_config);
  small.loads = TestHost::When::kByHand;
  small.ask(put("p/s", "text/plain", "one"));
  small.ask(put("p/other"));
  const uint64_t read = small.send(get("p/s"));
  small.ask(post("p/s", "two"));
  small.load();
  EXPECT_EQ(small.body(read), "onetwo") << "a partial chunk would look like a full one";
  EXPECT_TRUE(small.answer(read)->up_to_date);
  small.ask(put("p/other2"));
  const uint64_t gone = small.send(get("p/s"));
  small.ask(remove("p/s"));
  small.load();
  EXPECT_EQ(small.error(gone), ErrorCode::kNotFound);
}

TEST_F(Reads, AFailedLoadIsA503) {
  EngineConfig small_config = config();
  small_config.tail_cache_bytes = 1;
  TestHost small(small_config);
  small.loads = TestHost::When::kByHand;
  small.ask(put("p/s", "text/plain", "x"));
  small.ask(put("p/other"));
  const uint64_t read = small.send(get("p/s"));
  small.load(TestHost::LoadEnd::kFailed);
  EXPECT_EQ(small.status(read), 503);
  const uint64_t gone = small.send(get("p/s"));
  small.disconnect(gone);
  small.load();
  EXPECT_TRUE(small.waits(gone));
}

TEST_F(Reads, LargeBodiesAreSharedNotCopied) {
  EngineConfig large;
  TestHost big(large);
  big.ask(put("p/s", "application/octet-stream", std::string(100000, 'a')));
  big.ask(post("p/s", std::string(100000, 'b'), "application/octet-stream"));
  const wire::Response one = big.ask(get("p/s"));
  const wire::Response two = big.ask(get("p/s"));
  ASSERT_EQ(one.body.size(), 2u);
  EXPECT_EQ(one.body[0].bytes.data(), two.body[0].bytes.data());
  EXPECT_EQ(body_of(one), std::string(100000, 'a') + std::string(100000, 'b'));
  big.ask(put("p/j", "application/json", "\"" + std::string(100000, 'c') + "\""));
  EXPECT_EQ(big.read("p/j"), "[\"" + std::string(100000, 'c') + "\"]");
}

TEST_F(Reads, EveryMalformedRequestIsA400AndChangesNothing) {
  host.ask(put("p/s", "text/plain", "x"));
  const std::string before = seen(host.ask(get("p/s")));
  const Request bad[] = {get("p/s", "offset="),
                         get("p/s", "offset=1"),
                         get("p/s", "live=sse"),
                         get("p/s", "offset=-1&offset=-1"),
                         get("p/s", "offset=-1&live=yes"),
                         post("p/s", ""),
                         post("p/s", "x", ""),
                         post("p/s", "x").with(HeaderId::kProducerId, "w"),
                         post("p/s", "x").producer("", 0, 0),
                         post("p/s", "[", "application/json"),
                         post("p/s", "[]", "application/json"),
                         put("p/n").ttl(1).with(HeaderId::kStreamExpiresAt, "2030-01-01T00:00:00Z"),
                         put("p/n").with(HeaderId::kStreamTtl, "01"),
                         put("p/n").at_offset("-1"),
                         put("p/n", "application/json", "{")};
  for (const Request& request : bad) EXPECT_EQ(host.ask_status(request), 400);
  EXPECT_EQ(seen(host.ask(get("p/s"))), before);
  EXPECT_EQ(host.engine().stats().streams, 1u);
  EXPECT_EQ(host.log_records(), 1u);
}

TEST(ReadsOfManySmallMessages, ReadersOfTheSameShareOneBody) {
  for (const char* type : {"text/plain", "application/json"}) {
    EngineConfig config;
    config.max_chunk_bytes = 200;
    TestHost host(config);
    host.ask(put("p/s", type));
    for (int i = 0; i < 100; ++i) host.ask(post("p/s", "1234", type));
    const wire::Response first = host.ask(get("p/s", "offset=-1"));
    const wire::Response second = host.ask(get("p/s", "offset=-1"));
    ASSERT_EQ(first.body.size(), 1U);
    ASSERT_NE(first.body[0].owner, nullptr);
    ASSERT_EQ(second.body.size(), 1U);
    EXPECT_EQ(first.body[0].owner, second.body[0].owner);
    // What follows is another body, also once there is more of it.
    const std::string query = "offset=" + text(*first.next_offset);
    const wire::Response rest = host.ask(get("p/s", query));
    EXPECT_NE(rest.body[0].owner, first.body[0].owner);
    host.ask(post("p/s", "56", type));
    const wire::Response more = host.ask(get("p/s", query));
    EXPECT_GE(more.body[0].bytes.size(), rest.body[0].bytes.size());
    EXPECT_EQ(host.ask(get("p/s", "offset=-1")).body[0].owner, first.body[0].owner);
  }
}

TEST(ReadsOfManySmallMessages, BodiesAndRecordsTogetherKeepToTheTailCachesMemory) {
  EngineConfig config;
  config.max_chunk_bytes = 4000;
  config.tail_cache_bytes = 40000;
  TestHost host(config);
  host.ask(put("p/s", "text/plain"));
  for (int i = 0; i < 1000; ++i) {
    host.ask(post("p/s", std::string(40, 'x')));
    host.ask(get("p/s", "offset=-1"));
    host.ask(get("p/s", "offset=" + host.tail("p/s")));
    EXPECT_LE(host.engine().stats().cache_bytes, config.tail_cache_bytes);
  }
}

}  // namespace
}  // namespace ds::engine
