// Everything at once: requests, look-ups that come late or fail, commits that fail, messages
// between engines that cross, generations that are sealed, streams that leave and restarts. What
// was answered must be there, once; what was deleted must not come back; nothing must be left over.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/engine/test_cold.h"
#include "tests/support/mutations.h"

namespace ds::engine {
namespace {

using namespace test;
using tests::Random;
using Found = Engine::Found;
using When = TestHost::When;

EngineConfig config_of(uint64_t seed) {
  EngineConfig config = cold_config();
  config.max_chunk_bytes = 1 + seed % 90;
  config.tail_cache_bytes = seed % 2 == 0 ? 1 : 1 << 20;
  if (seed % 3 == 0) config.pending_finds_max = 4;
  if (seed % 5 == 0) config.evict_after = seconds(2);
  return config;
}

class Storm {
 public:
  explicit Storm(uint64_t seed)
      : random_(seed),
        host_(config_of(seed), 1 + static_cast<uint32_t>(seed % 3)),
        find_delay_(seed % 4 < 2 ? 1 : 10),
        seals_fast_(seed % 8 >= 4) {}

  void run(int steps) {
    by_hand(When::kByHand);
    while (steps-- > 0 && !::testing::Test::HasFailure()) step();
    by_hand(When::kAtOnce);
    calm_down();
    if (!::testing::Test::HasFailure()) check_contents();
    if (!::testing::Test::HasFailure()) check_nothing_is_left();
  }

 private:
  enum class What : uint8_t { kRead, kWrite, kDelete };
  struct Sent {
    What what = What::kRead;
    std::string path;
    std::string message;              // kWrite
    std::set<uint64_t> lives_before;  // kDelete: known when it was sent
  };
  struct Path {
    std::map<uint64_t, std::set<std::string>> stored;  // messages that were answered, by life
    std::set<std::string> refused;
    std::set<uint64_t> must_be_gone;
    std::set<uint64_t> may_be_gone;
  };

  void by_hand(When when) {
    host_.commits = host_.loads = host_.peers = host_.finds = host_.sockets = when;
  }
  static bool expires(const std::string& path) { return path == "p/brief"; }
  const std::string& any_path() { return paths_[random_.below(paths_.size())]; }

  void step() {
    switch (random_.below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        host_.commit(random_.below(host_.engines()),
                     random_.below(8) == 0 ? CommitOutcome::kFailed : CommitOutcome::kDurable);
        break;
      case 4:
        host_.take(random_.below(host_.engines()));
        break;
      case 5:
      case 6:
      case 7:
        if (host_.waiting_finds() > 0) {
          const size_t which = random_.below(host_.waiting_finds());
          if (random_.below(4) == 0) {
            host_.look_up(which);
          } else if (random_.below(find_delay_) == 0) {
            host_.find(random_.below(10) == 0 ? Found::kFailed : Found::kYes, which);
          }
        }
        break;
      case 8:
      case 9:
        if (host_.waiting_messages() > 0) {
          host_.deliver_message(random_.below(host_.waiting_messages()));
        }
        break;
      case 10:
        if (host_.waiting_loads() > 0) {
          host_.load(random_.below(15) == 0 ? TestHost::LoadEnd::kFailed : TestHost::LoadEnd::kOk,
                     random_.below(host_.waiting_loads()));
        }
        break;
      case 11:
        if (random_.below(2) == 0) host_.rotate();
        if (random_.below(2) == 0) host_.seal();
        if (seals_fast_) host_.seal_all();
        if (seals_fast_) host_.advance(seconds(1));
        break;
      case 12:
        host_.advance(milliseconds(static_cast<int64_t>(random_.below(1500))));
        break;
      case 13:
        if (random_.below(40) == 0) {
          host_.restart(1 + static_cast<uint32_t>(random_.below(3)));
          sent_.clear();  // none of them is in the log
        } else if (!ids_.empty()) {
          const auto& [path, id] = ids_[random_.below(ids_.size())];
          host_.due(Incarnation{id}, path_hash(path));
        }
        break;
      case 14:
        if (!sent_.empty() && random_.below(4) == 0) {
          auto any = sent_.begin();
          std::advance(any, random_.below(sent_.size()));
          if (any->second.what == What::kRead) {
            host_.disconnect(any->first);
            sent_.erase(any);
          }
        }
        break;
      default:
        send();
    }
    look_at_answers();
  }

  void send() {
    Sent sent;
    sent.path = any_path();
    const std::string message = "<" + std::to_string(++messages_) + ">";
    Request request;
    switch (random_.below(12)) {
      case 0:
      case 1:
        request = put(sent.path, "text/plain", message);
        if (expires(sent.path)) request = request.ttl(3);
        sent.what = What::kWrite;
        sent.message = message;
        break;
      case 2:
        request = fork(sent.path, any_path());
        if (random_.below(3) == 0) request = request.at_offset(kZero).sub_offset(2);
        request = request.of_type("text/plain").ttl(expires(sent.path) ? 3 : 1000000);
        request.body = message;
        sent.what = What::kWrite;
        sent.message = message;
        break;
      case 3:
        request = test::remove(sent.path);
        sent.what = What::kDelete;
        for (const auto& [life, stored] : known_[sent.path].stored) sent.lives_before.insert(life);
        break;
      case 4:
        request = get(sent.path);
        break;
      case 5:
        request = random_.below(2) == 0 ? head(sent.path) : poll(sent.path, "-1");
        break;
      case 6:
        request = sse(sent.path, "-1");
        break;
      default:
        request = post(sent.path, message);
        sent.what = What::kWrite;
        sent.message = message;
    }
    sent_.emplace(host_.send(request), sent);
  }

  void look_at_answers() {
    for (auto it = sent_.begin(); it != sent_.end();) {
      const wire::Response* answer = host_.answer(it->first);
      if (answer == nullptr) {
        ++it;
        continue;
      }
      look_at(it->second, *answer);
      it = sent_.erase(it);
    }
  }

  void look_at(const Sent& sent, const wire::Response& answer) {
    Path& path = known_[sent.path];
    if (sent.what == What::kWrite) {
      if (answer.status == 204 || answer.status == 201) {
        const uint64_t life = answer.next_offset->life.value;
        if (path.stored.count(life) == 0) ids_.emplace_back(sent.path, life);
        path.stored[life].insert(sent.message);
        if (expires(sent.path)) path.may_be_gone.insert(life);
      } else {
        path.refused.insert(sent.message);
      }
    } else if (sent.what == What::kDelete && answer.status == 204) {
      path.must_be_gone.insert(sent.lives_before.begin(), sent.lives_before.end());
      for (const auto& [life, stored] : path.stored) path.may_be_gone.insert(life);
    }
  }

  // What is under way ends well.
  void calm_down() {
    for (int i = 0; i < 5; ++i) {
      host_.commit_all();
      while (host_.waiting_messages() > 0) host_.deliver_message();
      while (host_.waiting_finds() > 0) host_.find();
      while (host_.waiting_loads() > 0) host_.load();
      host_.advance(seconds(1));
    }
    look_at_answers();
    std::vector<uint64_t> readers;
    for (const auto& [id, sent] : sent_) {
      EXPECT_EQ(sent.what, What::kRead) << "a write that was never answered: " << sent.path;
      readers.push_back(id);
    }
    for (const uint64_t id : readers) host_.disconnect(id);
    sent_.clear();
    for (size_t i = 0; i < host_.engines(); ++i) {
      const Engine::Stats stats = host_.engine(i).stats();
      EXPECT_EQ(stats.pending_ops, 0u);
      EXPECT_EQ(stats.sse_readers, 0u);
      EXPECT_EQ(stats.parked_long_polls, 0u);
    }
  }

  static size_t count(const std::string& content, const std::string& message) {
    size_t found = 0;
    for (size_t at = content.find(message); at != std::string::npos;
         at = content.find(message, at + 1)) {
      ++found;
    }
    return found;
  }

  void check_contents() {
    for (int round = 0; round < 3; ++round) {
      for (const auto& [name, path] : known_) {
        SCOPED_TRACE(name + ", round " + std::to_string(round));
        const wire::Response first = host_.ask(get(name));
        ASSERT_TRUE(first.status == 200 || first.status == 404 || first.status == 410);
        uint64_t life = 0;
        std::string content;
        if (first.status == 200) {
          life = first.etag->life.value;
          content = body_of(first);
          Offset next = *first.next_offset;
          for (bool more = !first.up_to_date; more;) {
            const wire::Response chunk = host_.ask(get(name, "offset=" + text(next)));
            ASSERT_EQ(chunk.status, 200);
            content += body_of(chunk);
            next = *chunk.next_offset;
            more = !chunk.up_to_date;
          }
        }
        EXPECT_EQ(path.must_be_gone.count(life), 0u) << "a deleted stream is back";
        for (const auto& [stored_life, messages] : path.stored) {
          if (stored_life != life) {
            EXPECT_EQ(path.may_be_gone.count(stored_life), 1u) << "a stream is lost";
            continue;
          }
          for (const std::string& message : messages) {
            EXPECT_EQ(count(content, message), 1u) << message;
          }
        }
        for (const std::string& message : path.refused) {
          EXPECT_EQ(count(content, message), 0u) << message << " was refused";
        }
      }
      if (round == 0) host_.make_cold();
      if (round == 1) host_.restart();
    }
  }

  void check_nothing_is_left() {
    for (int round = 0; round < 5; ++round) {
      for (const auto& [name, path] : known_) host_.ask(test::remove(name));
    }
    for (const auto& [name, path] : known_) {
      EXPECT_EQ(host_.ask(get(name)).error, ErrorCode::kNotFound) << name;
    }
    host_.make_cold();
    host_.advance(seconds(5));
    EXPECT_EQ(host_.catalog().streams(), 0u);
    EXPECT_TRUE(host_.catalog().open_pins().empty());
    for (size_t i = 0; i < host_.engines(); ++i) {
      EXPECT_EQ(host_.engine(i).stats().streams, 0u);
      EXPECT_EQ(host_.engine(i).stats().memory_bytes, 0u);
    }
  }

  static constexpr const char* kZero = "0000000000000000_0000000000000000";

  Random random_;
  TestHost host_;
  // Not all worlds are alike.
  const uint64_t find_delay_;
  const bool seals_fast_;
  const std::vector<std::string> paths_{"p/a", "p/b", "p/c", "p/d", "p/brief"};
  uint64_t messages_ = 0;
  std::map<uint64_t, Sent> sent_;
  std::map<std::string, Path> known_;
  std::vector<std::pair<std::string, uint64_t>> ids_;
};

TEST(ColdStorm, WhatWasAnsweredIsThereAndNothingElseIs) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Storm(seed).run(500);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace ds::engine
