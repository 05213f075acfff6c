// Time and loss for streams that are not in memory: they expire, never early, and lost writes are
// noticed.
#include <gtest/gtest.h>

#include <string>

#include "core/engine/test_cold.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;
using When = TestHost::When;

class ColdLifetimes : public ColdTest {
 protected:
  using ColdTest::ColdTest;
  void due(const std::string& path, Incarnation id) {
    host.due(id, path_hash(path));
    host.advance(Duration{});
  }
};

TEST_F(ColdLifetimes, AStreamThatNobodyUsesExpiresThoughItIsNotInMemory) {
  for (const int64_t ttl : {1, 5, 100, 100000}) {
    SCOPED_TRACE(ttl);
    const Offset tail =
        *host.ask(put("p/s", "text/plain", "x").ttl(static_cast<uint64_t>(ttl))).next_offset;
    host.seal_all();
    // It may have been read without a record for an eighth of its time, from a second to an hour.
    const int64_t grace = std::clamp<int64_t>(ttl * 1000 / 8, 1000, 3600000);
    host.pass(milliseconds(ttl * 1000 + grace));
    // A host does not know what an engine still has in memory.
    due("p/s", tail.life);
    host.advance(Duration{});
    EXPECT_EQ(host.ops(OpType::kExpire), 1);
    EXPECT_EQ(in_memory(), 0u);
    EXPECT_EQ(host.ask_status(get("p/s")), 404);
    make_cold();
    EXPECT_EQ(host.catalog().streams(), 0u);
  }
}

TEST_F(ColdLifetimes, OneThatHasLeftExpiresWhenItIsDue) {
  for (const bool absolute : {true, false}) {
    SCOPED_TRACE(absolute);
    Request create = put("p/s", "text/plain", "x");
    create = absolute ? create.with(HeaderId::kStreamExpiresAt, "2026-01-01T01:00:00Z")
                      : create.ttl(3600);
    const Offset tail = *host.ask(create).next_offset;
    const Instant created = host.now();
    make_cold();
    const Instant end =
        absolute ? kStart + seconds(3600) : created + seconds(3600) + seconds(3600 / 8);
    host.pass(Duration{(end - host.now()).us - 1});
    due("p/s", tail.life);
    EXPECT_EQ(host.ops(OpType::kExpire), 0) << "not early";
    host.advance(seconds(5));
    EXPECT_EQ(host.ops(OpType::kExpire), 1) << "it waits for its end in memory";
    make_cold();
    EXPECT_EQ(host.catalog().streams(), 0u);
  }
}

TEST_F(ColdLifetimes, AReadThatLeftNoRecordIsNotForgottenWithTheStream) {
  host.ask(put("p/s", "text/plain", "x").ttl(80));
  make_cold();
  host.pass(seconds(7));  // too soon for a record: that is kept every tenth second
  EXPECT_EQ(host.ask_status(get("p/s")), 200);
  EXPECT_EQ(host.ops(OpType::kTouch), 0);
  const Instant read = host.now();
  host.advance(seconds(5));
  EXPECT_EQ(in_memory(), 0u);
  host.pass(Duration{(read + seconds(80) - host.now()).us - 1});
  EXPECT_EQ(host.ask_status(head("p/s")), 200);
}

TEST_F(ColdLifetimes, AReadThatLeftARecordRenews) {
  const Offset tail = *host.ask(put("p/s", "text/plain", "x").ttl(80)).next_offset;
  for (int i = 0; i < 5; ++i) {
    make_cold();
    host.pass(seconds(75));
    due("p/s", tail.life);
    EXPECT_EQ(host.ask_status(get("p/s")), 200) << i;
  }
  EXPECT_EQ(host.ops(OpType::kTouch), 1) << "the others have been sealed";
  make_cold();
  host.pass(seconds(91));
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
}

TEST_F(ColdLifetimes, ManyStaysInMemoryDoNotAddUp) {
  const Offset tail = *host.ask(put("p/s", "text/plain", "x").ttl(80)).next_offset;
  const Instant created = host.now();
  // A look is no use.
  while (host.now() - created < seconds(88)) {
    make_cold();
    EXPECT_EQ(host.ask_status(head("p/s")), 200);
    host.pass(seconds(3));
  }
  host.pass(seconds(2));
  due("p/s", tail.life);
  EXPECT_EQ(host.ask_status(head("p/s")), 404);
}

TEST_F(ColdLifetimes, ManyStaysInMemoryLeaveNoTimersBehind) {
  EngineConfig config = cold_config();
  config.long_poll_timeout = seconds(100000);
  TestHost patient(config);
  patient.ask(put("p/s", "text/plain", "x").ttl(1000000));
  for (int i = 0; i < 50; ++i) {
    patient.make_cold();
    EXPECT_EQ(patient.ask_status(head("p/s")), 200);
  }
  EXPECT_EQ(patient.engine().stats().finds, 50u);
  // In memory from now on: the timers of earlier stays must not go on beside its own.
  patient.send(poll("p/s", "now"));
  patient.advance(seconds(3600));
  int fired = 0;
  const Instant end = patient.now() + seconds(3600);
  for (; patient.engine().next_deadline() < end; ++fired) {
    patient.advance(patient.engine().next_deadline() - patient.now());
  }
  EXPECT_LE(fired, 13);
}

TEST_F(ColdLifetimes, AnExpiryThatCannotBeCommittedIsTriedAgain) {
  const Offset tail = *host.ask(put("p/s", "text/plain", "x").ttl(80)).next_offset;
  make_cold();
  host.pass(seconds(1000));
  host.commits = When::kByHand;
  due("p/s", tail.life);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(host.fail()) << i;
    host.advance(seconds(1));
    EXPECT_EQ(in_memory(), 1u) << "nobody else would remember it";
  }
  host.commits = When::kAtOnce;
  host.commit();
  EXPECT_EQ(host.ops(OpType::kExpire), 1);
  EXPECT_EQ(in_memory(), 0u);
}

TEST_F(ColdLifetimes, AnExpiredSourceIsHeldByItsForks) {
  const Offset tail = *host.ask(put("p/s", "text/plain", "x").ttl(80)).next_offset;
  host.ask(fork("p/f", "p/s").ttl(100000));
  make_cold();
  host.pass(seconds(1000));
  due("p/s", tail.life);
  EXPECT_EQ(host.ops(OpType::kExpire), 1);
  make_cold();
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kStreamDeleted);
  EXPECT_EQ(host.read("p/f"), "x");
  make_cold();
  due("p/s", tail.life);
  EXPECT_EQ(host.ops(OpType::kExpire), 0);
  make_cold();
}

// --- Lost writes --------------------------------------------------------------------------------

TEST_F(ColdLifetimes, AfterALossAStreamThatWasSealedGoesOnUnderANewLifeWithItsNextAppend) {
  host.ask(put("p/s", "text/plain", "one"));
  const Offset sealed = tail("p/s");
  make_cold();
  const Offset lost = *host.ask(post("p/s", " lost")).next_offset;
  host.lose_records(1);
  host.restart(1, true);
  EXPECT_EQ(in_memory(), 0u);
  EXPECT_EQ(host.read("p/s"), "one");
  EXPECT_EQ(tail("p/s"), sealed);
  EXPECT_EQ(host.ask_status(get("p/s", "offset=" + text(sealed))), 200);
  EXPECT_EQ(host.ask_status(get("p/s", "offset=" + text(lost))), 410)
      << "they saw what is not here";
  make_cold();
  EXPECT_EQ(host.ops(OpType::kNewLife), 0);
  const Offset next = *host.ask(post("p/s", " two!!")).next_offset;
  EXPECT_GT(next.life, lost.life);
  EXPECT_EQ(next.position, Position{9});
  EXPECT_EQ(host.ops(OpType::kNewLife), 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(host.ask_status(get("p/s", "offset=" + text(lost))), 410);
    EXPECT_EQ(host.read("p/s", "offset=" + text(sealed)), " two!!");
    make_cold();
    host.restart();
  }
  host.ask(post("p/s", " three"));
  EXPECT_EQ(tail("p/s").life, next.life) << "it was lost only once";
}

TEST_F(ColdLifetimes, AForkMadeAfterALossShowsTheLifeThatItsSourceHad) {
  host.ask(put("p/s", "text/plain", "one"));
  make_cold();
  host.restart(1, true);
  EXPECT_EQ(host.ask_status(fork("p/f", "p/s")), 201);
  EXPECT_EQ(tail("p/f"), tail("p/s"));
  host.ask(post("p/f", " fork"));
  host.ask(post("p/s", " source"));
  make_cold();
  EXPECT_EQ(host.read("p/f"), "one fork");
  EXPECT_EQ(host.read("p/s"), "one source");
  EXPECT_NE(tail("p/f").life, tail("p/s").life);
}

}  // namespace
}  // namespace ds::engine
