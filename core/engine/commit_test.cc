// Commits and what waits for them.
#include <gtest/gtest.h>

#include <string>

#include "core/engine/test_host.h"
#include "core/producer/producer_state.h"

namespace ds::engine {
namespace {

using namespace test;

class Commits : public ::testing::Test {
 protected:
  Commits() { host.commits = TestHost::When::kByHand; }
  // Asks, and commits whatever it needs.
  wire::Response done(const Request& request) {
    const uint64_t id = host.send(request);
    host.commit_all();
    EXPECT_FALSE(host.waits(id)) << request.path;
    return host.waits(id) ? wire::Response() : *host.answer(id);
  }
  TestHost host;
};

TEST_F(Commits, AnAnswerWaitsForItsCommit) {
  const uint64_t created = host.send(put("p/s", "text/plain", "one"));
  EXPECT_TRUE(host.waits(created));
  ASSERT_TRUE(host.take());
  EXPECT_TRUE(host.waits(created));
  ASSERT_TRUE(host.commit());
  EXPECT_EQ(host.status(created), 201);

  const uint64_t appended = host.send(post("p/s", "two"));
  const uint64_t closed = host.send(close("p/s"));
  EXPECT_TRUE(host.waits(appended));
  EXPECT_TRUE(host.waits(closed));
  host.commit();
  EXPECT_EQ(host.status(appended), 204);
  EXPECT_EQ(host.status(closed), 204);
  EXPECT_TRUE(host.answer(closed)->closed);

  const uint64_t deleted = host.send(remove("p/s"));
  EXPECT_TRUE(host.waits(deleted));
  host.commit();
  EXPECT_EQ(host.status(deleted), 204);
}

TEST_F(Commits, ReadersDoNotSeePendingData) {
  const uint64_t created = host.send(put("p/s", "text/plain", "one"));
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.ask_status(head("p/s")), 404);
  host.commit();
  EXPECT_EQ(host.status(created), 201);

  host.send(post("p/s", "two"));
  host.send(close("p/s"));
  wire::Response read = host.ask(get("p/s"));
  EXPECT_EQ(body_of(read), "one");
  EXPECT_FALSE(read.closed);
  wire::Response tail = host.ask(head("p/s"));
  EXPECT_EQ(tail.next_offset->position, Position{3});
  EXPECT_FALSE(tail.closed);
  host.commit();
  read = host.ask(get("p/s"));
  EXPECT_EQ(body_of(read), "onetwo");
  EXPECT_TRUE(read.closed);

  host.send(remove("p/s"));
  EXPECT_EQ(host.ask_status(get("p/s")), 200);
  host.commit();
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
}

TEST_F(Commits, ARefusalThatRestsOnAPendingOpWaitsForIt) {
  done(put("p/s", "text/plain", "one"));
  done(post("p/s", "a").producer("w", 3, 0));

  // A pending close, a pending epoch, a pending Stream-Seq, a pending tail.
  const uint64_t epoch = host.send(post("p/s", "b").producer("w", 4, 0));
  const uint64_t fenced = host.send(post("p/s", "c").producer("w", 3, 1));
  const uint64_t gap = host.send(post("p/s", "c").producer("w", 4, 2));
  const uint64_t repeat = host.send(post("p/s", "b").producer("w", 4, 0));
  const uint64_t seq = host.send(post("p/s", "d").with(HeaderId::kStreamSeq, "5"));
  const uint64_t regression = host.send(post("p/s", "d").with(HeaderId::kStreamSeq, "5"));
  const uint64_t match = host.send(post("p/s", "e").if_match(host.tail("p/s")));
  const uint64_t closing = host.send(post("p/s", "f").closing());
  const uint64_t refused = host.send(post("p/s", "g"));
  const uint64_t exists = host.send(put("p/s"));
  const uint64_t type = host.send(post("p/s", "{}", "application/json"));
  for (const uint64_t id :
       {epoch, fenced, gap, repeat, seq, regression, match, closing, refused, exists, type}) {
    EXPECT_TRUE(host.waits(id)) << id;
  }
  host.commit();
  EXPECT_EQ(host.status(epoch), 200);
  EXPECT_EQ(host.error(fenced), ErrorCode::kProducerFenced);
  EXPECT_EQ(host.answer(fenced)->producer_epoch, 4u);
  EXPECT_EQ(host.answer(fenced)->producer_seq, std::nullopt);
  EXPECT_EQ(host.error(gap), ErrorCode::kSequenceGap);
  EXPECT_EQ(host.answer(gap)->expected_seq, 1u);
  EXPECT_EQ(host.answer(gap)->received_seq, 2u);
  EXPECT_EQ(host.status(repeat), 204);
  EXPECT_EQ(host.next(repeat), host.next(epoch));
  EXPECT_EQ(host.status(seq), 204);
  EXPECT_EQ(host.error(regression), ErrorCode::kSequenceRegression);
  EXPECT_EQ(host.error(match), ErrorCode::kPreconditionFailed);
  EXPECT_EQ(host.next(match), host.next(seq));
  EXPECT_EQ(host.status(closing), 204);
  EXPECT_EQ(host.error(refused), ErrorCode::kStreamClosed);
  EXPECT_TRUE(host.answer(refused)->closed);
  EXPECT_EQ(host.next(refused), host.next(closing));
  EXPECT_EQ(host.error(exists), ErrorCode::kStreamExists);
  EXPECT_EQ(host.error(type), ErrorCode::kStreamClosed);
}

TEST_F(Commits, NotFoundAfterAPendingDeletionWaits) {
  done(put("p/s"));
  const uint64_t deleted = host.send(remove("p/s"));
  const uint64_t again = host.send(remove("p/s"));
  const uint64_t appended = host.send(post("p/s", "x"));
  EXPECT_TRUE(host.waits(again));
  EXPECT_TRUE(host.waits(appended));
  host.commit();
  EXPECT_EQ(host.status(deleted), 204);
  EXPECT_EQ(host.error(again), ErrorCode::kNotFound);
  EXPECT_EQ(host.error(appended), ErrorCode::kNotFound);
}

TEST_F(Commits, AnAnswerWaitsForTheNewestPendingOpOfItsStreamAlone) {
  done(put("p/a"));
  done(put("p/b"));
  host.send(post("p/a", "x"));
  host.take();
  host.send(post("p/a", "y"));
  host.take();
  const uint64_t same = host.send(put("p/a"));
  EXPECT_TRUE(host.waits(same));
  // Nothing is pending on b: its refusal depends on nothing.
  EXPECT_EQ(host.ask(post("p/b", "{}", "application/json")).error, ErrorCode::kContentTypeMismatch);
  host.commit();
  EXPECT_TRUE(host.waits(same));
  host.commit();
  EXPECT_EQ(host.status(same), 200);
  EXPECT_FALSE(host.commit()) << "an answer needs no op of its own";
}

TEST_F(Commits, PipelinedCommitsEndInOrder) {
  done(put("p/s"));
  std::vector<uint64_t> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(host.send(post("p/s", std::string(1, static_cast<char>('a' + i)))));
    host.take();
  }
  EXPECT_EQ(host.taken(), 5u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(host.waits(ids[static_cast<size_t>(i)]));
    host.commit();
    EXPECT_EQ(host.status(ids[static_cast<size_t>(i)]), 204);
    EXPECT_EQ(host.answer(ids[static_cast<size_t>(i)])->next_offset->position,
              Position{static_cast<uint64_t>(i) + 1});
    EXPECT_EQ(host.read("p/s"), std::string("abcde").substr(0, static_cast<size_t>(i) + 1));
  }
}

TEST_F(Commits, AFailedCommitFailsAllThatIsPending) {
  done(put("p/s", "text/plain", "one"));
  done(put("p/other", "text/plain", "kept"));
  const std::string tail = host.tail("p/s");
  const uint64_t first = host.send(post("p/s", "two"));
  host.take();
  const uint64_t second = host.send(post("p/s", "three").closing());
  const uint64_t dependent = host.send(post("p/s", "four"));
  host.take();
  const uint64_t open = host.send(remove("p/other"));
  const uint64_t fresh = host.send(put("p/new"));
  const uint64_t epoch = host.engine().epoch();
  host.fail();
  for (const uint64_t id : {first, second, dependent, open, fresh}) {
    EXPECT_EQ(host.status(id), 503) << id;
    EXPECT_EQ(host.error(id), ErrorCode::kStorageFailed);
    EXPECT_TRUE(host.answer(id)->retry_after_seconds.has_value());
  }
  EXPECT_GT(host.engine().epoch(), epoch);
  EXPECT_FALSE(host.engine().has_batch());
  EXPECT_EQ(host.engine().stats().pending_ops, 0u);
  // The state is the committed one again, and writes go on from there.
  EXPECT_EQ(host.tail("p/s"), tail);
  EXPECT_FALSE(host.ask(head("p/s")).closed);
  EXPECT_EQ(host.ask_status(get("p/new")), 404);
  EXPECT_EQ(done(post("p/s", "2")).status, 204);
  EXPECT_EQ(host.read("p/s"), "one2");
  EXPECT_EQ(done(post("p/other", "!")).status, 204);
  EXPECT_EQ(host.read("p/other"), "kept!");
  EXPECT_EQ(done(put("p/new")).status, 201);
}

TEST_F(Commits, AFullDiskSaysSo) {
  done(put("p/s"));
  const uint64_t id = host.send(post("p/s", "x"));
  host.commit(0, CommitOutcome::kDiskFull);
  EXPECT_EQ(host.status(id), 507);
  EXPECT_EQ(host.error(id), ErrorCode::kStorageFull);
}

TEST_F(Commits, ACommitThatNeverEndsHoldsBackItsAnswersOnly) {
  done(put("p/s", "text/plain", "one"));
  const uint64_t stuck = host.send(post("p/s", "two"));
  host.take();
  host.advance(seconds(100000));
  EXPECT_TRUE(host.waits(stuck));
  EXPECT_EQ(host.read("p/s"), "one");
  EXPECT_EQ(host.ask_status(head("p/s")), 200);
}

TEST_F(Commits, ProducersGoOnAfterAFailure) {
  done(put("p/s"));
  EXPECT_EQ(done(post("p/s", "a").producer("w", 0, 0)).status, 200);
  const uint64_t lost = host.send(post("p/s", "b").producer("w", 0, 1));
  const uint64_t next = host.send(post("p/s", "c").producer("w", 0, 2));
  const uint64_t other = host.send(post("p/s", "d").producer("new", 7, 0));
  host.fail();
  EXPECT_EQ(host.status(lost), 503);
  EXPECT_EQ(host.status(next), 503);
  EXPECT_EQ(host.status(other), 503);
  // Their retries with the same tuples are new data.
  EXPECT_EQ(done(post("p/s", "b").producer("w", 0, 1)).status, 200);
  EXPECT_EQ(done(post("p/s", "c").producer("w", 0, 2)).status, 200);
  EXPECT_EQ(done(post("p/s", "d").producer("new", 7, 0)).status, 200);
  EXPECT_EQ(host.read("p/s"), "abcd");
}

TEST_F(Commits, AnEpochThatFailedFencesNobody) {
  done(put("p/s"));
  done(post("p/s", "a").producer("w", 0, 0));
  host.send(post("p/s", "x").producer("w", 5, 0));
  host.fail();
  EXPECT_EQ(done(post("p/s", "b").producer("w", 0, 1)).status, 200);
}

TEST_F(Commits, AFailedCreationGivesItsPathBackToTheLifeBefore) {
  done(put("p/s", "text/plain", "old"));
  const std::string old_tail = host.tail("p/s");
  const uint64_t deleted = host.send(remove("p/s"));
  host.take();
  const uint64_t created = host.send(put("p/s", "text/plain", "new"));
  host.take();
  const uint64_t appended = host.send(post("p/s", "!"));
  EXPECT_EQ(host.read("p/s"), "old");
  host.fail();
  EXPECT_EQ(host.status(deleted), 503);
  EXPECT_EQ(host.status(created), 503);
  EXPECT_EQ(host.status(appended), 503);
  EXPECT_EQ(host.tail("p/s"), old_tail);
  EXPECT_EQ(done(post("p/s", "er")).status, 204);
  EXPECT_EQ(host.read("p/s"), "older");
  EXPECT_EQ(host.engine().stats().streams, 1u);
}

TEST_F(Commits, AFailedCreationAfterADurableDeletionLeavesNothing) {
  done(put("p/s", "text/plain", "old"));
  const uint64_t deleted = host.send(remove("p/s"));
  host.take();
  const uint64_t created = host.send(put("p/s", "text/plain", "new"));
  host.take();
  host.commit();
  EXPECT_EQ(host.status(deleted), 204);
  EXPECT_TRUE(host.waits(created));
  host.fail();
  EXPECT_EQ(host.status(created), 503);
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  EXPECT_EQ(host.engine().stats().streams, 0u);
}

TEST_F(Commits, SeveralLivesInOneBatch) {
  const uint64_t one = host.send(put("p/s", "text/plain", "1"));
  const uint64_t gone = host.send(remove("p/s"));
  const uint64_t two = host.send(put("p/s", "text/plain", "2"));
  const uint64_t gone_again = host.send(remove("p/s"));
  const uint64_t three = host.send(put("p/s", "application/json", "[3]"));
  const uint64_t appended = host.send(post("p/s", "4", "application/json"));
  EXPECT_EQ(host.ask_status(get("p/s")), 404);
  host.commit();
  EXPECT_EQ(host.status(one), 201);
  EXPECT_EQ(host.status(gone), 204);
  EXPECT_EQ(host.status(two), 201);
  EXPECT_EQ(host.status(gone_again), 204);
  EXPECT_EQ(host.status(three), 201);
  EXPECT_EQ(host.status(appended), 204);
  EXPECT_LT(host.next(one), host.next(two));
  EXPECT_LT(host.next(two), host.next(three));
  EXPECT_EQ(host.read("p/s"), "[3,4]");
  EXPECT_EQ(host.engine().stats().streams, 1u);
  // The offsets of the lives before mean nothing any more.
  EXPECT_EQ(host.ask(get("p/s", "offset=" + host.next(one))).error, ErrorCode::kOffsetGone);
  EXPECT_EQ(host.ask(get("p/s", "offset=" + host.next(two))).error, ErrorCode::kOffsetGone);
}

TEST_F(Commits, SeveralLivesFailTogether) {
  done(put("p/s", "text/plain", "0"));
  host.send(remove("p/s"));
  host.send(put("p/s", "text/plain", "1"));
  host.take();
  host.send(remove("p/s"));
  host.send(put("p/s", "text/plain", "2"));
  host.fail();
  EXPECT_EQ(host.read("p/s"), "0");
  EXPECT_EQ(host.engine().stats().streams, 1u);
  EXPECT_EQ(done(remove("p/s")).status, 204);
  EXPECT_EQ(host.engine().stats().streams, 0u);
}

TEST_F(Commits, ASmallBatchKeepsNoMoreMemoryThanItNeedsAfterALargeOne) {
  host.send(put("p/s", "text/plain", std::string(3000, 'x')));
  const std::optional<Batch> large = host.engine().take_batch();
  ASSERT_TRUE(large.has_value());
  EXPECT_GT(large->records->size(), 3000u);
  host.send(post("p/s", "y"));
  const std::optional<Batch> small = host.engine().take_batch();
  ASSERT_TRUE(small.has_value());
  EXPECT_LT(small->records->capacity(), 600u);
}

TEST_F(Commits, ALargeOpIsGivenTheMemoryThatItNeeds) {
  done(put("p/s", "text/plain", std::string(300000, 'x')));
  for (const size_t bytes : {100000, 400000, 5000, 70000, 100000}) {
    host.send(post("p/s", std::string(bytes, 'y')));
    EXPECT_GT(host.engine().batch_bytes(), bytes);
    const std::optional<Batch> batch = host.engine().take_batch();
    ASSERT_TRUE(batch.has_value());
    EXPECT_LE(batch->records->capacity(), bytes + bytes / 4 + 1000) << bytes;
    EXPECT_EQ(host.engine().batch_bytes(), 0u);
  }
}

TEST_F(Commits, ABatchHoldsWhatWasDecidedSinceTheLastOne) {
  EXPECT_FALSE(host.engine().has_batch());
  EXPECT_FALSE(host.engine().take_batch().has_value());
  host.send(put("p/s"));
  host.send(post("p/s", "x"));
  EXPECT_TRUE(host.engine().has_batch());
  EXPECT_EQ(host.engine().stats().pending_ops, 2u);
  const std::optional<Batch> first = host.engine().take_batch();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->op_count, 2u);
  EXPECT_FALSE(host.engine().has_batch());
  host.send(post("p/s", "y"));
  const std::optional<Batch> second = host.engine().take_batch();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->op_count, 1u);
  EXPECT_GT(second->batch_id, first->batch_id);
  // Reads and refusals make no batch.
  host.send(post("p/s", "z", "application/json"));
  host.send(get("p/s"));
  EXPECT_FALSE(host.engine().has_batch());
}

TEST_F(Commits, ADisconnectChangesNothingOfAWrite) {
  done(put("p/s"));
  const uint64_t id = host.send(post("p/s", "x"));
  host.disconnect(id);
  host.commit();
  EXPECT_TRUE(host.waits(id));
  EXPECT_EQ(host.read("p/s"), "x");
}

TEST_F(Commits, AReceiptIsTheRetriesOwnOffset) {
  done(put("p/s"));
  std::vector<std::string> ends;
  for (uint64_t seq = 0; seq < 40; ++seq) {
    const wire::Response answer = done(post("p/s", "xy").producer("w", 1, seq));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.producer_seq, seq);
    ends.push_back(text(*answer.next_offset));
  }
  for (uint64_t seq = 0; seq < 40; ++seq) {
    const wire::Response again = done(post("p/s", "xy").producer("w", 1, seq));
    EXPECT_EQ(again.status, 204);
    EXPECT_EQ(again.producer_epoch, 1u);
    EXPECT_EQ(again.producer_seq, 39u) << "the highest accepted one";
    const bool remembered = seq >= 40 - producer::kReceiptsMax;
    EXPECT_EQ(text(*again.next_offset), remembered ? ends[seq] : ends.back()) << seq;
  }
  EXPECT_EQ(host.read("p/s").size(), 80u);
}

TEST_F(Commits, AClosedStreamRepeatsItsAnswers) {
  done(put("p/s"));
  const std::string first = text(*done(post("p/s", "a").producer("w", 0, 0)).next_offset);
  const wire::Response closing = done(post("p/s", "b").producer("w", 0, 1).closing());
  EXPECT_EQ(closing.status, 200);
  EXPECT_TRUE(closing.closed);
  const wire::Response again = done(post("p/s", "b").producer("w", 0, 1).closing());
  EXPECT_EQ(again.status, 204);
  EXPECT_TRUE(again.closed);
  EXPECT_EQ(again.next_offset, closing.next_offset);
  const wire::Response earlier = done(post("p/s", "a").producer("w", 0, 0));
  EXPECT_EQ(earlier.status, 204);
  EXPECT_TRUE(earlier.closed);
  EXPECT_EQ(text(*earlier.next_offset), first);
  const wire::Response later = done(post("p/s", "c").producer("w", 0, 2));
  EXPECT_EQ(later.error, ErrorCode::kStreamClosed);
  EXPECT_TRUE(later.closed);
  EXPECT_EQ(later.next_offset, closing.next_offset);
  EXPECT_EQ(done(close("p/s")).status, 204);
  EXPECT_EQ(done(close("p/s").producer("w", 0, 2)).error, ErrorCode::kStreamClosed);
}

TEST_F(Commits, ACloseByAProducerIsIdempotent) {
  done(put("p/s", "text/plain", "x"));
  const wire::Response closed = done(close("p/s").producer("w", 0, 0));
  EXPECT_EQ(closed.status, 204);
  EXPECT_TRUE(closed.closed);
  const wire::Response again = done(close("p/s").producer("w", 0, 0));
  EXPECT_EQ(again.status, 204);
  EXPECT_TRUE(again.closed);
  EXPECT_EQ(again.next_offset, closed.next_offset);
}

}  // namespace
}  // namespace ds::engine
