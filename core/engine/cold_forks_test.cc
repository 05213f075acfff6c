// Forks of streams that are sealed, wholly or in part.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/engine/test_cold.h"

namespace ds::engine {
namespace {

using namespace test;
using stream::OpType;
using When = TestHost::When;

class ColdForks : public ColdTest {
 protected:
  ColdForks() : ColdTest(config(), 2) {}
  static EngineConfig config() {
    EngineConfig config = cold_config();
    config.tail_cache_bytes = 1;
    return config;
  }
};

TEST_F(ColdForks, AForkBeginsAnywhereInASealedText) {
  host.ask(put("p/s", "text/plain", "one "));
  const std::string first = host.tail("p/s");
  host.ask(post("p/s", "two "));
  const std::string second = host.tail("p/s");
  host.ask(post("p/s", "three"));
  struct Case {
    std::string offset;
    uint64_t sub;
    int status;
    std::string body;
  };
  const std::string zero = "0000000000000000_0000000000000000";
  const Case cases[] = {{zero, 0, 201, ""},
                        {zero, 1, 201, "o"},
                        {zero, 4, 201, "one "},
                        {zero, 5, 400, ""},
                        {first, 0, 201, "one "},
                        {first, 3, 201, "one two"},
                        {first, 4, 201, "one two "},
                        {first, 5, 400, ""},
                        {second, 5, 201, "one two three"},
                        {host.tail("p/s"), 0, 201, "one two three"},
                        {host.tail("p/s"), 1, 400, ""}};
  for (const bool cold : {true, false}) {
    for (const Case& one : cases) {
      SCOPED_TRACE(one.offset + "+" + std::to_string(one.sub));
      if (cold) make_cold();
      const Request request = fork("p/f", "p/s").at_offset(one.offset).sub_offset(one.sub);
      EXPECT_EQ(host.ask_status(request), one.status);
      if (one.status != 201) continue;
      EXPECT_EQ(host.ask_status(request), 200);
      EXPECT_EQ(host.read("p/f"), one.body);
      if (cold) make_cold();
      host.ask(post("p/f", "!"));
      EXPECT_EQ(host.read("p/f"), one.body + "!");
      EXPECT_EQ(host.ask_status(test::remove("p/f")), 204);
    }
  }
  const Offset middle{id_of("p/s"), Position{5}};
  make_cold();
  EXPECT_EQ(host.ask(fork("p/f", "p/s").at_offset(text(middle))).error,
            ErrorCode::kInvalidForkOffset)
      << "inside a message";
}

// What its forks do not share is gone once the deletion has been sealed. That is no damage.
TEST_F(ColdForks, AReadThatIsUnderWayWhenItsStreamIsDeletedIsToldSo) {
  host.ask(put("p/s"));
  host.ask(fork("p/f", "p/s"));
  host.ask(post("p/s", "of no fork"));
  make_cold();
  host.loads = When::kByHand;
  const uint64_t read = host.send(get("p/s"));
  const uint64_t live = host.send(sse("p/s", "-1"));
  const uint64_t child =
      host.send(fork("p/g", "p/s").at_offset("0000000000000000_0000000000000000").sub_offset(2));
  EXPECT_TRUE(host.waits(read));
  EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
  host.seal_all();
  while (host.waiting_loads() > 0) host.load();
  EXPECT_EQ(host.error(read), ErrorCode::kStreamDeleted);
  EXPECT_EQ(host.error(child), ErrorCode::kForkSourceDeleted);
  EXPECT_TRUE(host.socket(live).ended);
}

TEST_F(ColdForks, SubOffsetsCountTheElementsOfASealedMessage) {
  const std::string type = "application/json";
  host.ask(put("p/s", type, "[1,[2,2],{\"3\":\"a,b\"}]"));
  const std::string first = host.tail("p/s");
  host.ask(post("p/s", "[4,5]", type));
  const std::string zero = "0000000000000000_0000000000000000";
  const std::vector<std::pair<uint64_t, std::string>> in_first = {
      {1, "[1]"}, {2, "[1,[2,2]]"}, {3, "[1,[2,2],{\"3\":\"a,b\"}]"}};
  for (const auto& [sub, body] : in_first) {
    make_cold();
    ASSERT_EQ(host.ask_status(fork("p/f", "p/s").at_offset(zero).sub_offset(sub)), 201);
    EXPECT_EQ(host.read("p/f"), body);
    // Of the fork, in what it has inherited.
    make_cold();
    ASSERT_EQ(host.ask_status(fork("p/g", "p/f").at_offset(zero).sub_offset(1)), 201);
    EXPECT_EQ(host.read("p/g"), "[1]");
    EXPECT_EQ(host.ask(fork("p/h", "p/f").at_offset(zero).sub_offset(sub + 1)).error,
              ErrorCode::kForkSubOffsetBeyondMessage)
        << "its message ends where it was cut";
    host.ask(test::remove("p/g"));
    host.ask(test::remove("p/f"));
  }
  make_cold();
  EXPECT_EQ(host.ask_status(fork("p/f", "p/s").at_offset(first).sub_offset(1)), 201);
  EXPECT_EQ(host.read("p/f", "offset=" + first), "[4]");
  EXPECT_EQ(host.ask(fork("p/g", "p/s").at_offset(first).sub_offset(3)).error,
            ErrorCode::kForkSubOffsetBeyondMessage);
}

TEST_F(ColdForks, AForkOfAStreamThatIsHalfSealedHasBothHalves) {
  host.ask(put("p/s", "text/plain", "one "));
  const std::string first = host.tail("p/s");
  host.ask(post("p/s", "two "));
  make_cold();
  const std::string border = host.tail("p/s");
  host.ask(post("p/s", "three "));
  const std::string third = host.tail("p/s");
  host.ask(post("p/s", "four"));
  const std::vector<std::pair<Request, std::string>> forks = {
      {fork("p/a", "p/s").at_offset(first), "one "},
      {fork("p/b", "p/s").at_offset(border), "one two "},
      {fork("p/c", "p/s").at_offset(border).sub_offset(2), "one two th"},
      {fork("p/d", "p/s").at_offset(third), "one two three "},
      {fork("p/e", "p/s"), "one two three four"}};
  for (const auto& [request, body] : forks) {
    EXPECT_EQ(host.ask_status(request), 201) << request.path;
    EXPECT_EQ(host.read(request.path), body);
  }
  host.ask(test::remove("p/s"));
  for (int round = 0; round < 3; ++round) {
    if (round == 1) host.seal_all();
    if (round == 2) make_cold();
    for (const auto& [request, body] : forks) EXPECT_EQ(host.read(request.path), body) << round;
  }
}

TEST_F(ColdForks, WhatIsSealedWhileAPinIsOnItsWayIsReadFromSegments) {
  for (const bool restarts : {false, true}) {
    SCOPED_TRACE(restarts);
    host.ask(put("p/s", "text/plain", "one "));
    host.ask(post("p/s", "two"));
    host.peers = When::kByHand;
    const uint64_t forked = host.send(fork("p/f", "p/s"));
    host.deliver_message();
    ASSERT_EQ(host.ops(OpType::kPin), 1);
    host.seal_all();
    host.deliver_message();
    host.peers = When::kAtOnce;
    ASSERT_EQ(host.status(forked), 201);
    if (restarts) host.restart();
    EXPECT_EQ(host.read("p/f"), "one two");
    host.ask(test::remove("p/s"));
    make_cold();
    EXPECT_EQ(host.read("p/f"), "one two");
    host.ask(test::remove("p/f"));
    make_cold();
  }
}

TEST_F(ColdForks, AChainOfForksReadsThroughAllItsSources) {
  host.ask(put("p/0", "text/plain", "0000"));
  std::string content = "0000";
  std::string before_last = "0000000000000000_0000000000000000";
  for (int i = 1; i <= 6; ++i) {
    const std::string path = "p/" + std::to_string(i);
    if (i % 2 == 0) make_cold();
    // Inside the newest message of its source.
    const Request request = fork(path, "p/" + std::to_string(i - 1)).at_offset(before_last);
    ASSERT_EQ(host.ask_status(request.sub_offset(3)), 201) << i;
    content.pop_back();
    EXPECT_EQ(host.read(path), content);
    before_last = host.tail(path);
    host.ask(post(path, std::string(4, static_cast<char>('0' + i))));
    content += std::string(4, static_cast<char>('0' + i));
  }
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(host.ask_status(test::remove("p/" + std::to_string(i))), 204);
  }
  for (int round = 0; round < 3; ++round) {
    make_cold();
    EXPECT_EQ(host.read("p/6"), content);
    host.restart(static_cast<uint32_t>(1 + round));
  }
  EXPECT_EQ(host.ask_status(test::remove("p/6")), 204);
  make_cold();
  EXPECT_EQ(host.catalog().streams(), 0u) << "the whole chain is gone";
  EXPECT_TRUE(host.catalog().open_pins().empty());
}

TEST_F(ColdForks, ASourceThatIsReadForAPinMayGoMeanwhile) {
  host.ask(put("p/s", "application/json", "[1,2,3]"));
  make_cold();
  for (const bool replaced : {false, true}) {
    SCOPED_TRACE(replaced);
    host.loads = When::kByHand;
    const uint64_t forked =
        host.send(fork("p/f", "p/s").at_offset("0000000000000000_0000000000000000").sub_offset(2));
    ASSERT_EQ(host.waiting_loads(), 1u);
    EXPECT_EQ(host.ask_status(test::remove("p/s")), 204);
    if (replaced) host.ask(put("p/s", "application/json", "[7,8,9]"));
    host.loads = When::kAtOnce;
    host.load();
    if (!replaced) {
      EXPECT_EQ(host.error(forked), ErrorCode::kForkSourceNotFound);
      host.ask(put("p/s", "application/json", "[1,2,3]"));
      make_cold();
      continue;
    }
    EXPECT_EQ(host.status(forked), 201);
    EXPECT_EQ(host.read("p/f"), "[7,8]");
  }
}

TEST_F(ColdForks, ASourceThatCannotBeReadIsRefusedWithoutATrace) {
  host.ask(put("p/s", "application/json", "[1,2,3]"));
  make_cold();
  const Request request =
      fork("p/f", "p/s").at_offset("0000000000000000_0000000000000000").sub_offset(2);
  host.loads = When::kByHand;
  for (const auto end : {TestHost::LoadEnd::kFailed, TestHost::LoadEnd::kCorrupt}) {
    const uint64_t forked = host.send(request);
    ASSERT_EQ(host.waiting_loads(), 1u);
    host.load(end);
    EXPECT_EQ(host.status(forked), end == TestHost::LoadEnd::kFailed ? 503 : 500);
    EXPECT_EQ(host.ask_status(get("p/f")), 404);
  }
  host.loads = When::kAtOnce;
  EXPECT_EQ(host.ops(OpType::kPin), 0);
  EXPECT_EQ(host.ask_status(request), 201);
  EXPECT_EQ(host.read("p/f"), "[1,2]");
}

}  // namespace
}  // namespace ds::engine
