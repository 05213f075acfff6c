// Forks across engines (PROTOCOL §4.2).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_host.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;

// The same with source and fork at one engine, and at two.
class Forks : public ::testing::TestWithParam<uint32_t> {
 protected:
  Forks() : host({}, GetParam()) {
    // Names whose streams are owned by the first engine and, if there is one, by the second.
    source = name_at(0, "source");
    child = name_at(GetParam() - 1, "child");
    other = name_at(GetParam() - 1, "other");
    grandchild = name_at(0, "grandchild");
  }
  std::string name_at(size_t engine, const std::string& stem) const {
    for (int i = 0;; ++i) {
      const std::string path = "p/" + stem + std::to_string(i);
      if (host.index_of(path) == engine) return path;
    }
  }
  size_t engine_of(const std::string& path) const { return host.index_of(path); }
  int pins() { return host.ops(OpType::kPin) - host.ops(OpType::kUnpin); }

  TestHost host;
  std::string source, child, other, grandchild;
};
INSTANTIATE_TEST_SUITE_P(Engines, Forks, ::testing::Values(1u, 2u),
                         [](const auto& made) { return std::to_string(made.param); });

TEST_P(Forks, AForkInheritsUpToItsPointAndGoesOnByItself) {
  const std::string one = text(*host.ask(put(source, "text/plain", "one")).next_offset);
  const std::string two = text(*host.ask(post(source, "two")).next_offset);
  const wire::Response forked = host.ask(fork(child, source).at_offset(one));
  EXPECT_EQ(forked.status, 201);
  EXPECT_EQ(text(*forked.next_offset), one) << "up to the fork point offsets are the source's";
  EXPECT_EQ(forked.content_type.bytes, "text/plain");
  EXPECT_EQ(forked.location, "http://localhost/v1/stream/" + child);
  EXPECT_EQ(host.read(child), "one");
  const std::string own = text(*host.ask(post(child, "TWO!")).next_offset);
  EXPECT_EQ(host.read(child), "oneTWO!");
  EXPECT_EQ(host.read(source), "onetwo");
  EXPECT_LT(one, own);
  EXPECT_NE(own, two);
  EXPECT_EQ(host.read(child, "offset=" + one), "TWO!");
  EXPECT_EQ(host.read(child, "offset=" + own), "");
  // The source's offset beyond the fork point means the fork point.
  EXPECT_EQ(host.read(child, "offset=" + two), "TWO!");
  // The fork's offsets mean nothing at the source.
  EXPECT_EQ(host.ask(get(source, "offset=" + own)).error, ErrorCode::kOffsetGone);
  // The tail is the default, and the beginning is possible.
  EXPECT_EQ(host.ask(fork(other, source)).status, 201);
  EXPECT_EQ(host.read(other), "onetwo");
  const std::string zero = "0000000000000000_0000000000000000";
  EXPECT_EQ(host.ask(fork(grandchild, source).at_offset(zero)).status, 201);
  EXPECT_EQ(host.read(grandchild), "");
  EXPECT_EQ(host.ask(post(grandchild, "all mine")).status, 204);
  EXPECT_EQ(host.read(grandchild), "all mine");
  EXPECT_EQ(pins(), 3);
}

TEST_P(Forks, AForkMayBeginWithABodyOfItsOwn) {
  host.ask(put(source, "application/json", "[1]"));
  Request request = fork(child, source);
  request.body = "[2,3]";
  EXPECT_EQ(host.ask(request).status, 201);
  EXPECT_EQ(host.read(child), "[1,2,3]");
  request = fork(other, source);
  request.body = "{";
  EXPECT_EQ(host.ask(request).error, ErrorCode::kInvalidJson);
  EXPECT_EQ(host.ask_status(head(other)), 404);
  EXPECT_EQ(pins(), 1) << "a refused fork takes no reference";
}

TEST_P(Forks, TheErrorsOfAFork) {
  const std::string zero = "0000000000000000_0000000000000000";
  EXPECT_EQ(host.ask(fork(child, source)).error, ErrorCode::kForkSourceNotFound);
  EXPECT_EQ(host.ask(fork(child, child)).error, ErrorCode::kForkSourceNotFound);
  host.ask(put(source, "text/plain", "hello"));
  const Offset tail = *host.ask(post(source, "world")).next_offset;
  const auto refused = [&](const Request& request, ErrorCode code) {
    const wire::Response response = host.ask(request);
    EXPECT_EQ(response.error, code);
    EXPECT_EQ(host.ask_status(head(child)), 404);
    EXPECT_EQ(pins(), 0);
    return static_cast<int>(response.status);
  };
  const Request plain = fork(child, source);
  EXPECT_EQ(refused(plain.at_offset(text({tail.life, tail.position + 1})),
                    ErrorCode::kForkOffsetBeyondTail),
            400);
  EXPECT_EQ(refused(plain.at_offset(text({Incarnation{tail.life.value + 1}, Position{5}})),
                    ErrorCode::kInvalidForkOffset),
            400);
  EXPECT_EQ(refused(plain.at_offset(text({tail.life, Position{3}})), ErrorCode::kInvalidForkOffset),
            400);
  EXPECT_EQ(refused(plain.at_offset("-1"), ErrorCode::kInvalidForkOffset), 400);
  EXPECT_EQ(refused(plain.at_offset("now"), ErrorCode::kInvalidForkOffset), 400);
  EXPECT_EQ(refused(plain.sub_offset(1), ErrorCode::kInvalidForkSubOffset), 400);
  EXPECT_EQ(refused(plain.at_offset(zero).sub_offset(6), ErrorCode::kForkSubOffsetBeyondMessage),
            400);
  EXPECT_EQ(
      refused(plain.at_offset(text(tail)).sub_offset(1), ErrorCode::kForkSubOffsetBeyondMessage),
      400);
  EXPECT_EQ(refused(plain.of_type("application/json"), ErrorCode::kContentTypeMismatch), 409);
  EXPECT_EQ(host.ask(fork(child, "q/" + source)).error, ErrorCode::kInvalidForkSource);
  // A target in use, with another configuration.
  host.ask(put(child));
  EXPECT_EQ(host.ask(plain).error, ErrorCode::kStreamExists);
  host.ask(remove(child));
  // A source that is only kept for its forks.
  EXPECT_EQ(host.ask(plain).status, 201);
  EXPECT_EQ(host.ask(remove(source)).status, 204);
  EXPECT_EQ(host.ask(fork(other, source)).error, ErrorCode::kForkSourceDeleted);
  EXPECT_EQ(host.ask(fork(other, child)).status, 201);
}

TEST_P(Forks, SubOffsetsOfBytes) {
  const std::string one = text(*host.ask(put(source, "application/x", "abcde")).next_offset);
  host.ask(post(source, "fghij", "application/x"));
  EXPECT_EQ(host.ask(fork(child, source).at_offset(one).sub_offset(2)).status, 201);
  EXPECT_EQ(host.read(child), "abcdefg");
  host.ask(post(child, "XYZ", "application/x"));
  EXPECT_EQ(host.read(child), "abcdefgXYZ");
  // Chained: into the clipped message, and past its end.
  EXPECT_EQ(host.ask(fork(grandchild, child).at_offset(one).sub_offset(1)).status, 201);
  EXPECT_EQ(host.read(grandchild), "abcdef");
  EXPECT_EQ(host.ask(fork(other, child).at_offset(one).sub_offset(3)).error,
            ErrorCode::kForkSubOffsetBeyondMessage);
  // The whole message is allowed.
  EXPECT_EQ(host.ask(fork(other, source).at_offset(one).sub_offset(5)).status, 201);
  EXPECT_EQ(host.read(other), "abcdefghij");
}

TEST_P(Forks, SubOffsetsOfJsonCountElements) {
  const std::string one = text(*host.ask(put(source, "application/json", "[0]")).next_offset);
  host.ask(post(source, "[\"a,b\", {\"x\":[1,2]}, 3]", "application/json"));
  host.ask(post(source, "4", "application/json"));
  EXPECT_EQ(host.ask(fork(child, source).at_offset(one).sub_offset(2)).status, 201);
  EXPECT_EQ(host.read(child), "[0,\"a,b\",{\"x\":[1,2]}]");
  EXPECT_EQ(host.ask(post(child, "[5]", "application/json")).status, 204);
  EXPECT_EQ(host.read(child), "[0,\"a,b\",{\"x\":[1,2]},5]");
  EXPECT_EQ(host.ask(fork(grandchild, child).at_offset(one).sub_offset(1)).status, 201);
  EXPECT_EQ(host.read(grandchild), "[0,\"a,b\"]");
  EXPECT_EQ(host.ask(fork(other, child).at_offset(one).sub_offset(3)).error,
            ErrorCode::kForkSubOffsetBeyondMessage);
  EXPECT_EQ(host.ask(fork(other, source).at_offset(one).sub_offset(4)).error,
            ErrorCode::kForkSubOffsetBeyondMessage);
  EXPECT_EQ(host.ask(fork(other, source).at_offset(one).sub_offset(3)).status, 201);
  EXPECT_EQ(host.read(other), "[0,\"a,b\",{\"x\":[1,2]},3]");
}

TEST_P(Forks, AForkOfAForkReadsThroughAllOfThem) {
  host.ask(put(source, "text/plain", "a"));
  host.ask(fork(child, source));
  const std::string b = text(*host.ask(post(child, "b")).next_offset);
  host.ask(post(child, "not this"));
  host.ask(fork(grandchild, child).at_offset(b));
  host.ask(post(grandchild, "c"));
  EXPECT_EQ(host.read(grandchild), "abc");
  EXPECT_EQ(host.read(grandchild, "offset=" + b), "c");
}

TEST_P(Forks, ALifetimeIsInheritedOrItsOwn) {
  const auto lifetime = [&](const std::string& path) {
    const wire::Response response = host.ask(head(path));
    return std::pair(response.ttl_seconds, response.expires_at);
  };
  using Pair = std::pair<std::optional<uint64_t>, std::optional<Instant>>;
  const std::string date = "2030-01-01T00:00:00Z";
  const Instant at{1893456000000000};
  host.ask(put("p/none"));
  host.ask(put("p/ttl").ttl(100));
  host.ask(put("p/date").with(HeaderId::kStreamExpiresAt, date));
  int n = 0;
  const auto forked = [&](const std::string& from, int what) {
    Request request = fork("p/f" + std::to_string(++n), from);
    if (what == 1) request = request.ttl(7);
    if (what == 2) request = request.with(HeaderId::kStreamExpiresAt, "2031-01-01T00:00:00Z");
    EXPECT_EQ(host.ask(request).status, 201);
    return lifetime("p/f" + std::to_string(n));
  };
  const Instant later{1924992000000000};
  EXPECT_EQ(forked("p/none", 0), Pair(std::nullopt, std::nullopt));
  EXPECT_EQ(forked("p/ttl", 0), Pair(100, std::nullopt));
  EXPECT_EQ(forked("p/date", 0), Pair(std::nullopt, at));
  for (const std::string from : {"p/none", "p/ttl", "p/date"}) {
    EXPECT_EQ(forked(from, 1), Pair(7, std::nullopt));
    EXPECT_EQ(forked(from, 2), Pair(std::nullopt, later));
  }
}

TEST_P(Forks, AClosedSourceMakesAnOpenForkWithoutWriterState) {
  host.ask(put(source));
  host.ask(post(source, "a").producer("w", 3, 0));
  host.ask(post(source, "b").with(HeaderId::kStreamSeq, "9"));
  host.ask(close(source));
  EXPECT_EQ(host.ask(fork(child, source)).status, 201);
  EXPECT_FALSE(host.ask(head(child)).closed);
  EXPECT_EQ(host.ask(post(child, "c").producer("w", 0, 0)).status, 200);
  EXPECT_EQ(host.ask(post(child, "d").with(HeaderId::kStreamSeq, "1")).status, 204);
  EXPECT_EQ(host.read(child), "abcd");
  EXPECT_EQ(host.ask(fork(other, source).closing()).status, 201);
  EXPECT_TRUE(host.ask(head(other)).closed);
}

TEST_P(Forks, AForkRequestIsIdempotent) {
  const std::string one = text(*host.ask(put(source, "text/plain", "one")).next_offset);
  host.ask(post(source, "two"));
  const Request request = fork(child, source).at_offset(one).sub_offset(1);
  EXPECT_EQ(host.ask(request).status, 201);
  EXPECT_EQ(host.ask(request).status, 200);
  EXPECT_EQ(host.ask(request.of_type("text/plain; charset=utf-8")).status, 200);
  EXPECT_EQ(host.ask(fork(child, source).sub_offset(0)).error, ErrorCode::kStreamExists);
  EXPECT_EQ(host.ask(fork(child, source).at_offset(one)).error, ErrorCode::kStreamExists);
  EXPECT_EQ(host.ask(fork(child, other).at_offset(one).sub_offset(1)).error,
            ErrorCode::kStreamExists);
  EXPECT_EQ(host.ask(request.ttl(3)).error, ErrorCode::kStreamExists);
  EXPECT_EQ(host.ask(put(child)).error, ErrorCode::kStreamExists);
  EXPECT_EQ(host.ask(request.closing()).error, ErrorCode::kStreamExists);

  // Whatever becomes of the source.
  EXPECT_EQ(host.ask(fork(other, source)).status, 201);
  host.ask(post(source, "three"));
  EXPECT_EQ(host.ask(fork(other, source)).status, 200) << "it has grown";
  EXPECT_EQ(host.ask(post(other, "x")).status, 204);
  EXPECT_EQ(host.ask(fork(other, source)).status, 200);
  host.ask(remove(source));
  EXPECT_EQ(host.ask(request).status, 200) << "it is deleted";
  EXPECT_EQ(host.ask(fork(other, source)).status, 200);
  EXPECT_EQ(pins(), 2);
}

TEST_P(Forks, AForkRequestIsIdempotentAfterItsSourceExpired) {
  host.ask(put(source, "text/plain", "one").ttl(10));
  EXPECT_EQ(host.ask(fork(child, source).ttl(1000)).status, 201);
  host.advance(seconds(20));
  EXPECT_EQ(host.ask(get(source)).error, ErrorCode::kStreamDeleted);
  EXPECT_EQ(host.ask(fork(child, source).ttl(1000)).status, 200);
  EXPECT_EQ(host.ask(fork(child, source)).status, 200);
  EXPECT_EQ(host.ask(fork(other, source)).error, ErrorCode::kForkSourceDeleted);
}

TEST_P(Forks, EqualForkRequestsAtOnceMakeOneFork) {
  host.ask(put(source, "text/plain", "one"));
  host.peers = TestHost::When::kByHand;
  host.commits = TestHost::When::kByHand;
  const uint64_t a = host.send(fork(child, source));
  const uint64_t b = host.send(fork(child, source));
  const uint64_t different = host.send(fork(child, source).ttl(9));
  while (host.waiting_messages() > 0) host.deliver_message();
  host.commit(engine_of(source));
  while (host.waiting_messages() > 0) host.deliver_message();
  EXPECT_TRUE(host.waits(a));
  EXPECT_TRUE(host.waits(b));
  host.commits = TestHost::When::kAtOnce;
  host.peers = TestHost::When::kAtOnce;
  host.commit_all();
  EXPECT_EQ(host.status(a), 201);
  EXPECT_EQ(host.status(b), 200);
  EXPECT_EQ(host.error(different), ErrorCode::kStreamExists);
  EXPECT_EQ(pins(), 1) << "the pins of the others are released";
  EXPECT_EQ(host.read(child), "one");
}

TEST_P(Forks, EqualForkRequestsOneOfWhichFailsLeaveNoPin) {
  host.ask(put(source, "text/plain", "one"));
  host.peers = TestHost::When::kByHand;
  host.commits = TestHost::When::kByHand;
  const uint64_t a = host.send(fork(child, source));
  const uint64_t b = host.send(fork(child, source));
  while (host.waiting_messages() > 0) host.deliver_message();
  host.commit(engine_of(source));
  while (host.waiting_messages() > 0) host.deliver_message();
  host.fail(engine_of(child));
  host.commits = TestHost::When::kAtOnce;
  host.peers = TestHost::When::kAtOnce;
  host.commit_all();
  host.advance(seconds(5));
  EXPECT_EQ(host.status(a), 503);
  EXPECT_EQ(host.status(b), 503);
  EXPECT_EQ(pins(), 0);
  EXPECT_EQ(host.ask(remove(source)).status, 204);
  EXPECT_EQ(host.ask_status(get(source)), 404) << "nobody holds it";
}

TEST_P(Forks, APinWhoseCommitFailsRefusesTheFork) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  const uint64_t id = host.send(fork(child, source));
  host.fail(engine_of(source));
  EXPECT_EQ(host.status(id), 503);
  host.commits = TestHost::When::kAtOnce;
  EXPECT_EQ(host.ask(fork(child, source)).status, 201);
  EXPECT_EQ(pins(), 1);
}

TEST_P(Forks, AForkWhoseCommitFailsReleasesItsPin) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  const uint64_t id = host.send(fork(child, source));
  host.commit(engine_of(source));
  EXPECT_TRUE(host.waits(id));
  host.fail(engine_of(child));
  EXPECT_EQ(host.status(id), 503);
  host.commits = TestHost::When::kAtOnce;
  host.commit_all();
  EXPECT_EQ(pins(), 0);
  EXPECT_EQ(host.ask_status(head(child)), 404);
  EXPECT_EQ(host.ask(remove(source)).status, 204);
  EXPECT_EQ(host.ask_status(get(source)), 404);
}

TEST_P(Forks, AFailedUnpinIsTriedAgain) {
  host.ask(put(source, "text/plain", "one"));
  host.ask(fork(child, source));
  host.ask(remove(source));
  EXPECT_EQ(host.ask(get(source)).error, ErrorCode::kStreamDeleted);
  host.commits = TestHost::When::kByHand;
  const uint64_t id = host.send(remove(child));
  host.commit(engine_of(child));
  EXPECT_EQ(host.status(id), 204);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(host.fail(engine_of(source)));
    EXPECT_EQ(host.ask(get(source)).error, ErrorCode::kStreamDeleted);
    host.advance(seconds(2));
  }
  host.commit_all();
  EXPECT_EQ(host.ask(get(source)).error, ErrorCode::kNotFound);
  EXPECT_EQ(host.engine(engine_of(source)).stats().streams, 0u);
}

TEST_P(Forks, ASourceWithForksIsDeletedSoftly) {
  const std::string tail = text(*host.ask(put(source, "text/plain", "one")).next_offset);
  host.ask(fork(child, source));
  host.ask(fork(other, source));
  EXPECT_EQ(host.ask(remove(source)).status, 204);
  for (const Request& request : {get(source), head(source), remove(source), post(source, "x"),
                                 poll(source, tail), sse(source, tail)}) {
    const wire::Response response = host.ask(request);
    EXPECT_EQ(response.status, 410);
    EXPECT_EQ(response.error, ErrorCode::kStreamDeleted);
  }
  EXPECT_EQ(host.ask(put(source, "text/plain")).error, ErrorCode::kPathHeld);
  EXPECT_EQ(host.ask(put(source, "text/plain")).status, 409);
  EXPECT_EQ(host.ask(fork(source, child)).error, ErrorCode::kPathHeld);
  EXPECT_EQ(host.read(child), "one");
  host.ask(remove(child));
  EXPECT_EQ(host.ask_status(get(source)), 410);
  EXPECT_EQ(host.read(other), "one");
  host.ask(remove(other));
  EXPECT_EQ(host.ask_status(get(source)), 404);
  const wire::Response again = host.ask(put(source, "text/plain", "new"));
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(host.ask(get(source, "offset=" + tail)).error, ErrorCode::kOffsetGone);
}

TEST_P(Forks, ADeletionCascadesOverThreeLevels) {
  host.ask(put(source, "text/plain", "a"));
  host.ask(fork(child, source));
  host.ask(fork(grandchild, child));
  host.ask(fork(other, grandchild));
  for (const std::string& path : {source, child, grandchild}) {
    EXPECT_EQ(host.ask(remove(path)).status, 204);
    EXPECT_EQ(host.ask_status(get(path)), 410);
  }
  EXPECT_EQ(host.read(other), "a");
  EXPECT_EQ(host.ask(remove(other)).status, 204);
  for (const std::string& path : {source, child, grandchild, other}) {
    EXPECT_EQ(host.ask_status(get(path)), 404) << path;
  }
  for (size_t i = 0; i < host.engines(); ++i) EXPECT_EQ(host.engine(i).stats().streams, 0u);
}

TEST_P(Forks, ALongPollOnAForkWaitsForTheForksOwnAppendsOnly) {
  const std::string one = text(*host.ask(put(source, "text/plain", "one")).next_offset);
  host.ask(post(source, "two"));
  host.ask(fork(child, source));
  const uint64_t inherited = host.send(poll(child, one));
  EXPECT_EQ(host.body(inherited), "two");
  const uint64_t waiting = host.send(poll(child, host.next(inherited)));
  host.ask(post(source, "three"));
  EXPECT_TRUE(host.waits(waiting));
  host.ask(post(child, "3"));
  EXPECT_EQ(host.body(waiting), "3");
}

// --- What is still under way --------------------------------------------------------------------

TEST_P(Forks, AForkOfAStreamThatIsBeingCreatedWaitsForIt) {
  host.commits = TestHost::When::kByHand;
  const uint64_t created = host.send(put(source, "text/plain", "one"));
  const uint64_t forked = host.send(fork(child, source));
  EXPECT_TRUE(host.waits(forked));
  host.commit_all();
  EXPECT_EQ(host.status(created), 201);
  EXPECT_EQ(host.status(forked), 201);
  EXPECT_EQ(host.read(child), "one");
}

TEST_P(Forks, AForkOfAStreamWhoseCreationFailsIsRefused) {
  host.commits = TestHost::When::kByHand;
  host.send(put(source, "text/plain", "one"));
  const uint64_t forked = host.send(fork(child, source));
  host.fail(engine_of(source));
  EXPECT_EQ(host.status(forked), 503);
}

TEST_P(Forks, AForkOfAStreamThatIsCreatedAndDeletedInOneBatchIsRefused) {
  host.commits = TestHost::When::kByHand;
  host.send(put(source, "text/plain", "one"));
  const uint64_t forked = host.send(fork(child, source));
  host.send(remove(source));
  host.commit_all();
  EXPECT_EQ(host.error(forked), ErrorCode::kForkSourceNotFound);
}

TEST_P(Forks, AForkOfAStreamThatIsReplacedInOneBatchIsOfTheNewOne) {
  host.commits = TestHost::When::kByHand;
  host.send(put(source, "text/plain", "one"));
  const uint64_t forked = host.send(fork(child, source));
  host.send(remove(source));
  host.send(put(source, "text/plain", "two"));
  host.commit_all();
  EXPECT_EQ(host.status(forked), 201);
  EXPECT_EQ(host.read(child), "two");
}

TEST_P(Forks, AForkOfAStreamThatIsBeingDeletedWaitsForThat) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  host.send(remove(source));
  const uint64_t forked = host.send(fork(child, source));
  EXPECT_TRUE(host.waits(forked));
  host.commit_all();
  EXPECT_EQ(host.error(forked), ErrorCode::kForkSourceNotFound);
}

TEST_P(Forks, AForkOfAStreamWhoseDeletionFailsMayBeTriedAgain) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  host.send(remove(source));
  const uint64_t forked = host.send(fork(child, source));
  host.fail(engine_of(source));
  EXPECT_EQ(host.status(forked), 503);
  const uint64_t again = host.send(fork(child, source));
  host.commit_all();
  EXPECT_EQ(host.status(again), 201);
}

TEST_P(Forks, ADeletionBehindAPendingPinIsSoft) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  const uint64_t forked = host.send(fork(child, source));
  const uint64_t deleted = host.send(remove(source));
  const uint64_t created = host.send(put(source, "text/plain", "two"));
  host.commit_all();
  EXPECT_EQ(host.status(forked), 201);
  EXPECT_EQ(host.status(deleted), 204);
  EXPECT_EQ(host.error(created), ErrorCode::kPathHeld);
  EXPECT_EQ(host.read(child), "one");
}

TEST_P(Forks, APathIsFreeAsSoonAsItsLastPinIsOnItsWayOut) {
  host.ask(put(source, "text/plain", "one"));
  host.ask(fork(child, source));
  host.ask(remove(source));
  host.commits = TestHost::When::kByHand;
  host.send(remove(child));
  host.commit(engine_of(child));
  const uint64_t created = host.send(put(source, "text/plain", "two"));
  EXPECT_EQ(host.ask_status(get(source)), 410) << "the release is not durable yet";
  const uint64_t forked = host.send(fork(other, source));
  host.commit_all();
  EXPECT_EQ(host.status(created), 201);
  EXPECT_EQ(host.status(forked), 201);
  EXPECT_EQ(host.read(other), "two");
}

TEST_P(Forks, ASubOffsetIsCountedInTheStreamThatWasMeant) {
  // The source is replaced while the bytes that the sub-offset counts in are being read back.
  EngineConfig config;
  config.tail_cache_bytes = 1;
  TestHost small(config, GetParam());
  small.ask(put(source, "application/json", "[1,2,3]"));
  const std::string begin = "0000000000000000_0000000000000000";
  const std::string tail = small.tail(source);
  small.ask(post(source, "[4,5]", "application/json"));
  small.ask(put(grandchild, "text/plain", "evicts what came before"));
  small.loads = TestHost::When::kByHand;
  const uint64_t stale = small.send(fork(child, source).at_offset(tail).sub_offset(1));
  ASSERT_EQ(small.waiting_loads(), 1u);
  small.ask(remove(source));
  small.ask(put(source, "application/json", "[\"a rather long element\",2,3,4]"));
  small.load();
  EXPECT_EQ(small.error(stale), ErrorCode::kInvalidForkOffset);
  EXPECT_EQ(small.ops(OpType::kPin), 0);
}

TEST_P(Forks, ASubOffsetWhoseBytesCannotBeReadIsRefused) {
  EngineConfig config;
  config.tail_cache_bytes = 1;
  TestHost small(config, GetParam());
  small.ask(put(source, "application/json", "[1,2,3]"));
  small.ask(put(grandchild, "text/plain", "evicts what came before"));
  small.loads = TestHost::When::kByHand;
  const Request request =
      fork(child, source).at_offset("0000000000000000_0000000000000000").sub_offset(1);
  const uint64_t failed = small.send(request);
  ASSERT_EQ(small.waiting_loads(), 1u);
  small.load(TestHost::LoadEnd::kFailed);
  EXPECT_EQ(small.error(failed), ErrorCode::kOverloaded);
  const uint64_t corrupt = small.send(request);
  small.load(TestHost::LoadEnd::kCorrupt);
  EXPECT_EQ(small.error(corrupt), ErrorCode::kCorruptData);
  const uint64_t fine = small.send(request);
  small.load();
  EXPECT_EQ(small.status(fine), 201);
  small.loads = TestHost::When::kAtOnce;
  EXPECT_EQ(small.read(child), "[1]");
}

TEST_P(Forks, ALifeOfAPathNeverSortsBeforeAnEarlierOne) {
  // While a fork waits for its pin, its path is used and given up by another stream.
  host.ask(put(source, "text/plain", "one"));
  host.peers = TestHost::When::kByHand;
  const uint64_t forked = host.send(fork(child, source));
  const std::string between = text(*host.ask(put(child, "text/plain", "!")).next_offset);
  EXPECT_EQ(host.ask(remove(child)).status, 204);
  host.peers = TestHost::When::kAtOnce;
  while (host.waiting_messages() > 0) host.deliver_message();
  EXPECT_EQ(host.status(forked), 201);
  const std::string own = text(*host.ask(post(child, "two")).next_offset);
  EXPECT_LT(between, own);
  EXPECT_EQ(host.read(child), "onetwo");
  EXPECT_EQ(pins(), 1);
}

TEST_P(Forks, AForksOwnOffsetsSortAfterTheInheritedOnes) {
  // The source's engine has given out many lives: its last ones are ahead of the clock.
  const std::string ahead = name_at(GetParam() - 1, "ahead");
  const std::string behind = name_at(0, "behind");
  const size_t engine = engine_of(ahead);
  for (int i = 0, made = 0; made < 100; ++i) {
    const std::string path = "p/filler" + std::to_string(i);
    if (engine_of(path) != engine) continue;
    host.ask(put(path));
    ++made;
  }
  const std::string inherited = text(*host.ask(put(ahead, "text/plain", "one")).next_offset);
  EXPECT_EQ(host.ask(fork(behind, ahead)).status, 201);
  const std::string own = text(*host.ask(post(behind, "two")).next_offset);
  EXPECT_LT(inherited, own);
  EXPECT_EQ(host.read(behind), "onetwo");
  EXPECT_EQ(host.read(behind, "offset=" + inherited), "two");
  EXPECT_EQ(pins(), 1);
}

TEST_P(Forks, WithoutALogAForkAtAnotherEngineStillHasItsBytes) {
  EngineConfig config;
  config.can_load = false;
  TestHost memory(config, GetParam());
  memory.ask(put(source, "application/json", "[1,2,3]"));
  const std::string one = text(*memory.ask(post(source, "[4,5]", "application/json")).next_offset);
  memory.ask(post(source, "[6,7]", "application/json"));
  // The child's engine has records of its own where the source's are at theirs.
  for (const std::string& path : {child, other, grandchild}) {
    for (int i = 0; i < 3; ++i) {
      memory.ask(put(path, "text/plain", "something else altogether"));
      memory.ask(remove(path));
    }
  }
  EXPECT_EQ(memory.ask(fork(child, source).at_offset(one).sub_offset(1)).status, 201);
  EXPECT_EQ(memory.read(child), "[1,2,3,4,5,6]");
  memory.ask(post(child, "8", "application/json"));
  EXPECT_EQ(memory.read(child), "[1,2,3,4,5,6,8]");
  EXPECT_EQ(memory.read(child, "offset=" + one), "[6,8]");
  EXPECT_EQ(memory.ask(fork(grandchild, child).at_offset(one)).status, 201);
  EXPECT_EQ(memory.read(grandchild), "[1,2,3,4,5]");
  EXPECT_EQ(memory.ask(fork(other, grandchild)).status, 201);
  EXPECT_EQ(memory.read(other), "[1,2,3,4,5]");
  EXPECT_EQ(memory.waiting_loads(), 0u);
}

// --- Recovery -----------------------------------------------------------------------------------

TEST_P(Forks, ForksSurviveARestart) {
  const std::string one = text(*host.ask(put(source, "text/plain", "one")).next_offset);
  host.ask(post(source, "two"));
  host.ask(fork(child, source).at_offset(one).sub_offset(1));
  host.ask(post(child, "X"));
  host.ask(fork(grandchild, child));
  host.ask(remove(child));
  for (const uint32_t engines : {1u, 2u, 3u}) {
    host.restart(engines);
    EXPECT_EQ(host.read(source), "onetwo");
    EXPECT_EQ(host.read(grandchild), "onetX");
    EXPECT_EQ(host.ask_status(get(child)), 410);
    EXPECT_EQ(pins(), 2);
  }
  host.ask(remove(grandchild));
  EXPECT_EQ(host.ask_status(get(child)), 404);
  host.ask(remove(source));
  EXPECT_EQ(host.ask_status(get(source)), 404);
}

TEST_P(Forks, RecoveryDropsAPinWhoseForkNeverCameToBe) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  host.send(fork(child, source));
  host.commit(engine_of(source));  // the pin, but not the fork
  host.commits = TestHost::When::kAtOnce;
  host.restart();
  EXPECT_EQ(host.ask_status(head(child)), 404);
  EXPECT_EQ(pins(), 0);
  host.ask(remove(source));
  EXPECT_EQ(host.ask_status(get(source)), 404);
}

TEST_P(Forks, RecoveryFinishesACascadeThatACrashInterrupted) {
  host.ask(put(source, "text/plain", "one"));
  host.ask(fork(child, source));
  host.ask(fork(grandchild, child));
  host.ask(remove(source));
  host.ask(remove(child));
  host.commits = TestHost::When::kByHand;
  host.send(remove(grandchild));
  host.commit(engine_of(grandchild));  // but none of what follows from it
  host.commits = TestHost::When::kAtOnce;
  host.restart();
  for (const std::string& path : {source, child, grandchild}) {
    EXPECT_EQ(host.ask_status(get(path)), 404) << path;
  }
}

TEST_P(Forks, ALifeThatAForkWasToHaveIsNotGivenAgain) {
  host.ask(put(source, "text/plain", "one"));
  host.commits = TestHost::When::kByHand;
  host.send(fork(child, source));
  host.commit(engine_of(source));
  Incarnation promised;
  for (size_t i = 0; i < host.engines(); ++i) {
    promised = std::max(promised, host.engine(i).highest_life());
  }
  // The clock may have been moved back meanwhile: the log alone knows.
  host.restart();
  Incarnation known;
  for (size_t i = 0; i < host.engines(); ++i) {
    known = std::max(known, host.engine(i).highest_life());
  }
  EXPECT_GE(known, promised);
}

}  // namespace
}  // namespace ds::engine
