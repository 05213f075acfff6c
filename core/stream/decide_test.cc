#include "core/stream/decide.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace ds::stream {
namespace {

using wire::AppendRequest;
using wire::ErrorCode;
using Kind = AppendDecision::Kind;

// What may be wrong with an append, in the order in which it is told.
enum Problem : unsigned {
  kDuplicate,
  kFenced,
  kClosed,
  kType,
  kTuple,  // a gap, or a new epoch that does not begin at 0
  kSeq,
  kMatch,
  kProblems,
};
constexpr ErrorCode kErrors[kProblems] = {ErrorCode::kNone,
                                          ErrorCode::kProducerFenced,
                                          ErrorCode::kStreamClosed,
                                          ErrorCode::kContentTypeMismatch,
                                          ErrorCode::kSequenceGap,
                                          ErrorCode::kSequenceRegression,
                                          ErrorCode::kPreconditionFailed};

// An append and the stream that it meets: a good one, until a test spoils it.
struct Case {
  Case() {
    config.content_type = "text/plain";
    config.kind = wire::ContentKind::kText;
    writer.tail = Position{100};
    writer.has_seq = true;
    writer.last_seq = "m";
    for (uint64_t seq = 0; seq < 3; ++seq) producer.accept(5, seq, Position{seq * 10});
    request.content_type = "text/plain";
    request.body.bytes = "body!";
  }
  AppendDecision decide() const {
    return decide_append({config, lives, writer, known ? &producer : nullptr}, request);
  }
  void expect_error(ErrorCode code) const {
    const AppendDecision decision = decide();
    EXPECT_EQ(decision.kind, Kind::kAnswer);
    EXPECT_EQ(decision.answer.error, code);
    EXPECT_EQ(decision.answer.status, wire::error_info(code).status);
    EXPECT_EQ(decision.answer.closed, writer.closed);
    EXPECT_EQ(decision.answer.next_offset, offset_at(lives, writer.tail));
  }
  void tuple(uint64_t epoch, uint64_t seq) {
    request.producer = wire::ProducerTuple{"w", epoch, seq};
  }
  void close_only() {
    request.body.bytes = {};
    request.close = true;
  }

  StreamConfig config;
  std::vector<LifeSpan> lives{{Position{0}, Incarnation{7}, false}};
  WriterState writer;
  producer::ProducerState producer;  // epoch 5, sequences 0 to 2
  bool known = true;
  AppendRequest request;
};

class Decide : public ::testing::Test, protected Case {};

TEST_F(Decide, APlainAppend) {
  const AppendDecision decision = decide();
  EXPECT_EQ(decision.kind, Kind::kAppend);
  EXPECT_EQ(decision.answer.status, 204);
  EXPECT_EQ(decision.answer.error, ErrorCode::kNone);
  EXPECT_FALSE(decision.answer.closed);
  EXPECT_FALSE(decision.answer.has_producer);
  EXPECT_EQ(decision.answer.next_offset, (Offset{Incarnation{7}, Position{105}}));
  request.close = true;
  EXPECT_TRUE(decide().answer.closed);
}

TEST_F(Decide, AProducersNewDataIsA200AndItsCloseA204) {
  tuple(5, 3);
  AppendDecision decision = decide();
  EXPECT_EQ(decision.kind, Kind::kAppend);
  EXPECT_EQ(decision.answer.status, 200);
  EXPECT_TRUE(decision.answer.has_producer);
  EXPECT_EQ(decision.answer.producer_epoch, 5u);
  EXPECT_EQ(decision.answer.producer_seq, 3u);
  close_only();
  decision = decide();
  EXPECT_EQ(decision.kind, Kind::kClose);
  EXPECT_EQ(decision.answer.status, 204);
  EXPECT_TRUE(decision.answer.closed);
  EXPECT_EQ(decision.answer.next_offset, (Offset{Incarnation{7}, Position{100}}));
}

TEST_F(Decide, AnOffsetInAnAnswerShowsTheLifeOfItsPosition) {
  lives.push_back({Position{100}, Incarnation{9}, false});
  EXPECT_EQ(decide().answer.next_offset, (Offset{Incarnation{9}, Position{105}}));
  close_only();
  EXPECT_EQ(decide().answer.next_offset, (Offset{Incarnation{7}, Position{100}}));
  tuple(5, 1);
  EXPECT_EQ(decide().answer.next_offset, (Offset{Incarnation{7}, Position{10}}));
}

TEST_F(Decide, JsonGrowsByItsStoredForm) {
  config.content_type = "application/json";
  std::vector<wire::JsonElement> elements;
  ASSERT_EQ(wire::check_body("[1, 22]", "application/json", wire::EmptyArray::kRefused, elements,
                             request.body),
            ErrorCode::kNone);
  request.content_type = "application/json";
  EXPECT_EQ(decide().answer.next_offset, (Offset{Incarnation{7}, Position{105}}));
}

// Every set of things that are wrong at once: the first one is told.
TEST_F(Decide, OfSeveralProblemsTheFirstIsTold) {
  for (unsigned problems = 0; problems < 1u << kProblems; ++problems) {
    const auto has = [problems](Problem problem) { return (problems >> problem & 1) != 0; };
    // A tuple is one of these at most.
    if (has(kDuplicate) + has(kFenced) + has(kTuple) > 1) continue;
    for (const bool with_body : {true, false}) {
      if (!with_body && has(kType)) continue;  // nobody looks at the type of nothing
      SCOPED_TRACE("problems " + std::to_string(problems) + (with_body ? "" : " closing"));
      const bool plain = !has(kDuplicate) && !has(kFenced) && !has(kTuple);
      for (const bool good_tuple : {false, true}) {
        if (good_tuple && !plain) continue;
        Case one;
        if (has(kDuplicate)) one.tuple(5, 1);
        if (has(kFenced)) one.tuple(4, 3);
        if (has(kTuple)) one.tuple(5, 4);
        if (good_tuple) one.tuple(6, 0);
        if (has(kClosed)) one.writer.closed = true;
        if (has(kType)) one.request.content_type = "text/html";
        one.request.stream_seq = has(kSeq) ? "m" : "n";
        one.request.match = has(kMatch) ? AppendRequest::Match::kNever : AppendRequest::Match::kAny;
        if (!with_body) one.close_only();

        Problem first = kProblems;
        for (unsigned p = kProblems; p-- > 0;) {
          if (has(static_cast<Problem>(p))) first = static_cast<Problem>(p);
        }
        const AppendDecision decision = one.decide();
        if (first == kProblems) {
          EXPECT_EQ(decision.kind, with_body ? Kind::kAppend : Kind::kClose);
        } else if (first == kDuplicate) {
          EXPECT_EQ(decision.kind, Kind::kAnswer);
          EXPECT_EQ(decision.answer.status, 204);
          EXPECT_EQ(decision.answer.error, ErrorCode::kNone);
          EXPECT_EQ(decision.answer.closed, has(kClosed));
          EXPECT_EQ(decision.answer.producer_seq, 2u);
          EXPECT_EQ(decision.answer.next_offset, (Offset{Incarnation{7}, Position{10}}));
        } else if (first == kClosed && !with_body && plain && !good_tuple) {
          // To close what is closed is no problem.
          EXPECT_EQ(decision.kind, Kind::kAnswer);
          EXPECT_EQ(decision.answer.status, 204);
          EXPECT_TRUE(decision.answer.closed);
        } else {
          one.expect_error(kErrors[first]);
        }
      }
    }
  }
}

TEST_F(Decide, AFencedProducerIsToldTheEpoch) {
  tuple(4, 7);
  expect_error(ErrorCode::kProducerFenced);
  EXPECT_TRUE(decide().answer.has_producer);
  EXPECT_EQ(decide().answer.producer_epoch, 5u);
}

TEST_F(Decide, AGapIsToldWithWhatWasExpected) {
  tuple(5, 9);
  expect_error(ErrorCode::kSequenceGap);
  EXPECT_TRUE(decide().answer.has_gap);
  EXPECT_EQ(decide().answer.expected_seq, 3u);
  EXPECT_EQ(decide().answer.received_seq, 9u);
  known = false;
  EXPECT_EQ(decide().answer.expected_seq, 0u);
  tuple(5, 0);
  EXPECT_EQ(decide().kind, Kind::kAppend) << "an unknown producer begins with 0, in any epoch";
}

TEST_F(Decide, ANewEpochBeginsAtZero) {
  tuple(6, 1);
  expect_error(ErrorCode::kNewEpochNotAtZero);
  writer.closed = true;
  expect_error(ErrorCode::kStreamClosed);
  writer.closed = false;
  tuple(6, 0);
  EXPECT_EQ(decide().kind, Kind::kAppend);
}

TEST_F(Decide, AForgottenReceiptFallsBackToTheTail) {
  for (uint64_t seq = 3; seq < 50; ++seq) producer.accept(5, seq, Position{seq});
  tuple(5, 1);
  EXPECT_EQ(decide().answer.next_offset, (Offset{Incarnation{7}, Position{100}}));
  EXPECT_EQ(decide().answer.producer_seq, 49u);
}

TEST_F(Decide, ContentTypesCompareWithoutCaseAndParameters) {
  for (const char* type :
       {"text/plain", "TEXT/Plain", "text/plain;charset=UTF-8", "text/plain ; a=b"}) {
    request.content_type = type;
    EXPECT_EQ(decide().kind, Kind::kAppend) << type;
  }
  for (const char* type : {"text/plai", "text/plainx", "application/json", ""}) {
    request.content_type = type;
    expect_error(ErrorCode::kContentTypeMismatch);
  }
}

TEST_F(Decide, StreamSeqIsComparedByteByByte) {
  const struct {
    std::string_view value;
    bool good;
  } rows[] = {{"m", false}, {"l", false}, {"lz", false}, {"", false},    {"m0", true},
              {"n", true},  {"z", true},  {"M", false},  {"\xff", true}, {"10", false}};
  for (const auto& row : rows) {
    request.stream_seq = row.value;
    EXPECT_EQ(decide().answer.error == ErrorCode::kNone, row.good) << row.value;
  }
  // The first one may be anything, even nothing.
  writer.has_seq = false;
  request.stream_seq = "";
  EXPECT_EQ(decide().kind, Kind::kAppend);
}

TEST_F(Decide, IfMatchNamesTheTail) {
  request.match = AppendRequest::Match::kOffset;
  request.match_offset = Offset{Incarnation{7}, Position{100}};
  EXPECT_EQ(decide().kind, Kind::kAppend);
  for (const Offset other :
       {Offset{Incarnation{7}, Position{99}}, Offset{Incarnation{7}, Position{101}},
        Offset{Incarnation{8}, Position{100}}, Offset{}}) {
    request.match_offset = other;
    expect_error(ErrorCode::kPreconditionFailed);
  }
  // A retry of what was accepted never meets it.
  tuple(5, 2);
  request.match = AppendRequest::Match::kNever;
  EXPECT_EQ(decide().answer.status, 204);
}

// --- Whether a PUT describes what is there ------------------------------------------------------

class CreateMatches : public ::testing::Test {
 protected:
  CreateMatches() {
    config.content_type = "text/plain; charset=utf-8";
    request.content_type = "text/plain";
  }
  bool matches() const { return create_matches(config, lives, writer, request); }
  void make_fork() {
    lives = {{Position{0}, Incarnation{3}, false}, {Position{52}, Incarnation{7}, false}};
    config.fork = ForkOrigin{Incarnation{3}, 1, "p/source", Position{50}, 2, Position{52}};
    config.ttl_seconds = 60;
    request.fork = wire::ForkSource{"p/source", Offset{Incarnation{3}, Position{50}}, {}, 2};
  }
  StreamConfig config;
  std::vector<LifeSpan> lives{{Position{0}, Incarnation{7}, false}};
  WriterState writer;
  wire::CreateRequest request;
};

TEST_F(CreateMatches, TypeLifetimeAndClosureMustBeTheSame) {
  EXPECT_TRUE(matches());
  request.content_type = "";
  EXPECT_FALSE(matches()) << "the default is another type";
  config.content_type = "application/octet-stream";
  EXPECT_TRUE(matches());
  request.ttl_seconds = 5;
  EXPECT_FALSE(matches());
  config.ttl_seconds = 5;
  EXPECT_TRUE(matches());
  config.ttl_seconds = 6;
  EXPECT_FALSE(matches());
  request.ttl_seconds.reset();
  EXPECT_FALSE(matches());
  config.ttl_seconds.reset();
  config.expires_at = Instant{9};
  EXPECT_FALSE(matches());
  request.expires_at = Instant{9};
  EXPECT_TRUE(matches());
  request.closed = true;
  EXPECT_FALSE(matches());
  writer.closed = true;
  EXPECT_TRUE(matches());
  request.closed = false;
  EXPECT_FALSE(matches());
}

TEST_F(CreateMatches, AForkMatchesWhatWasAskedFor) {
  make_fork();
  EXPECT_TRUE(matches());
  request.content_type = "";
  EXPECT_TRUE(matches()) << "what is left out is inherited";
  request.content_type = "text/html";
  EXPECT_FALSE(matches());
  request.content_type = "";
  request.ttl_seconds = 60;
  EXPECT_TRUE(matches());
  request.ttl_seconds = 61;
  EXPECT_FALSE(matches());
  request.ttl_seconds.reset();
  request.expires_at = Instant{1};
  EXPECT_FALSE(matches());
  request.expires_at.reset();
  request.fork->offset.reset();
  EXPECT_TRUE(matches()) << "an omitted offset matches";
  request.fork->sub_offset = 0;
  EXPECT_FALSE(matches());
  request.fork.reset();
  request.content_type = "text/plain";
  EXPECT_FALSE(matches()) << "a stream is no fork";
}

TEST_F(CreateMatches, RetentionMustBeTheSameForForksToo) {
  for (const bool is_fork : {false, true}) {
    SCOPED_TRACE(is_fork);
    if (is_fork) make_fork();
    EXPECT_TRUE(matches());
    request.max_age_seconds = 5;
    EXPECT_FALSE(matches());
    config.retention.max_age_seconds = 5;
    EXPECT_TRUE(matches());
    request.max_bytes = 6;
    EXPECT_FALSE(matches());
    config.retention.max_bytes = 7;
    EXPECT_FALSE(matches());
    request.max_bytes = 7;
    EXPECT_TRUE(matches());
    request.max_age_seconds.reset();
    EXPECT_FALSE(matches());
    request.max_bytes.reset();
    config.retention = Retention();
  }
}

TEST_F(CreateMatches, AForkPointIsTheOffsetThatWasAskedFor) {
  make_fork();
  for (const Offset other :
       {Offset{Incarnation{3}, Position{49}}, Offset{Incarnation{3}, Position{52}},
        Offset{Incarnation{4}, Position{50}}, Offset{}}) {
    request.fork->offset = other;
    EXPECT_FALSE(matches());
  }
  request.fork->offset = Offset{Incarnation{3}, Position{50}};
  request.fork->path = "p/other";
  EXPECT_FALSE(matches());
  // The beginning of any source.
  config.fork->anchor = Position{0};
  request.fork->path = "p/source";
  request.fork->offset = Offset{};
  EXPECT_TRUE(matches());
  // A stream that is no fork is not made one.
  config.fork.reset();
  EXPECT_FALSE(matches());
}

}  // namespace
}  // namespace ds::stream
