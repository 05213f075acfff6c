// Retention: what a stream drops of its beginning, and who still has it (PROTOCOL §4).
#include <gtest/gtest.h>

#include <string>

#include "core/engine/test_cold.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;
using When = TestHost::When;

class Retention : public ColdTest {
 protected:
  Retention() : ColdTest(cold_config(), 2) {
    first = *host.ask(put("p/s", "text/plain", "one ")).next_offset;
    second = *host.ask(post("p/s", "two ")).next_offset;
    third = *host.ask(post("p/s", "three")).next_offset;
  }
  void trim_to(Offset offset) { trim("p/s", offset.position); }
  void expect_trimmed(const Request& request, Offset earliest) {
    const wire::Response answer = host.ask(request);
    EXPECT_EQ(answer.status, 410) << request.query;
    EXPECT_EQ(answer.error, ErrorCode::kOffsetTrimmed);
    EXPECT_EQ(answer.earliest_offset, earliest);
    EXPECT_NE(seen(answer).find("Stream-Earliest-Offset: " + text(earliest)), std::string::npos);
    EXPECT_NE(seen(answer).find("offset_trimmed"), std::string::npos);
  }
  Offset before_first() const { return {first.life, Position{0}}; }

  Offset first, second, third;
};

TEST_F(Retention, ItsBoundsAreShownAndPartOfWhatAStreamIs) {
  const Request bounded =
      put("p/r").with(HeaderId::kStreamMaxAge, "3600").with(HeaderId::kStreamMaxBytes, "1000");
  EXPECT_EQ(host.ask_status(bounded), 201);
  for (int round = 0; round < 2; ++round) {
    const wire::Response meta = host.ask(head("p/r"));
    EXPECT_EQ(meta.max_age_seconds, 3600u);
    EXPECT_EQ(meta.max_bytes, 1000u);
    EXPECT_FALSE(meta.earliest_offset.has_value()) << "everything is there";
    EXPECT_EQ(host.ask_status(bounded), 200);
    EXPECT_EQ(host.ask_status(put("p/r")), 409);
    EXPECT_EQ(host.ask_status(put("p/r").with(HeaderId::kStreamMaxAge, "3600")), 409);
    make_cold();
  }
  const wire::Response unbounded = host.ask(head("p/s"));
  EXPECT_FALSE(unbounded.max_age_seconds.has_value());
  EXPECT_FALSE(unbounded.max_bytes.has_value());
}

TEST_F(Retention, WhatIsDroppedIs410AndTheBeginningIsWhatIsLeft) {
  trim_to(second);
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    for (const Offset offset : {before_first(), first}) {
      expect_trimmed(get("p/s", "offset=" + text(offset)), second);
      expect_trimmed(poll("p/s", text(offset)), second);
      expect_trimmed(sse("p/s", text(offset)), second);
    }
    for (const std::string query : {"", "offset=-1", "offset=0000000000000000_0000000000000000"}) {
      const wire::Response answer = host.ask(get("p/s", query));
      EXPECT_EQ(answer.status, 200) << query;
      EXPECT_EQ(body_of(answer), "three");
    }
    EXPECT_EQ(host.read("p/s", "offset=" + text(second)), "three");
    EXPECT_EQ(host.read("p/s", "offset=" + text(third)), "");
    EXPECT_EQ(body_of(host.ask(poll("p/s", "-1"))), "three");
    const wire::Response meta = host.ask(head("p/s"));
    EXPECT_EQ(meta.earliest_offset, second);
    EXPECT_EQ(meta.next_offset, third);
    if (round == 0) make_cold();
    if (round == 1) host.restart();
    if (round == 2) {
      make_cold();
      host.restart();
    }
  }
}

TEST_F(Retention, EverythingMayGoAndTheStreamGoesOn) {
  trim_to(third);
  make_cold();
  EXPECT_EQ(host.read("p/s"), "");
  EXPECT_EQ(host.ask(head("p/s")).earliest_offset, third);
  expect_trimmed(get("p/s", "offset=" + text(second)), third);
  EXPECT_EQ(host.ask_status(post("p/s", "four").if_match(text(third))), 204);
  make_cold();
  EXPECT_EQ(host.read("p/s"), "four");
  EXPECT_EQ(host.read("p/s", "offset=" + text(third)), "four");
}

TEST_F(Retention, ItNeverGoesBackNorPastTheTail) {
  trim("p/s", Position{third.position.value + 1});
  EXPECT_EQ(host.ops(OpType::kTrim), 0);
  trim("p/s", Position{0});
  EXPECT_EQ(host.ops(OpType::kTrim), 0);
  trim_to(second);
  EXPECT_EQ(host.ops(OpType::kTrim), 1);
  trim_to(first);
  trim_to(second);
  EXPECT_EQ(host.ops(OpType::kTrim), 1);
  // Neither do two that cross each other.
  host.commits = When::kByHand;
  host.trim(first.life, path_hash("p/s"), third.position);
  host.commit_all();
  EXPECT_EQ(host.ask(head("p/s")).earliest_offset, third);
}

TEST_F(Retention, ATrimIsOverWhenItIsDurable) {
  host.commits = When::kByHand;
  host.trim(first.life, path_hash("p/s"), second.position);
  EXPECT_EQ(host.read("p/s"), "one two three");
  host.commit(host.index_of("p/s"), CommitOutcome::kFailed);
  EXPECT_EQ(host.read("p/s"), "one two three");
  host.trim(first.life, path_hash("p/s"), first.position);
  host.trim(first.life, path_hash("p/s"), second.position);
  host.commit_all();
  EXPECT_EQ(host.read("p/s"), "three");
}

TEST_F(Retention, AStreamThatIsNotInMemoryIsTrimmedAllTheSame) {
  make_cold();
  host.trim(first.life, path_hash("p/s"), second.position);
  EXPECT_EQ(host.ops(OpType::kTrim), 1);
  make_cold();
  EXPECT_EQ(host.read("p/s"), "three");
  // Also when it may have lost writes and has gone on under no new life yet.
  make_cold();
  host.restart(2, true);
  host.trim(first.life, path_hash("p/s"), third.position);
  EXPECT_EQ(host.ask(head("p/s")).earliest_offset, third);
  host.ask(post("p/s", "four"));
  EXPECT_EQ(host.read("p/s"), "four");
  const Position tail_four = tail("p/s").position;
  // And nothing happens to one that is gone.
  host.ask(test::remove("p/s"));
  host.trim(first.life, path_hash("p/s"), tail_four);
  make_cold();
  host.trim(first.life, path_hash("p/s"), tail_four);
  EXPECT_EQ(host.ops(OpType::kTrim), 0);
}

TEST_F(Retention, AReadThatIsOvertakenIsToldSo) {
  make_cold();
  host.loads = When::kByHand;
  const uint64_t read = host.send(get("p/s"));
  const uint64_t polling = host.send(poll("p/s", text(first)));
  const uint64_t events = host.send(sse("p/s", text(first)));
  ASSERT_EQ(host.waiting_loads(), 3u);
  host.trim(first.life, path_hash("p/s"), second.position);
  host.seal_all();
  host.loads = When::kAtOnce;
  host.load();
  for (const uint64_t id : {read, polling}) {
    EXPECT_EQ(host.error(id), ErrorCode::kOffsetTrimmed);
    EXPECT_EQ(host.answer(id)->earliest_offset, second);
  }
  EXPECT_TRUE(host.socket(events).ended) << "its client comes back and is told";
  EXPECT_EQ(host.socket(events).all(), "");
}

TEST_F(Retention, AForkThatIsOvertakenIsRefusedAndNotCalledDamage) {
  make_cold();
  host.loads = When::kByHand;
  const uint64_t forking =
      host.send(fork("p/f", "p/s").at_offset(text(before_first())).sub_offset(2));
  ASSERT_EQ(host.waiting_loads(), 1u);
  host.trim(first.life, path_hash("p/s"), second.position);
  host.seal_all();
  host.loads = When::kAtOnce;
  host.load();
  EXPECT_EQ(host.error(forking), ErrorCode::kInvalidForkOffset);
  EXPECT_EQ(host.ask_status(head("p/f")), 404);
}

TEST_F(Retention, WhoWaitsAtTheTailNoticesNothing) {
  const uint64_t events = host.send(sse("p/s", "now"));
  const uint64_t polling = host.send(poll("p/s", "now"));
  trim_to(third);
  host.make_cold();
  EXPECT_TRUE(host.waits(polling));
  host.ask(post("p/s", "four"));
  EXPECT_EQ(host.body(polling), "four");
  std::string got;
  for (const SseEvent& event : parse_sse(host.socket(events).all())) {
    if (event.type == "data") got += event.data;
  }
  EXPECT_EQ(got, "four");
}

// --- Forks --------------------------------------------------------------------------------------

TEST_F(Retention, AForkThatWasMadeBeforeStillHasEverything) {
  for (const bool sealed_before : {false, true}) {
    SCOPED_TRACE(sealed_before);
    const std::string path = sealed_before ? "p/f" : "p/g";
    if (sealed_before) make_cold();
    ASSERT_EQ(host.ask_status(fork(path, "p/s").at_offset(text(second))), 201);
  }
  trim_to(third);
  for (int round = 0; round < 3; ++round) {
    for (const char* path : {"p/f", "p/g"}) {
      EXPECT_EQ(host.read(path), "one two ");
      EXPECT_EQ(host.read(path, "offset=" + text(first)), "two ");
      EXPECT_FALSE(host.ask(head(path)).earliest_offset.has_value());
    }
    EXPECT_EQ(host.read("p/s"), "");
    make_cold();
    if (round == 1) host.restart();
  }
  // Until they go themselves.
  host.ask(test::remove("p/f"));
  make_cold();
  EXPECT_EQ(host.read("p/g"), "one two ");
}

TEST_F(Retention, AForkThatIsMadeAfterwardsBeginsWhereItsSourceDoes) {
  trim_to(first);
  for (const bool cold : {false, true}) {
    SCOPED_TRACE(cold);
    const std::string path = cold ? "p/f" : "p/g";
    if (cold) make_cold();
    EXPECT_EQ(host.ask_status(fork(path, "p/s").at_offset(text(second))), 201);
    EXPECT_EQ(host.ask(fork("p/no", "p/s").at_offset(text(before_first()))).error,
              ErrorCode::kInvalidForkOffset);
    EXPECT_EQ(host.ask_status(fork(path + "2", "p/s").at_offset(text(first)).sub_offset(2)), 201);
    EXPECT_EQ(host.ask_status(fork(path + "3", "p/s").at_offset(text(first))), 201);
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(host.read(path), "two ");
      EXPECT_EQ(host.read(path + "2"), "tw");
      EXPECT_EQ(host.read(path + "3"), "");
      expect_trimmed(get(path, "offset=" + text(before_first())), first);
      EXPECT_EQ(host.ask(head(path)).earliest_offset, first);
      make_cold();
    }
    host.ask(post(path, "fork"));
    host.ask(post(path + "3", "fork"));
    make_cold();
    host.restart();
    EXPECT_EQ(host.read(path), "two fork");
    EXPECT_EQ(host.read(path + "3"), "fork");
  }
}

TEST_F(Retention, ATrimAndAPinThatCrossLeaveTheForkWhole) {
  for (const bool trim_first : {false, true}) {
    SCOPED_TRACE(trim_first);
    const std::string source = trim_first ? "p/a" : "p/b";
    const Offset begin = *host.ask(put(source, "text/plain", "one ")).next_offset;
    host.ask(post(source, "two "));
    const uint64_t hash = path_hash(source);
    host.commits = When::kByHand;
    if (trim_first) host.trim(begin.life, hash, begin.position);
    const uint64_t forked = host.send(fork("p/f", source));
    if (!trim_first) host.trim(begin.life, hash, begin.position);
    host.commits = When::kAtOnce;
    host.commit_all();
    ASSERT_EQ(host.status(forked), 201);
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(host.read(source), "two ");
      EXPECT_EQ(host.read("p/f"), trim_first ? "two " : "one two ");
      make_cold();
    }
    host.ask(test::remove("p/f"));
    host.ask(test::remove(source));
  }
}

TEST_F(Retention, AForkIsTrimmedByItselfWithinWhatItInherited) {
  host.ask(fork("p/f", "p/s").at_offset(text(second)));
  const Offset own = *host.ask(post("p/f", "fork")).next_offset;
  host.trim(own.life, path_hash("p/f"), first.position);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(host.read("p/f"), "two fork");
    EXPECT_EQ(host.ask(head("p/f")).earliest_offset, first);
    EXPECT_EQ(host.read("p/s"), "one two three");
    make_cold();
  }
  host.trim(own.life, path_hash("p/f"), own.position);
  make_cold();
  EXPECT_EQ(host.read("p/f"), "");
  EXPECT_EQ(host.read("p/s"), "one two three");
}

}  // namespace
}  // namespace ds::engine
