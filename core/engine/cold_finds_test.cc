// Looking streams up: who waits for it, in which order, and what an answer that comes late may not
// do.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_cold.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;
using Found = Engine::Found;
using When = TestHost::When;

class Finds : public ColdTest {
 protected:
  using ColdTest::ColdTest;
  // Streams that are sealed and not in memory; from here on the test ends each look-up.
  void SetUp() override {
    sealed_tail = *host.ask(put("p/s", "text/plain", "one")).next_offset;
    host.ask(put("p/other", "text/plain", "other"));
    make_cold();
    host.finds = When::kByHand;
  }
  Offset sealed_tail;
};

// --- Who waits ----------------------------------------------------------------------------------

TEST_F(Finds, RequestsThatWaitAreServedInTheirOrderByOneLookUp) {
  host.commits = When::kByHand;
  const uint64_t append = host.send(post("p/s", " two").if_match(text(sealed_tail)));
  const uint64_t read = host.send(get("p/s"));
  const uint64_t removed = host.send(test::remove("p/s"));
  const uint64_t late = host.send(post("p/s", " three"));
  const uint64_t created = host.send(put("p/s", "text/plain", "new"));
  const uint64_t meta = host.send(head("p/s"));
  EXPECT_EQ(host.waiting_finds(), 1u);
  for (const uint64_t id : {append, read, removed, late, created, meta}) {
    EXPECT_TRUE(host.waits(id));
  }
  host.find();
  EXPECT_EQ(host.body(read), "one") << "what is committed at its turn";
  EXPECT_EQ(host.next(meta), text(sealed_tail));
  for (const uint64_t id : {append, removed, late, created}) EXPECT_TRUE(host.waits(id));
  host.commit_all();
  EXPECT_EQ(host.status(append), 204);
  EXPECT_EQ(host.status(removed), 204);
  EXPECT_EQ(host.status(late), 404);
  EXPECT_EQ(host.status(created), 201);
  EXPECT_EQ(host.read("p/s"), "new");
}

TEST_F(Finds, WhoComesLaterWaitsBehindThoseWhoWait) {
  host.commits = When::kByHand;
  const uint64_t append = host.send(post("p/s", " two").if_match(text(sealed_tail)));
  // The stream comes into memory another way.
  host.due(sealed_tail.life, path_hash("p/s"));
  host.find(Found::kYes, 1);
  EXPECT_EQ(in_memory(), 1u);
  const uint64_t second = host.send(post("p/s", " three").if_match(text(sealed_tail)));
  EXPECT_TRUE(host.waits(append));
  EXPECT_EQ(host.waiting_finds(), 1u);
  host.find();
  host.commit_all();
  EXPECT_EQ(host.status(append), 204);
  EXPECT_EQ(host.status(second), 412);
}

TEST_F(Finds, WhoWaitsIsNotOvertakenWhenTheStreamExpiresMeanwhile) {
  host.finds = When::kAtOnce;
  host.ask(put("p/t", "text/plain", "x").ttl(10));
  const Incarnation id = id_of("p/t");
  make_cold();
  host.finds = When::kByHand;
  host.pass(seconds(100));
  const uint64_t append = host.send(post("p/t", "y"));
  host.look_up();
  host.due(id, path_hash("p/t"));
  host.find(Found::kYes, 1);
  EXPECT_EQ(host.ops(OpType::kExpire), 1);
  const uint64_t created = host.send(put("p/t", "text/plain", "new"));
  host.find();
  EXPECT_EQ(host.status(append), 404);
  EXPECT_EQ(host.status(created), 201);
  EXPECT_EQ(host.read("p/t"), "new");
}

TEST_F(Finds, TooManyThatWaitAreTurnedAway) {
  EngineConfig config = cold_config();
  config.pending_finds_max = 3;
  TestHost small(config);
  small.ask(put("p/s", "text/plain", "one"));
  small.make_cold();
  small.finds = When::kByHand;
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(small.send(get("p/s")));
  for (const char* path : {"p/s", "p/elsewhere"}) {
    const wire::Response refused = small.ask(get(path));
    EXPECT_EQ(refused.status, 503) << path;
    EXPECT_EQ(refused.error, ErrorCode::kOverloaded);
    EXPECT_NE(seen(refused).find("Retry-After: "), std::string::npos);
  }
  EXPECT_EQ(small.waiting_finds(), 1u);
  small.find();
  for (const uint64_t id : waiting) EXPECT_EQ(small.body(id), "one");
  small.finds = When::kAtOnce;
  EXPECT_EQ(small.ask_status(get("p/elsewhere")), 404) << "there is room again";
}

TEST_F(Finds, AReaderThatHasLeftMeanwhileIsNotLetIn) {
  const uint64_t events = host.send(sse("p/s", "now"));
  const uint64_t polling = host.send(poll("p/s", "now"));
  const uint64_t append = host.send(post("p/s", " two"));
  for (const uint64_t id : {events, polling, append}) host.disconnect(id);
  host.find();
  EXPECT_EQ(host.engine().stats().sse_readers, 0u);
  EXPECT_EQ(host.engine().stats().parked_long_polls, 0u);
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.read("p/s"), "one two") << "a write is carried out all the same";
}

// --- How it ends --------------------------------------------------------------------------------

TEST_F(Finds, ALookUpThatFailsIs503AndTheNextOneMaySucceed) {
  std::vector<uint64_t> all;
  for (const Request& one : {get("p/s"), head("p/s"), post("p/s", "x"), put("p/s"),
                             test::remove("p/s"), poll("p/s", "-1"), sse("p/s", "-1")}) {
    all.push_back(host.send(one));
  }
  host.find(Found::kFailed);
  for (const uint64_t id : all) {
    EXPECT_EQ(host.status(id), 503);
    EXPECT_EQ(host.error(id), ErrorCode::kOverloaded);
    EXPECT_NE(seen(*host.answer(id)).find("Retry-After: "), std::string::npos);
  }
  EXPECT_EQ(in_memory(), 0u);
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.read("p/s"), "one");
}

TEST_F(Finds, ASnapshotThatCannotBeReadIs500AndNeverATakenPath) {
  const uint64_t read = host.send(get("p/s"));
  const uint64_t created = host.send(put("p/s", "text/plain", "two"));
  host.find(Found::kCorrupt);
  for (const uint64_t id : {read, created}) {
    EXPECT_EQ(host.status(id), 500);
    EXPECT_EQ(host.error(id), ErrorCode::kCorruptData);
  }
  EXPECT_EQ(in_memory(), 0u);
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.read("p/s"), "one");
}

TEST_F(Finds, APathThatTheCatalogDoesNotKnowIsFree) {
  const uint64_t read = host.send(get("p/new"));
  const uint64_t append = host.send(post("p/new", "x"));
  const uint64_t created = host.send(put("p/new", "text/plain", "first"));
  const uint64_t second = host.send(post("p/new", " second"));
  host.find();
  EXPECT_EQ(host.status(read), 404);
  EXPECT_EQ(host.status(append), 404);
  EXPECT_EQ(host.status(created), 201);
  EXPECT_EQ(host.status(second), 204);
  EXPECT_EQ(host.read("p/new"), "first second");
}

TEST_F(Finds, AForkWhoseSourceOrPathCannotBeLookedUpIsRefusedWithoutATrace) {
  for (const size_t failing : {size_t{0}, size_t{1}, size_t{2}}) {
    SCOPED_TRACE(failing);
    host.finds = When::kByHand;
    const uint64_t forked = host.send(fork("p/f", "p/s"));
    for (size_t i = 0; i < 3 && host.waits(forked); ++i) {
      // The fork's path, its source, and the fork's path once more.
      ASSERT_EQ(host.waiting_finds(), 1u) << i;
      host.find(i == failing ? Found::kFailed : Found::kYes);
    }
    EXPECT_EQ(host.status(forked), 503);
    host.finds = When::kAtOnce;
    EXPECT_EQ(host.ask_status(get("p/f")), 404);
    make_cold();
  }
  EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kNotFound) << "no pin is left";
}

TEST_F(Finds, AnUnpinWhoseLookUpFailsIsTriedAgain) {
  host.finds = When::kAtOnce;
  host.ask(fork("p/f", "p/s"));
  make_cold();
  EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kStreamDeleted);
  make_cold();
  EXPECT_EQ(host.ask_status(head("p/f")), 200);
  host.finds = When::kByHand;
  EXPECT_EQ(host.ask_status(test::remove("p/f")), 204);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(host.waiting_finds(), 1u) << i;
    host.find(Found::kFailed);
    EXPECT_EQ(host.ops(OpType::kUnpin), 0);
    host.advance(seconds(1));
  }
  host.finds = When::kAtOnce;
  host.find();
  EXPECT_EQ(host.ops(OpType::kUnpin), 1);
  EXPECT_EQ(host.ask_status(put("p/s")), 201);
}

// --- What comes late ----------------------------------------------------------------------------

TEST_F(Finds, AStreamThatIsGoneIsNotBroughtBackByAnOldAnswer) {
  for (const bool with_successor : {false, true}) {
    SCOPED_TRACE(with_successor);
    host.finds = When::kAtOnce;
    const std::string path = with_successor ? "p/a" : "p/b";
    host.ask(put(path, "text/plain", "old"));
    const Incarnation old = id_of(path);
    make_cold();
    host.finds = When::kByHand;
    // By its identity: the answer tells of it, and is on its way.
    host.due(old, path_hash(path));
    host.look_up();
    // By its path, which is quicker.
    const uint64_t removed = host.send(test::remove(path));
    host.find(Found::kYes, 1);
    EXPECT_EQ(host.status(removed), 204);
    if (with_successor) {
      EXPECT_EQ(host.ask_status(put(path, "text/plain", "new")), 201);
    }
    host.seal_all();
    host.advance(seconds(5));
    host.find();
    EXPECT_EQ(host.waiting_finds(), 0u);
    host.finds = When::kAtOnce;
    EXPECT_EQ(host.ask_status(get(path)), with_successor ? 200 : 404);
    make_cold();
    EXPECT_EQ(host.ask_status(get(path)), with_successor ? 200 : 404);
    if (with_successor) {
      EXPECT_EQ(host.read(path), "new");
    }
    make_cold();
  }
}

TEST_F(Finds, AStreamThatIsGoneIsNotAskedForUntilItsEndIsSealed) {
  host.finds = When::kAtOnce;
  const Incarnation id = id_of("p/s");
  EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
  host.finds = When::kByHand;
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.ask_status(post("p/s", "x")), 404);
  // A host may still find it among those that are due, or too long.
  host.due(id, path_hash("p/s"));
  host.trim(id, path_hash("p/s"), Position{3});
  EXPECT_EQ(host.waiting_finds(), 0u) << "the answer could come when its end has been sealed";
  host.restart();
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  host.due(id, path_hash("p/s"));
  EXPECT_EQ(host.waiting_finds(), 0u);
  host.make_cold();
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  host.restart();
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.catalog().streams(), 1u);
}

TEST_F(Finds, AnOldAnswerDoesNotTakeAStreamBack) {
  const Incarnation id = [this] {
    host.finds = When::kAtOnce;
    return id_of("p/s");
  }();
  make_cold();
  host.finds = When::kByHand;
  host.due(id, path_hash("p/s"));
  host.look_up();
  const uint64_t append = host.send(post("p/s", " two"));
  host.find(Found::kYes, 1);
  EXPECT_EQ(host.status(append), 204);
  host.seal_all();
  host.advance(seconds(5));
  EXPECT_EQ(in_memory(), 1u) << "it stays as long as an older answer may come";
  host.find();
  host.advance(seconds(5));
  EXPECT_EQ(in_memory(), 0u);
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.read("p/s"), "one two");
}

TEST_F(Finds, APathWhoseFormerStreamIsRememberedKeepsItsNewStream) {
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.read("p/s"), "one");
  host.finds = When::kByHand;
  // As long as this look-up lasts the deletion is remembered.
  const uint64_t slow = host.send(get("p/other"));
  EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
  EXPECT_EQ(host.ask_status(put("p/s", "text/plain", "new")), 201);
  host.seal_all();
  host.find();
  EXPECT_EQ(host.body(slow), "other");
  host.advance(seconds(5));
  EXPECT_EQ(in_memory(), 0u);
  host.finds = When::kAtOnce;
  EXPECT_EQ(host.read("p/s"), "new");
  EXPECT_EQ(host.ask_status(put("p/s", "application/json")), 409);
}

TEST_F(Finds, AForkThatWaitedForItsPathHasANewerLifeThanWhatWasThereMeanwhile) {
  host.finds = When::kAtOnce;
  host.peers = When::kByHand;
  const uint64_t forked = host.send(fork("p/f", "p/s"));
  host.deliver_message();  // the pin
  ASSERT_EQ(host.waiting_messages(), 1u);
  host.finds = When::kByHand;
  const uint64_t created = host.send(put("p/f", "text/plain", "x"));
  const uint64_t removed = host.send(test::remove("p/f"));
  host.deliver_message();  // its answer
  host.peers = When::kAtOnce;
  host.find();
  EXPECT_EQ(host.status(created), 201);
  EXPECT_EQ(host.status(removed), 204);
  host.finds = When::kAtOnce;
  while (host.waiting_finds() > 0) host.find();
  ASSERT_EQ(host.status(forked), 201);
  EXPECT_EQ(host.read("p/f"), "one");
  host.ask(post("p/f", " more"));
  EXPECT_GT(tail("p/f").life, host.answer(created)->next_offset->life);
  host.ask(test::remove("p/s"));
  host.ask(test::remove("p/f"));
  EXPECT_EQ(host.ask(get("p/s")).error, ErrorCode::kNotFound) << "no pin is left";
}

}  // namespace
}  // namespace ds::engine
