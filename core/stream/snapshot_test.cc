// States, what ops make of them, and their snapshots.
#include "core/stream/snapshot.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "core/stream/op_record.h"
#include "tests/support/mutations.h"

namespace ds::stream {
namespace {

using tests::Random;

std::string snapshot_of(const StreamState& state) {
  std::string out;
  append_snapshot(out, state);
  return out;
}

// A random history of one stream: ops that fit each other, as records.
class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {
    Op op = next(OpType::kCreate);
    op.position = Position{random_.below(2) * 20};
    Op::Create& facts = op.create.emplace();
    facts.path = "p/some stream";
    facts.content_type = random_.below(2) == 0 ? "text/plain" : "application/json";
    facts.lives = {{Position{0}, kId, false}};
    if (random_.below(2) == 0) facts.ttl_seconds = random_.below(100);
    if (random_.below(3) == 0)
      facts.expires_at = Instant{static_cast<int64_t>(random_.next() >> 8)};
    if (random_.below(2) == 0) facts.retention.max_age_seconds = 1 + random_.below(100);
    if (random_.below(2) == 0) facts.retention.max_bytes = 1 + random_.next() / 2;
    if (op.position > Position{0}) {
      if (random_.below(2) == 0) op.earliest = Position{random_.below(21)};
      facts.lives = {{Position{0}, Incarnation{3}, false}, {op.position, kId, false}};
      facts.fork = ForkOrigin{Incarnation{3}, 4, "p/source", Position{18}, 2, op.position};
    }
    if (random_.below(2) == 0) op.payload = "first";
    apply_new(op);
  }

  void step() {
    switch (random_.below(11)) {
      case 4: {
        Op op = next(OpType::kTrim);
        op.earliest = Position{random_.below(state.writer.tail.value + 1)};
        apply_new(op);
        return;
      }
      case 0: {
        Op op = next(OpType::kTouch);
        apply_new(op);
        return;
      }
      case 1: {
        Op op = next(OpType::kPin);
        op.pin =
            Op::Pin{Incarnation{1000 + ++children_}, random_.next(), Position{random_.below(99)}};
        apply_new(op);
        return;
      }
      case 2: {
        Op op = next(OpType::kUnpin);
        op.pin = Op::Pin{Incarnation{1000 + random_.below(children_ + 2)}, 0, Position{0}};
        apply_new(op);
        return;
      }
      case 3: {
        Op op = next(OpType::kNewLife);
        op.new_life = Incarnation{last_life_ += 1 + random_.below(9)};
        apply_new(op);
        return;
      }
      default:
        append();
    }
  }

  StreamState state;
  std::deque<std::string> records;

 private:
  static constexpr Incarnation kId{7};

  Op next(OpType type) {
    Op op;
    op.type = type;
    op.stream = kId;
    op.path_hash = 55;
    op.position = state.writer.tail;
    op.time = Instant{time_ += static_cast<int64_t>(random_.below(5000))};
    return op;
  }

  void append() {
    Op op = next(OpType::kAppend);
    const std::string payload(1 + random_.below(9), 'x');
    op.payload = payload;
    std::string id;
    if (random_.below(2) == 0) {
      id = "writer " + std::to_string(random_.below(3));
      const auto known = state.producers.find(id);
      if (known == state.producers.end()) {
        op.producer = Op::Producer{id, random_.below(3), 0};
      } else if (random_.below(10) == 0) {
        op.producer = Op::Producer{id, known->second.epoch() + 1, 0};
      } else {
        op.producer = Op::Producer{id, known->second.epoch(), known->second.expected_seq()};
      }
    }
    const std::string seq = std::to_string(time_);
    if (random_.below(3) == 0) op.stream_seq = seq;
    apply_new(op);
  }

  void apply_new(const Op& op) {
    std::string record;
    append_record(record, op);
    records.push_back(record);
    if (op.type == OpType::kCreate) state = new_state(op, MessageIndex());
    ASSERT_TRUE(apply(state, op, LogPosition{records.size()}));
  }

  Random random_;
  uint64_t children_ = 0;
  uint64_t last_life_ = 100;
  int64_t time_ = 1000000;
};

TEST(Snapshot, WhatIsKeptIsReadBack) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    for (int i = 0; i < 80; ++i) history.step();
    const std::string bytes = snapshot_of(history.state);
    const auto decoded = decode_snapshot(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(snapshot_of(*decoded), bytes);
    // A look at what is behind the bytes.
    const StreamState& a = history.state;
    const StreamState& b = *decoded;
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.path, b.path);
    EXPECT_EQ(a.path_hash, b.path_hash);
    EXPECT_EQ(a.config.content_type, b.config.content_type);
    EXPECT_EQ(a.config.kind, b.config.kind);
    EXPECT_EQ(a.config.ttl_seconds, b.config.ttl_seconds);
    EXPECT_EQ(a.config.expires_at, b.config.expires_at);
    EXPECT_EQ(a.config.fork.has_value(), b.config.fork.has_value());
    EXPECT_EQ(a.config.retention, b.config.retention);
    EXPECT_EQ(a.earliest, b.earliest);
    EXPECT_EQ(a.newest_ms, b.newest_ms);
    EXPECT_EQ(a.writer.tail, b.writer.tail);
    EXPECT_EQ(a.writer.has_seq, b.writer.has_seq);
    EXPECT_EQ(a.writer.last_seq, b.writer.last_seq);
    EXPECT_EQ(a.accessed, b.accessed);
    EXPECT_EQ(a.lives.size(), b.lives.size());
    EXPECT_EQ(a.pins.size(), b.pins.size());
    ASSERT_EQ(a.producers.size(), b.producers.size());
    for (const auto& [id, producer] : a.producers) {
      const auto other = b.producers.find(id);
      ASSERT_NE(other, b.producers.end());
      EXPECT_EQ(producer.epoch(), other->second.epoch());
      EXPECT_EQ(producer.last_seq(), other->second.last_seq());
      EXPECT_EQ(producer.receipts(), other->second.receipts());
    }
    EXPECT_TRUE(b.index.empty());
    EXPECT_EQ(b.index.begin(), a.writer.tail) << "everything before has been sealed";
  }
}

TEST(Snapshot, EqualStatesHaveEqualBytesWhateverTheirTablesLookLike) {
  StreamState one;
  one.lives = {{Position{0}, Incarnation{1}, false}};
  StreamState two = one;
  for (int i = 0; i < 100; ++i) {
    one.producers["w" + std::to_string(i)].accept(1, 0, Position{1});
    two.producers["w" + std::to_string(99 - i)].accept(1, 0, Position{1});
  }
  EXPECT_EQ(snapshot_of(one), snapshot_of(two));
  two.producers["w5"].accept(1, 1, Position{2});
  EXPECT_NE(snapshot_of(one), snapshot_of(two));
}

TEST(Snapshot, EveryFlagIsKept) {
  for (unsigned flags = 0; flags < 16; ++flags) {
    StreamState state;
    state.lives = {{Position{0}, Incarnation{1}, true}};
    state.writer.closed = (flags & 1) != 0;
    state.writer.has_seq = (flags & 2) != 0;
    state.soft_deleted = (flags & 4) != 0;
    state.gone = (flags & 8) != 0;
    const auto decoded = decode_snapshot(snapshot_of(state));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->writer.closed, state.writer.closed);
    EXPECT_EQ(decoded->writer.has_seq, state.writer.has_seq);
    EXPECT_EQ(decoded->soft_deleted, state.soft_deleted);
    EXPECT_EQ(decoded->gone, state.gone);
    EXPECT_TRUE(decoded->lives[0].after_loss);
  }
}

TEST(Snapshot, TheRestAppliedToASnapshotIsAllAppliedToNothing) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    std::vector<std::string> snapshots{snapshot_of(history.state)};
    for (int i = 0; i < 60; ++i) {
      history.step();
      snapshots.push_back(snapshot_of(history.state));
    }
    for (size_t cut = 0; cut < snapshots.size(); cut += 7) {
      auto state = decode_snapshot(snapshots[cut]);
      ASSERT_TRUE(state.has_value());
      for (size_t i = cut + 1; i < history.records.size(); ++i) {
        const auto op = decode_record(history.records[i]);
        ASSERT_TRUE(op.has_value());
        ASSERT_TRUE(apply(*state, *op, LogPosition{i}));
        ASSERT_EQ(snapshot_of(*state), snapshots[i]);
      }
    }
  }
}

TEST(Snapshot, AChangeToAnyByteIsFound) {
  History history(3);
  for (int i = 0; i < 40; ++i) history.step();
  const std::string bytes = snapshot_of(history.state);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x20);
    EXPECT_FALSE(decode_snapshot(changed).has_value()) << i;
    EXPECT_FALSE(decode_snapshot(bytes.substr(0, i)).has_value()) << i;
  }
  EXPECT_FALSE(decode_snapshot(bytes + '\0').has_value());
}

// --- What ops make of a state -------------------------------------------------------------------

class Apply : public ::testing::Test {
 protected:
  Apply() {
    Op create = op(OpType::kCreate);
    create.create.emplace();
    create.create->path = "p/s";
    create.create->content_type = "text/plain";
    create.create->lives = {{Position{0}, Incarnation{7}, false}};
    state = new_state(create, MessageIndex());
    EXPECT_TRUE(apply(state, create, LogPosition{1}));
  }
  Op op(OpType type) const {
    Op out;
    out.type = type;
    out.stream = Incarnation{7};
    out.position = state.writer.tail;
    out.time = Instant{50};
    out.closes = type == OpType::kClose;
    if (type == OpType::kAppend) out.payload = "xyz";
    if (type == OpType::kPin || type == OpType::kUnpin) {
      out.pin = Op::Pin{Incarnation{9}, 1, Position{0}};
    }
    if (type == OpType::kNewLife) out.new_life = Incarnation{8};
    if (type == OpType::kTrim) out.earliest = state.writer.tail;
    return out;
  }
  bool applies(const Op& one) { return apply(state, one, LogPosition{2}); }
  StreamState state;
};

TEST_F(Apply, AnOpThatDoesNotFitIsRefused) {
  const std::string before = snapshot_of(state);
  Op other = op(OpType::kAppend);
  other.stream = Incarnation{8};
  EXPECT_FALSE(applies(other)) << "another stream's";
  other = op(OpType::kAppend);
  other.position = Position{1};
  EXPECT_FALSE(applies(other)) << "not at the tail";
  other = op(OpType::kAppend);
  other.producer = Op::Producer{"w", 0, 1};
  EXPECT_FALSE(applies(other)) << "a sequence is missing";
  other = op(OpType::kNewLife);
  other.new_life = Incarnation{7};
  EXPECT_FALSE(applies(other)) << "an old life";
  EXPECT_EQ(snapshot_of(state), before) << "nothing of it was applied";
  EXPECT_TRUE(state.index.empty());
}

TEST_F(Apply, NothingFollowsTheEnd) {
  EXPECT_TRUE(applies(op(OpType::kClose)));
  EXPECT_FALSE(applies(op(OpType::kAppend)));
  EXPECT_FALSE(applies(op(OpType::kClose)));
  EXPECT_TRUE(applies(op(OpType::kTouch)));
  EXPECT_TRUE(applies(op(OpType::kDelete)));
  EXPECT_TRUE(state.gone);
  for (const OpType type : {OpType::kTouch, OpType::kDelete, OpType::kPin, OpType::kUnpin}) {
    EXPECT_FALSE(applies(op(type)));
  }
}

TEST_F(Apply, PinsKeepADeletedStream) {
  EXPECT_TRUE(applies(op(OpType::kPin)));
  EXPECT_TRUE(applies(op(OpType::kExpire)));
  EXPECT_TRUE(state.soft_deleted);
  EXPECT_FALSE(state.gone);
  EXPECT_FALSE(applies(op(OpType::kAppend)));
  Op stranger = op(OpType::kUnpin);
  stranger.pin->child = Incarnation{10};
  EXPECT_TRUE(applies(stranger));
  EXPECT_FALSE(state.gone);
  EXPECT_TRUE(applies(op(OpType::kUnpin)));
  EXPECT_TRUE(state.gone);
}

TEST_F(Apply, AMessageIsIndexedWithItsTimeAndPlace) {
  Op append = op(OpType::kAppend);
  append.time = Instant{1234567};
  EXPECT_TRUE(apply(state, append, LogPosition{77}));
  ASSERT_EQ(state.index.size(), 1u);
  EXPECT_EQ(state.index.at(0).end, Position{3});
  EXPECT_EQ(state.index.at(0).record, LogPosition{77});
  EXPECT_EQ(state.index.at(0).time_ms, 1234u);
  EXPECT_EQ(state.accessed, Instant{1234567});
  // The clock of another process may have been behind: an access is never taken back.
  Op touch = op(OpType::kTouch);
  EXPECT_TRUE(applies(touch));
  EXPECT_EQ(state.accessed, Instant{1234567});
}

TEST_F(Apply, ATrimDropsTheBeginningUpToTheTailAtMost) {
  EXPECT_TRUE(applies(op(OpType::kAppend)));
  EXPECT_TRUE(applies(op(OpType::kAppend)));
  const auto trim = [this](uint64_t to) {
    Op out = op(OpType::kTrim);
    out.earliest = Position{to};
    return applies(out);
  };
  EXPECT_EQ(state.earliest, Position{0});
  EXPECT_FALSE(trim(7)) << "beyond the tail";
  EXPECT_EQ(state.earliest, Position{0});
  EXPECT_TRUE(trim(3));
  EXPECT_EQ(state.earliest, Position{3});
  EXPECT_TRUE(trim(0)) << "nothing comes back";
  EXPECT_EQ(state.earliest, Position{3});
  EXPECT_TRUE(trim(6));
  EXPECT_EQ(state.earliest, Position{6});
  EXPECT_EQ(state.writer.tail, Position{6});
  EXPECT_EQ(state.accessed, Instant{50}) << "it is no access";
  EXPECT_TRUE(applies(op(OpType::kClose)));
  EXPECT_TRUE(trim(6)) << "a closed stream is trimmed too";
}

TEST_F(Apply, AMessageIsNeededByItsStreamOrAForkOfIt) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(applies(op(OpType::kAppend)));
  Op trim = op(OpType::kTrim);
  trim.earliest = Position{6};
  EXPECT_TRUE(applies(trim));
  EXPECT_FALSE(needs(state, Position{0}, Position{3}));
  EXPECT_FALSE(needs(state, Position{3}, Position{6}));
  EXPECT_TRUE(needs(state, Position{6}, Position{9}));
  Op pin = op(OpType::kPin);
  pin.pin->position = Position{4};
  EXPECT_TRUE(applies(pin));
  EXPECT_TRUE(needs(state, Position{0}, Position{3}));
  EXPECT_TRUE(needs(state, Position{3}, Position{6})) << "the fork ends inside of it";
  EXPECT_TRUE(applies(op(OpType::kDelete)));
  EXPECT_TRUE(needs(state, Position{3}, Position{6}));
  EXPECT_FALSE(needs(state, Position{6}, Position{9})) << "only the fork is left";
}

TEST(Expiry, IsAbsoluteSlidingOrNever) {
  StreamConfig config;
  EXPECT_EQ(expiry(config, Instant{5}), kNever);
  config.ttl_seconds = 2;
  EXPECT_EQ(expiry(config, Instant{5}), Instant{2000005});
  config.ttl_seconds.reset();
  config.expires_at = Instant{9};
  EXPECT_EQ(expiry(config, Instant{5}), Instant{9});
}

}  // namespace
}  // namespace ds::stream
