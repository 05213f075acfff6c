// Reads that cross from segments to the log to what is live: the same answers wherever the bytes
// are.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_cold.h"
#include "tests/support/mutations.h"

namespace ds::engine {
namespace {

using namespace test;
using tests::Random;
using wire::ContentKind;
using When = TestHost::When;

EngineConfig small_chunks() {
  EngineConfig config = cold_config();
  config.max_chunk_bytes = 16;
  config.tail_cache_bytes = 1;
  return config;
}

class ColdReads : public ColdTest {
 protected:
  ColdReads() : ColdTest(small_chunks()) {}
};

// --- Across the borders -------------------------------------------------------------------------

TEST_F(ColdReads, AChunkIsPutTogetherFromSegmentsLogAndCache) {
  host.ask(put("p/s", "text/plain", "aaa"));
  host.ask(post("p/s", "bbb"));
  make_cold();
  host.ask(post("p/s", "ccc"));
  host.ask(post("p/s", "ddd"));
  host.loads = When::kByHand;
  const uint64_t read = host.send(get("p/s"));
  host.load();  // sealed
  EXPECT_TRUE(host.waits(read));
  host.load();  // from the log; the newest batch is in the cache
  EXPECT_EQ(host.body(read), "aaabbbcccddd");
  EXPECT_TRUE(host.answer(read)->up_to_date);
  // What comes while it is under way belongs to it, up to the boundary.
  const uint64_t second = host.send(get("p/s"));
  host.load();
  host.ask(post("p/s", "eeeeee"));
  host.ask(post("p/s", "ffffff"));
  while (host.waits(second)) host.load();
  EXPECT_EQ(host.body(second), "aaabbbcccdddeeeeee");
  EXPECT_FALSE(host.answer(second)->up_to_date);
}

TEST_F(ColdReads, WhatIsSealedWhileItIsReadIsLookedForAgain) {
  host.ask(put("p/s", "text/plain", "aaa"));
  host.ask(post("p/s", "bbb"));
  host.ask(put("p/other"));  // pushes it out of the cache
  host.loads = When::kByHand;
  const uint64_t read = host.send(get("p/s"));
  ASSERT_EQ(host.waiting_loads(), 1u);
  host.seal_all();
  host.load();
  ASSERT_EQ(host.waiting_loads(), 1u) << "now from the segment";
  host.load();
  EXPECT_EQ(host.body(read), "aaabbb");
}

TEST_F(ColdReads, AReaderFollowsFromSegmentsOverTheLogToWhatIsLiveOnceEach) {
  struct Case {
    ContentKind kind;
    std::string type;
    std::vector<std::string> messages;
    std::string stored;
  };
  const std::string text_in_two = "\xe2\x82\xac";
  const Case cases[] = {
      {ContentKind::kText,
       "text/plain",
       {"one ", "two\n", "three", " four"},
       "one two\nthree four"},
      {ContentKind::kJson,
       "application/json",
       {"1", "[2,[3]]", "{\"a\":4}", "null"},
       "1,2,[3],{\"a\":4},null,"},
      {ContentKind::kBinary,
       "application/octet-stream",
       {"\x01\x02", "\xff", "x", "\x80\x81"},
       "\x01\x02\xffx\x80\x81"},
      {ContentKind::kText,
       "text/plain",
       {"a" + text_in_two.substr(0, 1), text_in_two.substr(1, 1), text_in_two.substr(2), "b"},
       "a\xe2\x82\xac"
       "b"}};
  // How many messages are sealed, and how many are then only in the log.
  for (const Case& one : cases) {
    for (size_t sealed = 0; sealed <= 3; ++sealed) {
      for (size_t logged = sealed; logged <= 3; ++logged) {
        SCOPED_TRACE(one.type + " " + std::to_string(sealed) + " " + std::to_string(logged));
        const std::string path = "p/s";
        host.ask(put(path, one.type));
        size_t i = 0;
        for (; i < sealed; ++i) host.ask(post(path, one.messages[i], one.type));
        host.make_cold();
        for (; i < logged; ++i) host.ask(post(path, one.messages[i], one.type));
        const uint64_t events = host.send(sse(path, "-1"));
        for (; i < 4; ++i) {
          host.ask(post(path, one.messages[i], one.type));
          if (i % 2 == 1) host.seal_all();
        }
        host.ask(close(path));
        std::string got;
        for (const SseEvent& event : parse_sse(host.socket(events).all())) {
          if (event.type == "data") got += stored(one.kind, event.data);
        }
        EXPECT_EQ(got, one.stored);
        EXPECT_TRUE(host.socket(events).ended);
        // The same by polling, from the offset that each answer gives.
        std::string polled;
        std::string offset = "-1";
        for (int polls = 0; polls < 10; ++polls) {
          const wire::Response answer = host.ask(poll(path, offset));
          if (answer.status == 204) break;
          std::string body = body_of(answer);
          if (one.kind == ContentKind::kJson) body = body.substr(1, body.size() - 2) + ",";
          polled += body;
          offset = text(*answer.next_offset);
        }
        EXPECT_EQ(polled, one.stored);
        host.ask(test::remove(path));
      }
    }
  }
}

TEST_F(ColdReads, APollThatWaitedIsAnsweredThoughItsStreamHasBeenSealed) {
  host.ask(put("p/s", "text/plain", "one"));
  make_cold();
  const uint64_t waiting = host.send(poll("p/s", host.tail("p/s")));
  host.make_cold();
  EXPECT_TRUE(host.waits(waiting));
  host.ask(post("p/s", " two"));
  EXPECT_EQ(host.body(waiting), " two");
}

TEST_F(ColdReads, AHeldBackEndInASegmentIsSentWithWhatCompletesIt) {
  host.ask(put("p/s", "text/plain", "a"));
  host.ask(post("p/s", "\xe2\x82"));
  make_cold();
  const uint64_t events = host.send(sse("p/s", "-1"));
  host.make_cold();
  host.ask(post("p/s", "\xac"));
  std::string got;
  for (const SseEvent& event : parse_sse(host.socket(events).all())) {
    if (event.type == "data") got += event.data;
  }
  EXPECT_EQ(got, "a\xe2\x82\xac");
}

// --- Damage -------------------------------------------------------------------------------------

TEST_F(ColdReads, ADamagedMessageIsRefusedAndNothingElse) {
  std::vector<Offset> ends{*host.ask(put("p/s", "text/plain", "aaa")).next_offset};
  for (const char* more : {"bbb", "ccc", "ddd"}) {
    ends.push_back(*host.ask(post("p/s", more)).next_offset);
  }
  make_cold();
  host.catalog().damage(ends[2].position);
  const wire::Response before = host.ask(get("p/s"));
  EXPECT_EQ(before.status, 200);
  EXPECT_EQ(body_of(before), "aaa");
  EXPECT_FALSE(before.up_to_date);
  EXPECT_EQ(before.cache.kind, wire::CachePolicy::Kind::kNoStore) << "it may be mended";
  EXPECT_EQ(host.read("p/s", "offset=" + text(ends[0])), "bbb");
  const wire::Response at = host.ask(get("p/s", "offset=" + text(ends[1])));
  EXPECT_EQ(at.status, 500);
  EXPECT_EQ(at.error, ErrorCode::kCorruptData);
  EXPECT_EQ(host.read("p/s", "offset=" + text(ends[2])), "ddd");
  EXPECT_EQ(host.ask_status(post("p/s", "eee")), 204);
  EXPECT_EQ(host.read("p/s", "offset=" + text(ends[2])), "dddeee");
}

// --- Revalidation -------------------------------------------------------------------------------

TEST_F(ColdReads, ATagOfASealedChunkIsRecognised) {
  host.ask(put("p/s", "text/plain", "0123456789"));
  host.ask(post("p/s", "0123456789"));
  host.ask(post("p/s", "last"));
  const wire::Response hot = host.ask(get("p/s"));
  const auto tag = [](const wire::Response& response) {
    const std::string all = seen(response);
    const size_t at = all.find("ETag: ") + 6;
    return all.substr(at, all.find('\r', at) - at);
  };
  make_cold();
  for (const std::string& wanted : {tag(hot), "\"other\", " + tag(hot), std::string("*")}) {
    const Request conditional = get("p/s").with(HeaderId::kIfNoneMatch, wanted);
    const wire::Response answer = host.ask(conditional);
    EXPECT_EQ(answer.status, 304) << wanted;
    EXPECT_EQ(answer.next_offset, hot.next_offset);
    EXPECT_TRUE(body_of(answer).empty());
    make_cold();
  }
  const wire::Response other = host.ask(get("p/s").with(HeaderId::kIfNoneMatch, "\"other\""));
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(seen(other), seen(hot));
}

// --- Before and after ---------------------------------------------------------------------------

// The same history in two servers, of which one seals, forgets and restarts.
class SameReads {
 public:
  explicit SameReads(uint64_t seed)
      : random_(seed), sealed_(config_of(seed, true), 2), plain_(config_of(seed, false), 2) {
    const std::string types[] = {"text/plain", "application/json", "application/octet-stream"};
    type_ = types[seed % 3];
    both(put("p/s", type_));
    paths_.emplace_back("p/s");
  }

  void run(int steps) {
    while (steps-- > 0 && !::testing::Test::HasFailure()) {
      both_advance(seconds(1));
      switch (random_.below(9)) {
        case 0:
          seal_something();
          break;
        case 1:
          add_fork();
          break;
        case 8:
          if (random_.below(3) == 0) trim();
          break;
        case 2:
        case 3:
        case 4:
          append();
          break;
        default:
          read();
      }
    }
    // At last everything there is, from every place.
    for (int round = 0; round < 2 && !::testing::Test::HasFailure(); ++round) {
      for (const std::string& path : paths_) {
        expect_same(head(path));
        expect_same(get(path));
        for (const std::string& offset : offsets_) expect_same(get(path, "offset=" + offset));
      }
      sealed_.make_cold();
      both_catch_up();
      sealed_.restart();
    }
  }

 private:
  static EngineConfig config_of(uint64_t seed, bool seals) {
    EngineConfig config;
    config.max_chunk_bytes = 1 + seed % 50;
    config.has_catalog = seals;
    config.evict_after = Duration{};
    if (seals) config.tail_cache_bytes = 1 + seed % 400;
    return config;
  }

  void both_advance(Duration by) {
    sealed_.advance(by);
    plain_.advance(by);
  }
  void both_catch_up() { plain_.advance(sealed_.now() - plain_.now()); }

  const std::string& any_path() { return paths_[random_.below(paths_.size())]; }

  wire::Response both(const Request& request) {
    const wire::Response a = sealed_.ask(request);
    const wire::Response b = plain_.ask(request);
    EXPECT_EQ(seen(a), seen(b)) << request.path << "?" << request.query;
    return b;
  }
  void expect_same(const Request& request) { both(request); }

  void append() {
    std::string body(1 + random_.below(20), static_cast<char>('a' + random_.below(26)));
    if (type_ == "application/json") {
      body = "[1";
      for (uint64_t n = random_.below(4); n > 0; --n) body += ",\"" + std::to_string(n) + "\"";
      body += "]";
    }
    const wire::Response answer = both(post(any_path(), body, type_));
    if (answer.next_offset) offsets_.push_back(text(*answer.next_offset));
  }

  void add_fork() {
    if (paths_.size() > 8) return;
    const std::string path = "p/f" + std::to_string(paths_.size());
    Request request = fork(path, any_path());
    if (!offsets_.empty() && random_.below(3) > 0) {
      request = request.at_offset(offsets_[random_.below(offsets_.size())]);
      if (random_.below(2) == 0) request = request.sub_offset(1 + random_.below(3));
    }
    if (both(request).status == 201) paths_.push_back(path);
  }

  // What is before some message's end is dropped.
  void trim() {
    const std::string& path = any_path();
    std::string query;
    if (!offsets_.empty()) query = "offset=" + offsets_[random_.below(offsets_.size())];
    const wire::Response answer = both(get(path, query));
    if (answer.status != 200 || !answer.etag) return;
    for (TestHost* host : {&sealed_, &plain_}) {
      host->trim(answer.etag->life, path_hash(path), answer.next_offset->position);
    }
  }

  void read() {
    Request request = get(any_path());
    if (!offsets_.empty() && random_.below(4) > 0) {
      request.query = "offset=" + offsets_[random_.below(offsets_.size())];
    }
    const wire::Response answer = both(request);
    if (answer.next_offset) offsets_.push_back(text(*answer.next_offset));
  }

  void seal_something() {
    switch (random_.below(5)) {
      case 0:
        sealed_.rotate();
        break;
      case 1:
        sealed_.seal();
        break;
      case 2:
        sealed_.make_cold();
        both_catch_up();
        break;
      case 3:
        sealed_.seal_all();
        break;
      default:
        sealed_.restart();
    }
  }

  Random random_;
  TestHost sealed_;
  TestHost plain_;
  std::string type_;
  std::vector<std::string> paths_;
  std::vector<std::string> offsets_;
};

TEST(SealedReads, BoundariesTagsTimesAndBodiesAreThoseOfAServerThatSealsNothing) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SameReads(seed).run(100);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace ds::engine
