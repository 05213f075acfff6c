// The engine against a model of the protocol: random requests, with every answer foretold.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/engine/test_host.h"
#include "core/engine/test_model.h"
#include "tests/support/mutations.h"

namespace ds::engine {
namespace {

using namespace test;
using tests::Random;
using What = Asked::What;

// What the model's lives are called by the engine.
class Names {
 public:
  std::string text_of(Asked::At at) const {
    const auto found = names_.find(at.life);
    const Incarnation life =
        found == names_.end() ? Incarnation{at.life == 0 ? 0u : 1u} : found->second;
    return text({life, Position{at.position}});
  }
  bool knows(uint64_t life) const { return names_.count(life) != 0; }
  // The engine showed `offset` where the model expected `at`.
  void learn(Asked::At at, Offset offset) {
    EXPECT_EQ(offset.position.value, at.position);
    const auto [known, added] = names_.emplace(at.life, offset.life);
    EXPECT_EQ(known->second, offset.life) << "of life " << at.life;
    if (!added) return;
    for (const auto& [life, name] : names_) {
      EXPECT_EQ(life == at.life, name == offset.life) << "no life is given twice";
    }
  }
  // A path's lives grow, and so do those that a fork shows.
  void check_order(const Model& model) {
    for (const auto& [path, stream] : model.streams) {
      Incarnation before;
      for (const auto& [position, life] : stream.lives) {
        const auto name = names_.find(life);
        if (name == names_.end()) continue;
        EXPECT_LT(before, name->second);
        before = name->second;
        if (life != stream.life) continue;
        EXPECT_GE(name->second, newest_[path]);
        newest_[path] = name->second;
      }
    }
  }

 private:
  std::map<uint64_t, Incarnation> names_;
  std::map<std::string, Incarnation> newest_;
};

Request to_request(const Asked& asked, const Names& names) {
  switch (asked.what) {
    case What::kRead:
      return asked.at ? get(asked.path, "offset=" + names.text_of(*asked.at)) : get(asked.path);
    case What::kHead:
      return head(asked.path);
    case What::kDelete:
      return test::remove(asked.path);
    case What::kCreate: {
      Request out = put(asked.path, asked.type, asked.body());
      if (asked.ttl) out = out.ttl(*asked.ttl);
      if (asked.closes) out = out.closing();
      if (asked.source.empty()) return out;
      out = out.fork_of(asked.source);
      if (asked.at) out = out.at_offset(names.text_of(*asked.at));
      return asked.at ? out.sub_offset(asked.sub_offset) : out;
    }
    case What::kAppend:
      break;
  }
  Request out = post(asked.path, asked.body(), asked.type);
  if (asked.closes) out = out.closing();
  if (asked.seq) out = out.with(HeaderId::kStreamSeq, *asked.seq);
  if (asked.at) out = out.if_match(names.text_of(*asked.at));
  if (!asked.producer) return out;
  return out.producer(asked.producer->id, asked.producer->epoch, asked.producer->seq);
}

void expect_told(const Told& told, const wire::Response& got, Names& names) {
  ASSERT_EQ(got.status, told.status) << "expected error " << static_cast<int>(told.error)
                                     << ", got " << static_cast<int>(got.error);
  EXPECT_EQ(got.error, told.error);
  EXPECT_EQ(got.closed, told.closed);
  EXPECT_EQ(got.up_to_date, told.up_to_date);
  EXPECT_EQ(got.producer_epoch, told.producer_epoch);
  EXPECT_EQ(got.producer_seq, told.producer_seq);
  EXPECT_EQ(got.expected_seq, told.expected_seq);
  ASSERT_EQ(got.next_offset.has_value(), told.next.has_value());
  if (told.next) names.learn(*told.next, *got.next_offset);
  EXPECT_EQ(told.body.value_or(body_of(got)), body_of(got));
}

class World {
 public:
  World(uint64_t seed, uint64_t chunk, bool with_forks, bool seals)
      : random_(seed), with_forks_(with_forks), seals_(seals), model_(chunk) {}

 protected:
  const std::string& any_path() { return paths_[random_.below(paths_.size())]; }

  // An offset that a client may have, or has made up.
  Asked::At any_offset(const Model& model) {
    Asked::At at = any_position(model);
    if (at.life != 0 && !names_.knows(at.life)) at.life = UINT64_MAX;
    return at;
  }

  Asked::At any_position(const Model& model) {
    // Mostly of the streams that are there, at a message's end; sometimes anything.
    if (!model.streams.empty() && random_.below(5) > 0) {
      auto it = model.streams.begin();
      std::advance(it, random_.below(model.streams.size()));
      const Model::Stream& stream = it->second;
      if (stream.ends.empty() || random_.below(6) == 0) return stream.at(stream.tail());
      return stream.at(stream.ends[random_.below(stream.ends.size())]);
    }
    if (random_.below(3) == 0) return Asked::At{0, 0};
    return Asked::At{1 + random_.below(model.lives_given() + 1), random_.below(60)};
  }

  void add_body(Asked& asked, uint64_t parts_max) {
    const std::vector<std::string> values{"1", "\"two\"", "{\"three\":3}", "[4]", "null"};
    if (asked.json()) {
      for (uint64_t n = random_.below(parts_max + 1); n > 0; --n) {
        asked.parts.push_back(values[random_.below(values.size())]);
      }
    } else if (random_.below(parts_max + 1) > 0) {
      asked.parts.emplace_back(1 + random_.below(12), static_cast<char>('a' + random_.below(26)));
    }
  }

  // A stream that comes back into memory may live on for longer than the model knows.
  bool wants_ttl() { return random_.below(3) == 0 && !seals_; }

  void seal_something(TestHost& host) {
    switch (random_.below(4)) {
      case 0:
        host.rotate();
        break;
      case 1:
        host.seal();
        break;
      case 2:
        host.seal_all();
        break;
      default:
        host.make_cold();
    }
  }

  Asked random_asked(const Model& model) {
    Asked asked;
    asked.path = any_path();
    const std::string types[] = {"text/plain", "application/json", "application/octet-stream"};
    asked.type = types[random_.below(8) / 3];
    switch (random_.below(with_forks_ ? 14 : 11)) {
      case 0:
        asked.what = What::kHead;
        return asked;
      case 1:
      case 2:
        asked.what = What::kRead;
        if (random_.below(2) == 0) asked.at = any_offset(model);
        return asked;
      case 3:
        asked.what = random_.below(2) == 0 ? What::kDelete : What::kHead;
        return asked;
      case 4:
      case 5:
        asked.what = What::kCreate;
        if (random_.below(6) == 0) asked.type = "";
        if (wants_ttl()) asked.ttl = random_.below(20) + 1;
        asked.closes = random_.below(8) == 0;
        if (!asked.type.empty()) add_body(asked, 2);
        return asked;
      case 11:
      case 12:
      case 13:
        asked.what = What::kCreate;
        asked.source = any_path();
        if (random_.below(3) > 0) asked.type = "";
        if (wants_ttl()) asked.ttl = random_.below(20) + 1;
        asked.closes = random_.below(8) == 0;
        if (random_.below(2) == 0) {
          asked.at = any_offset(model);
          if (random_.below(2) == 0) asked.sub_offset = random_.below(5);
        }
        return asked;
      default:
        break;
    }
    asked.what = What::kAppend;
    add_body(asked, 3);
    // Mostly of the right type.
    const auto there = model.streams.find(asked.path);
    if (there != model.streams.end() && random_.below(6) > 0) {
      asked.parts.clear();
      asked.type = there->second.type;
      add_body(asked, 3);
    }
    asked.closes = asked.parts.empty() || random_.below(15) == 0;
    if (random_.below(2) == 0) {
      asked.producer = Asked::Tuple{random_.below(2) == 0 ? "v" : "w", 0, 0};
      if (there != model.streams.end()) {
        const auto known = there->second.producers.find(asked.producer->id);
        if (known != there->second.producers.end()) {
          asked.producer->epoch = known->second.epoch;
          asked.producer->seq = known->second.ends.size();
        }
      }
      if (random_.below(4) == 0) asked.producer->seq = random_.below(asked.producer->seq + 2);
      if (random_.below(8) == 0) asked.producer->epoch += random_.below(2);
      if (random_.below(8) == 0 && asked.producer->epoch > 0) asked.producer->epoch--;
    }
    if (random_.below(5) == 0) asked.seq = std::to_string(random_.below(1000));
    if (random_.below(6) == 0) {
      asked.at = any_offset(model);
      if (asked.at->life == 0) asked.at.reset();
    }
    return asked;
  }

  Random random_;
  const bool with_forks_;
  const bool seals_;
  Model model_;
  Names names_;
  const std::vector<std::string> paths_{"p/a", "p/b", "p/c", "p/d"};
};

EngineConfig config_of(uint64_t seed, uint64_t chunk, bool seals) {
  EngineConfig config;
  config.has_catalog = seals;
  config.evict_after = Duration{};
  config.max_chunk_bytes = chunk;
  config.tail_cache_bytes = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 300 : 1 << 20;
  return config;
}

// --- Everything is durable at once --------------------------------------------------------------

class SteadyWorld : public World {
 public:
  SteadyWorld(uint64_t seed, uint64_t chunk, bool seals)
      : World(seed, chunk, true, seals),
        host_(config_of(seed, chunk, seals), static_cast<uint32_t>(1 + seed % 3)) {}

  void run(int steps) {
    for (; steps > 0 && !::testing::Test::HasFatalFailure() && !::testing::Test::HasFailure();
         --steps) {
      if (random_.below(8) == 0) {
        host_.advance(milliseconds(static_cast<int64_t>(random_.below(4000))));
        model_.expire_all(host_.now());
      }
      if (seals_ && random_.below(5) == 0) seal_something(host_);
      if (seals_ && random_.below(60) == 0)
        host_.restart(static_cast<uint32_t>(random_.below(3)) + 1);
      const Asked asked = random_asked(model_);
      SCOPED_TRACE("asked " + std::to_string(static_cast<int>(asked.what)) + " " + asked.path +
                   " type " + asked.type + " body " + asked.body() + " source " + asked.source);
      const wire::Response got = host_.ask(to_request(asked, names_));
      expect_told(model_.ask(asked, host_.now()), got, names_);
      names_.check_order(model_);
    }
    uint64_t streams = 0;
    for (size_t i = 0; i < host_.engines(); ++i) streams += host_.engine(i).stats().streams;
    if (!seals_) {
      EXPECT_EQ(streams, model_.streams.size());
    }
    if (!seals_ || ::testing::Test::HasFailure()) return;
    host_.make_cold();
    EXPECT_EQ(host_.catalog().streams(), model_.streams.size());
    for (size_t i = 0; i < host_.engines(); ++i) EXPECT_EQ(host_.engine(i).stats().streams, 0u);
    EXPECT_TRUE(host_.catalog().open_pins().empty());
  }

 private:
  TestHost host_;
};

TEST(Model, EveryAnswerIsForetoldWithForks) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SteadyWorld(seed, 1 + seed % 37, false).run(300);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(Model, EveryAnswerIsForetoldWhileEverythingIsSealedAndForgotten) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SteadyWorld(seed, 1 + seed % 37, true).run(300);
    if (::testing::Test::HasFailure()) break;
  }
}

// --- Commits end late, or fail ------------------------------------------------------------------

class StormyWorld : public World {
 public:
  StormyWorld(uint64_t seed, uint64_t chunk, bool seals)
      : World(seed, chunk, false, seals),
        host_(config_of(seed, chunk, seals), 1),
        committed_(model_) {
    host_.commits = TestHost::When::kByHand;
  }

  void run(int steps) {
    for (; steps > 0 && !::testing::Test::HasFailure(); --steps) {
      switch (random_.below(10)) {
        case 0:
        case 1:
          if (host_.take()) taken_.push_back(model_);
          break;
        case 2:
        case 3:
          end_commit(random_.below(5) == 0);
          break;
        case 4:
          host_.advance(milliseconds(static_cast<int64_t>(random_.below(3000))));
          model_.expire_all(host_.now());
          break;
        default:
          if (seals_ && random_.below(6) == 0) seal_something(host_);
          ask();
      }
    }
    while (!taken_.empty() || host_.engine().has_batch()) end_commit(false);
    EXPECT_TRUE(waiting_.empty()) << "an answer that never came";
    EXPECT_EQ(host_.engine().stats().pending_ops, 0u);
  }

 private:
  struct Waiting {
    uint64_t id = 0;
    Told told;
  };

  void ask() {
    const bool writes = random_.below(3) > 0;
    Asked asked = random_asked(writes ? model_ : committed_);
    const bool is_read = asked.what == What::kRead || asked.what == What::kHead;
    if (is_read == writes) return;
    SCOPED_TRACE("asked " + std::to_string(static_cast<int>(asked.what)) + " " + asked.path);
    Told told;
    bool must_wait = false;
    if (is_read) {
      // Readers see what is committed, but not what has expired.
      model_.expire_all(host_.now());
      Model seen = committed_;
      told = seen.ask(asked, host_.now());
    } else {
      must_wait = differs(asked.path);
      told = model_.ask(asked, host_.now());
      must_wait = must_wait || differs(asked.path);
    }
    const uint64_t id = host_.send(to_request(asked, names_));
    if (!host_.waits(id)) {
      EXPECT_FALSE(must_wait) << "an answer that a crash could take back";
      expect_told(told, *host_.answer(id), names_);
    } else {
      EXPECT_TRUE(!is_read || told.status == 404) << "a read waits for nothing but an expiry";
      waiting_.push_back({id, told});
    }
  }

  // Whether something is pending at a path.
  bool differs(const std::string& path) const {
    const auto a = model_.streams.find(path);
    const auto b = committed_.streams.find(path);
    if (a == model_.streams.end() || b == committed_.streams.end()) {
      return (a == model_.streams.end()) != (b == committed_.streams.end());
    }
    return a->second.life != b->second.life || a->second.tail() != b->second.tail() ||
           a->second.closed != b->second.closed;
  }

  void end_commit(bool fails) {
    if (taken_.empty()) {
      if (!host_.take()) return;
      taken_.push_back(model_);
    }
    host_.commit(0, fails ? CommitOutcome::kFailed : CommitOutcome::kDurable);
    if (fails) {
      taken_.clear();
      model_ = committed_;
      for (const Waiting& waiting : waiting_) EXPECT_EQ(host_.status(waiting.id), 503);
      waiting_.clear();
      return;
    }
    committed_ = taken_.front();
    taken_.pop_front();
    names_.check_order(committed_);
    std::erase_if(waiting_, [this](const Waiting& waiting) {
      if (host_.waits(waiting.id)) return false;
      expect_told(waiting.told, *host_.answer(waiting.id), names_);
      return true;
    });
  }

  TestHost host_;
  Model committed_;
  std::deque<Model> taken_;  // as it was when each batch was taken
  std::vector<Waiting> waiting_;
};

TEST(Model, EveryAnswerIsForetoldWhateverBecomesOfTheCommits) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StormyWorld(seed, 1 + seed % 37, false).run(400);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(Model, EveryAnswerIsForetoldWhateverBecomesOfTheCommitsWhileSealing) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    StormyWorld(seed, 1 + seed % 37, true).run(400);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace ds::engine
