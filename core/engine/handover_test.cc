// From catch-up to live delivery without a gap or a repetition, whatever happens in which order:
// appends, commits that come late or fail, sockets that fill up and drain, loads that take their
// time, messages that cross each other.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_host.h"
#include "core/engine/test_sse.h"
#include "core/wire/utf8.h"
#include "tests/support/mutations.h"

namespace ds::engine {
namespace {

using namespace test;
using tests::Random;
using wire::ContentKind;

struct Kind {
  ContentKind kind;
  std::string type;
  bool split = false;  // appends end, and begin, inside of characters
};
const Kind kKinds[] = {{ContentKind::kText, "text/plain"},
                       {ContentKind::kBinary, "application/octet-stream"},
                       {ContentKind::kJson, "application/json"}};
const Kind kSplitText{ContentKind::kText, "text/plain", true};

// A message, and its stored form.
std::pair<std::string, std::string> random_message(Random& random, const Kind& kind) {
  std::string body;
  if (kind.split) {
    constexpr std::string_view kBytes = "ab\xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80";
    const size_t from = random.below(kBytes.size());
    body = kBytes.substr(from, 1 + random.below(6));
    return {body, body};
  }
  switch (kind.kind) {
    case ContentKind::kText: {
      const char* const pieces[] = {"a", "bc", " ", "\n", "\n\n", "\xe2\x82\xac", "data:", ":"};
      for (uint64_t n = 1 + random.below(6); n > 0; --n) body += pieces[random.below(8)];
      return {body, body};
    }
    case ContentKind::kBinary:
      for (uint64_t n = 1 + random.below(9); n > 0; --n) {
        body += static_cast<char>(random.below(256));
      }
      return {body, body};
    case ContentKind::kJson:
      break;
  }
  std::string stored_form;
  const char* const values[] = {"1", "\"x,y\"", "{\"a\":[]}", "[2,3]", "null"};
  body = "[";
  for (uint64_t n = 1 + random.below(3); n > 0; --n) {
    const char* value = values[random.below(5)];
    if (body.size() > 1) body += ",";
    body += value;
    stored_form += std::string(value) + ",";
  }
  return {body + "]", stored_form};
}

class HandOver {
 public:
  HandOver(uint64_t seed, EngineConfig config, const Kind& kind)
      : random_(seed), kind_(kind), host_(config, 2), seals_(config.has_catalog) {
    host_.ask(put("p/source", kind_.type));
    for (uint64_t n = random_.below(5); n > 0; --n) append_now("p/source", inherited_);
    // Half of the streams are forks, of a stream that may live at the other engine.
    if (random_.below(2) == 0) {
      EXPECT_EQ(host_.ask(fork(path_, "p/source")).status, 201);
      content_ = inherited_;
    } else {
      host_.ask(put(path_, kind_.type));
      ends_.clear();
    }
    engine_ = host_.index_of(path_);
    host_.commits = TestHost::When::kByHand;
    host_.loads = TestHost::When::kByHand;
    host_.sockets = TestHost::When::kByHand;
  }

  void run(int steps) {
    while (steps-- > 0 && !::testing::Test::HasFailure()) step();
    finish();
  }

 private:
  struct Reader {
    uint64_t id = 0;
    Position start;
  };
  struct Pending {
    uint64_t id = 0;
    std::string stored_form;
    bool closes = false;
  };

  void append_now(const std::string& path, std::string& content) {
    const auto [body, stored_form] = random_message(random_, kind_);
    const wire::Response response = host_.ask(post(path, body, kind_.type));
    ASSERT_EQ(response.status, 204);
    content += stored_form;
    ends_.push_back(*response.next_offset);
  }

  void step() {
    if (seals_ && random_.below(10) == 0) {
      if (random_.below(2) == 0) host_.rotate();
      if (random_.below(2) == 0) host_.seal();
      if (random_.below(10) == 0) host_.make_cold();
    }
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
        append();
        break;
      case 3:
        host_.take(engine_);
        break;
      case 4:
      case 5:
        commit();
        break;
      case 6:
        open_reader();
        break;
      case 7:
        if (host_.waiting_loads() > 0) {
          host_.load(TestHost::LoadEnd::kOk, random_.below(host_.waiting_loads()));
        }
        break;
      case 8:
        if (Reader* reader = any_reader()) host_.deliver_from_socket(reader->id);
        break;
      case 9:
        if (Reader* reader = any_reader()) {
          Socket& socket = host_.socket(reader->id);
          if (socket.full) {
            host_.drain(reader->id);
          } else if (random_.below(3) == 0) {
            host_.stall(reader->id);
          }
        }
        break;
      default:
        if (Reader* reader = any_reader()) host_.deliver_to_socket(reader->id);
    }
  }

  void append() {
    if (closing_) return;
    const auto [body, stored_form] = random_message(random_, kind_);
    Request request = post(path_, body, kind_.type);
    const bool closes = random_.below(60) == 0;
    if (closes) request = request.closing();
    closing_ = closes;
    pending_.push_back({host_.send(request), stored_form, closes});
  }

  void commit() {
    const bool fails = random_.below(6) == 0;
    if (!host_.commit(engine_, fails ? CommitOutcome::kFailed : CommitOutcome::kDurable)) return;
    look_at_answers();
    if (!fails) return;
    EXPECT_TRUE(pending_.empty());
    closing_ = closed_;
  }

  void look_at_answers() {
    std::vector<Pending> left;
    for (const Pending& pending : pending_) {
      if (host_.waits(pending.id)) {
        left.push_back(pending);
      } else if (host_.status(pending.id) == 204) {
        content_ += pending.stored_form;
        ends_.push_back(*host_.answer(pending.id)->next_offset);
        EXPECT_EQ(ends_.back().position.value, content_.size());
        closed_ = closed_ || pending.closes;
      } else {
        EXPECT_EQ(host_.status(pending.id), 503);
      }
    }
    pending_ = left;
  }

  void open_reader() {
    std::string offset = "-1";
    Position start;
    if (!ends_.empty() && random_.below(2) == 0) {
      const Offset at = ends_[random_.below(ends_.size())];
      start = at.position;
      offset = text(at);
    } else if (random_.below(3) == 0) {
      offset = "now";
      start = host_.ask(head(path_)).next_offset->position;
    }
    const uint64_t id = host_.send(sse(path_, offset));
    ASSERT_TRUE(host_.is_sse(id));
    readers_.push_back({id, start});
  }

  Reader* any_reader() {
    if (readers_.empty()) return nullptr;
    return &readers_[random_.below(readers_.size())];
  }

  // Everything that is under way ends well, and every reader must have everything.
  void finish() {
    host_.commits = TestHost::When::kAtOnce;
    host_.loads = TestHost::When::kAtOnce;
    host_.sockets = TestHost::When::kAtOnce;
    host_.commit_all();
    look_at_answers();
    // So that nothing is held back any more.
    if (kind_.split && !closed_) append_now(path_, content_);
    if (kind_.split && !closed_) {
      host_.ask(close(path_));
      closed_ = true;
    }
    for (const Reader& reader : readers_) host_.drain(reader.id);
    for (const Reader& reader : readers_) check(reader);
  }

  void check(const Reader& reader) {
    const Socket& socket = host_.socket(reader.id);
    std::string got;
    Position told = reader.start;
    for (const SseEvent& event : parse_sse(socket.all())) {
      if (event.type == "data") {
        got += stored(kind_.kind, event.data);
        continue;
      }
      if (event.type != "control") continue;
      const auto offset = wire::parse_offset(field(event, "streamNextOffset"));
      ASSERT_TRUE(offset.has_value());
      EXPECT_GE(offset->at.position, told) << "offsets never go back";
      told = offset->at.position;
      if (kind_.split) continue;  // U+FFFD is longer than what it stands for
      EXPECT_EQ(told.value, reader.start.value + got.size())
          << "an offset says where its data ends";
    }
    std::string wanted = content_.substr(static_cast<size_t>(reader.start.value));
    if (kind_.split) {
      std::string lossy;
      wire::append_utf8_lossy(lossy, wanted);
      wanted = lossy;
    }
    // Whose queue was full when the stream ended comes back for the rest.
    if (socket.ended && socket.dropping) wanted.resize(got.size());
    EXPECT_EQ(got, wanted);
    EXPECT_EQ(socket.ended, closed_);
  }

  Random random_;
  const Kind kind_;
  TestHost host_;
  const bool seals_;
  const std::string path_ = "p/s";
  size_t engine_ = 0;
  std::string inherited_;
  std::string content_;
  std::vector<Offset> ends_;  // of messages that are committed, as they were answered
  std::vector<Pending> pending_;
  std::vector<Reader> readers_;
  bool closing_ = false;
  bool closed_ = false;
};

TEST(HandOver, NothingIsLostAndNothingComesTwiceFromTheCache) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EngineConfig config;
    config.max_chunk_bytes = 1 + seed % 40;
    HandOver(seed, config, kKinds[seed % 3]).run(120);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(HandOver, NothingIsLostAndNothingComesTwiceFromTheLog) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EngineConfig config;
    config.max_chunk_bytes = 1 + seed % 40;
    config.tail_cache_bytes = 1 + seed % 300;
    HandOver(seed, config, kKinds[seed % 3]).run(120);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(HandOver, NothingIsLostAndNothingComesTwiceWhileSealing) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EngineConfig config;
    config.max_chunk_bytes = 1 + seed % 40;
    config.tail_cache_bytes = 1 + seed % 300;
    config.has_catalog = true;
    config.evict_after = Duration{};
    const bool split = seed % 4 == 3;
    if (split) config.max_chunk_bytes += 30;
    HandOver(seed, config, split ? kSplitText : kKinds[seed % 3]).run(120);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(HandOver, NothingIsLostAndNothingComesTwiceWhereCharactersAreSplit) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EngineConfig config;
    config.max_chunk_bytes = 30 + seed % 40;
    config.tail_cache_bytes = seed % 2 == 0 ? 1 : 1 << 20;
    HandOver(seed, config, kSplitText).run(120);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace ds::engine
