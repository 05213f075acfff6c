// What a restart makes of the log.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_host.h"
#include "tests/support/mutations.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;
using tests::Random;

class Recovery : public ::testing::Test {
 protected:
  TestHost host;
};

// All that HEAD and GET say about a path, chunk by chunk.
std::string everything(TestHost& host, const std::string& path) {
  std::string out = seen(host.ask(head(path)));
  std::string query;
  for (int chunk = 0; chunk < 100; ++chunk) {
    const wire::Response response = host.ask(get(path, query));
    out += seen(response);
    if (response.status != 200 || response.up_to_date) return out;
    query = "offset=" + text(*response.next_offset);
  }
  ADD_FAILURE() << "no end to " << path;
  return out;
}

TEST_F(Recovery, AnAnsweredWriteIsThereAndAnUnansweredOneIsNot) {
  host.ask(put("p/s", "text/plain", "one"));
  host.ask(post("p/s", "two").producer("w", 2, 0).with(HeaderId::kStreamSeq, "b"));
  const std::string tail = host.tail("p/s");
  host.commits = TestHost::When::kByHand;
  const uint64_t lost = host.send(post("p/s", "three").closing());
  host.take();
  host.restart();
  host.commits = TestHost::When::kAtOnce;
  EXPECT_TRUE(host.waits(lost));
  EXPECT_EQ(host.tail("p/s"), tail);
  EXPECT_EQ(host.read("p/s"), "onetwo");
  // Writers meet the state they left.
  EXPECT_EQ(host.ask(post("p/s", "x").with(HeaderId::kStreamSeq, "b")).error,
            ErrorCode::kSequenceRegression);
  EXPECT_EQ(host.ask(post("p/s", "x").producer("w", 1, 5)).error, ErrorCode::kProducerFenced);
  const wire::Response again = host.ask(post("p/s", "two").producer("w", 2, 0));
  EXPECT_EQ(again.status, 204);
  EXPECT_EQ(text(*again.next_offset), tail);
  EXPECT_EQ(host.ask(post("p/s", "3").producer("w", 2, 1)).status, 200);
  EXPECT_EQ(host.read("p/s"), "onetwo3");
}

TEST_F(Recovery, OffsetsStayWhatTheyWere) {
  std::vector<std::string> offsets{text(*host.ask(put("p/s")).next_offset)};
  for (int i = 0; i < 600; ++i) offsets.push_back(text(*host.ask(post("p/s", "x")).next_offset));
  host.restart(3);
  for (size_t i = 0; i < offsets.size(); i += 37) {
    EXPECT_EQ(host.read("p/s", "offset=" + offsets[i]).size(), 600 - i);
  }
}

TEST_F(Recovery, ADeletedStreamStaysDeletedAndANewLifeIsNewer) {
  const std::string old = text(*host.ask(put("p/s", "text/plain", "old")).next_offset);
  host.ask(remove("p/s"));
  host.restart();
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_LT(old, text(*host.ask(put("p/s", "text/plain", "new")).next_offset));
  EXPECT_EQ(host.ask_status(get("p/s", "offset=" + old)), 410);
}

TEST_F(Recovery, ARecordThatCannotFollowIsRefused) {
  host.ask(put("p/s", "text/plain", "one"));
  host.ask(post("p/s", "two"));
  EngineConfig config;
  // A log that begins in the middle of a stream.
  class Alone : public Engine::Peers {
   public:
    explicit Alone(Engine& engine) : engine_(engine) {}
    Engine& owner_of(uint64_t) override { return engine_; }
    std::optional<std::string> sealed_snapshot(Incarnation) override { return std::nullopt; }

   private:
    Engine& engine_;
  };
  std::string records;
  stream::Op op;
  op.type = OpType::kAppend;
  op.stream = Incarnation{5};
  op.payload = "x";
  op.path_hash = path_hash("p/s");
  stream::append_record(records, op);
  Engine engine(config, 0, HashKey{});
  Alone peers(engine);
  EXPECT_FALSE(engine.replay(records, log_position(1, 64), peers));
  records[20] = static_cast<char>(records[20] ^ 1);
  EXPECT_FALSE(engine.replay(records, log_position(1, 64), peers));
  EXPECT_FALSE(engine.replay("", log_position(1, 64), peers));
}

// --- Answered writes that are lost (relaxed durability) -----------------------------------------

TEST_F(Recovery, AfterLostWritesEveryStreamGoesOnUnderANewLife) {
  const std::string kept = text(*host.ask(put("p/s", "text/plain", "one")).next_offset);
  const std::string begin = text({host.ask(head("p/s")).next_offset->life, Position{0}});
  const std::string lost = text(*host.ask(post("p/s", "two")).next_offset);
  host.lose_records(1);
  host.restart(1, true);
  EXPECT_EQ(host.read("p/s"), "one");
  EXPECT_EQ(host.tail("p/s"), kept) << "what was not lost keeps its offsets";
  EXPECT_EQ(host.read("p/s", "offset=" + begin), "one");
  // Who has seen what was lost is told so.
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
  EXPECT_EQ(host.ask(poll("p/s", lost)).error, ErrorCode::kOffsetGone);
  const std::string next = text(*host.ask(post("p/s", "2!!")).next_offset);
  EXPECT_NE(next, lost) << "no offset is given twice";
  EXPECT_LT(lost, next);
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
  EXPECT_EQ(host.read("p/s", "offset=" + kept), "2!!");
  EXPECT_EQ(host.read("p/s", "offset=" + next), "");
  host.restart();
  EXPECT_EQ(host.tail("p/s"), next);
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
}

TEST_F(Recovery, AnAppendRightAfterLostWritesShowsTheNewLife) {
  host.ask(put("p/s", "text/plain", "one"));
  const std::string lost = text(*host.ask(post("p/s", "two")).next_offset);
  host.lose_records(1);
  host.commits = TestHost::When::kByHand;
  host.restart(1, true);
  const uint64_t appended = host.send(post("p/s", "2").producer("w", 0, 0));
  const uint64_t again = host.send(post("p/s", "2").producer("w", 0, 0));
  const uint64_t match = host.send(post("p/s", "3").if_match("0000000000000000_0000000000000001"));
  const uint64_t same = host.send(put("p/s"));
  host.commit_all();
  EXPECT_EQ(host.status(appended), 200);
  EXPECT_EQ(host.next(appended), host.tail("p/s"));
  EXPECT_EQ(host.next(again), host.tail("p/s"));
  EXPECT_EQ(host.next(match), host.tail("p/s"));
  EXPECT_EQ(host.next(same), host.tail("p/s"));
  EXPECT_EQ(host.ask_status(get("p/s", "offset=" + host.next(appended))), 200);
}

TEST_F(Recovery, NothingIsWrittenUnderALifeThatHasLostWrites) {
  host.ask(put("p/s", "text/plain", "one"));
  const std::string lost = text(*host.ask(post("p/s", "two")).next_offset);
  host.lose_records(1);
  host.commits = TestHost::When::kByHand;
  host.restart(1, true);
  ASSERT_TRUE(host.fail());  // the new life could not be recorded
  const uint64_t appended = host.send(post("p/s", "2!!"));
  host.commit_all();
  EXPECT_EQ(host.status(appended), 204);
  EXPECT_NE(host.next(appended), lost);
  EXPECT_EQ(host.next(appended), host.tail("p/s"));
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
}

TEST_F(Recovery, ANewLifeThatCouldNotBeRecordedIsTriedAgain) {
  host.ask(put("p/s", "text/plain", "one"));
  const std::string lost = text(*host.ask(post("p/s", "two")).next_offset);
  host.lose_records(1);
  host.commits = TestHost::When::kByHand;
  host.restart(1, true);
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
  ASSERT_TRUE(host.fail());
  host.advance(seconds(2));
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
  ASSERT_TRUE(host.fail());
  host.advance(seconds(2));
  EXPECT_TRUE(host.commit());
  EXPECT_FALSE(host.commit());
  EXPECT_EQ(host.ask(get("p/s", "offset=" + lost)).error, ErrorCode::kOffsetGone);
}

TEST_F(Recovery, LostWritesTwice) {
  host.ask(put("p/s", "text/plain", "one"));
  std::vector<std::string> lost;
  for (int i = 0; i < 3; ++i) {
    lost.push_back(text(*host.ask(post("p/s", "two")).next_offset));
    host.lose_records(1);
    host.restart(2, true);
    EXPECT_EQ(host.read("p/s"), "one");
  }
  const std::string next = text(*host.ask(post("p/s", "2!!")).next_offset);
  for (const std::string& offset : lost) {
    EXPECT_LT(offset, next);
    EXPECT_EQ(host.ask(get("p/s", "offset=" + offset)).error, ErrorCode::kOffsetGone) << offset;
  }
  EXPECT_EQ(host.read("p/s"), "one2!!");
}

TEST_F(Recovery, ForksAfterLostWrites) {
  host.ask(put("p/s", "text/plain", "one"));
  host.ask(fork("p/f", "p/s"));
  const std::string lost = text(*host.ask(post("p/f", "two")).next_offset);
  host.lose_records(1);
  host.restart(2, true);
  EXPECT_EQ(host.read("p/f"), "one");
  EXPECT_EQ(host.ask(get("p/f", "offset=" + lost)).error, ErrorCode::kOffsetGone);
  const std::string next = text(*host.ask(post("p/f", "2")).next_offset);
  EXPECT_LT(lost, next);
  EXPECT_EQ(host.ask_status(fork("p/g", "p/f")), 201);
  const std::string newest = text(*host.ask(post("p/g", "!")).next_offset);
  EXPECT_LT(next, newest);
  EXPECT_EQ(host.read("p/g"), "one2!");
  EXPECT_EQ(host.read("p/g", "offset=" + next), "!");
}

// --- Random histories ---------------------------------------------------------------------------

class Histories {
 public:
  explicit Histories(uint64_t seed)
      : random_(seed), host_(config(seed), static_cast<uint32_t>(1 + seed % 3)) {}

  void run() {
    for (int i = 0; i < 150 && !::testing::Test::HasFailure(); ++i) step();
    host_.commits = TestHost::When::kAtOnce;
    host_.peers = TestHost::When::kAtOnce;
    host_.commit_all();
    host_.advance(seconds(2));  // what failed is tried again
    // The same log at as many engines, and at fewer or more, says the same.
    for (const uint32_t count : {static_cast<uint32_t>(host_.engines()), 1u, 4u}) {
      const auto twin = host_.twin(count);
      for (const std::string& path : paths_) {
        EXPECT_EQ(everything(host_, path), everything(*twin, path)) << path << " of " << count;
      }
    }
    size_t streams = 0;
    for (size_t i = 0; i < host_.engines(); ++i) streams += host_.engine(i).stats().streams;
    const auto twin = host_.twin(1);
    EXPECT_EQ(streams, twin->engine().stats().streams);
    EXPECT_EQ(pins(host_), pins(*twin)) << "no pin is left without a fork";
  }

 private:
  static EngineConfig config(uint64_t seed) {
    EngineConfig out;
    out.max_chunk_bytes = 1 + seed % 50;
    out.tail_cache_bytes = 1 + seed % 1000;
    return out;
  }
  static int pins(const TestHost& host) {
    return host.ops(OpType::kPin) - host.ops(OpType::kUnpin);
  }
  const std::string& any() { return paths_[random_.below(paths_.size())]; }
  Request random_request() {
    const std::string& path = any();
    switch (random_.below(12)) {
      case 0:
        return put(path, "text/plain", random_.below(2) == 0 ? "" : "first");
      case 1:
        return put(path, "application/json", "[1,2,3]").ttl(1000000);
      case 2:
        return remove(path);
      case 3:
        return random_.below(5) == 0 ? close(path) : get(path);
      case 4:
      case 5: {
        Request request = fork(path, any());
        if (random_.below(2) == 0 && !offsets_.empty()) {
          request = request.at_offset(offsets_[random_.below(offsets_.size())]);
          if (random_.below(2) == 0) request = request.sub_offset(random_.below(4));
        }
        return request;
      }
      case 6:
        return post(path, "ab").producer("w", random_.below(3), random_.below(5));
      case 7:
        return post(path, "[4,5,6]", "application/json");
      default:
        return post(path, std::string(1 + random_.below(8), 'x'));
    }
  }

  void step() {
    host_.commits = random_.below(3) == 0 ? TestHost::When::kAtOnce : TestHost::When::kByHand;
    host_.peers = random_.below(2) == 0 ? TestHost::When::kAtOnce : TestHost::When::kByHand;
    if (random_.below(60) == 0) {
      host_.restart(static_cast<uint32_t>(1 + random_.below(3)));
      ids_.clear();
    }
    ids_.push_back(host_.send(random_request()));
    const size_t engine = random_.below(host_.engines());
    if (random_.below(3) == 0) host_.take(engine);
    if (random_.below(3) == 0) host_.commit(engine);
    if (random_.below(8) == 0) host_.fail(engine);
    if (host_.waiting_messages() > 0 && random_.below(2) == 0) {
      host_.deliver_message(random_.below(host_.waiting_messages()));
    }
    host_.advance(milliseconds(static_cast<int64_t>(random_.below(900))));
    for (const uint64_t id : ids_) {
      const wire::Response* response = host_.answer(id);
      if (response == nullptr) continue;
      EXPECT_NE(response->status, 500);
      if (response->next_offset) offsets_.push_back(text(*response->next_offset));
    }
    std::erase_if(ids_, [this](uint64_t id) { return !host_.waits(id); });
    if (random_.below(20) == 0) {
      while (host_.waiting_messages() > 0) host_.deliver_message();
      host_.commit_all();
      while (host_.waiting_messages() > 0) host_.deliver_message();
    }
  }

  Random random_;
  TestHost host_;
  const std::vector<std::string> paths_{"p/a", "p/b", "p/c", "p/d", "p/e"};
  std::vector<std::string> offsets_;
  std::vector<uint64_t> ids_;
};

TEST_F(Recovery, AReplayAnswersAsTheServerDidWhateverHappened) {
  for (uint64_t seed = 1; seed <= 700; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Histories(seed).run();
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace ds::engine
