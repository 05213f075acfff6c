#include "bench/load/other_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds::bench {
namespace {

using Step = OtherProtocol::Step;

// Every step but kNeedMore that these bytes give, fed in pieces of `size`.
std::vector<Step> steps(OtherProtocol& protocol, const std::string& bytes, size_t size) {
  std::vector<Step> found;
  for (size_t at = 0; at < bytes.size(); at += size) {
    const std::string piece = bytes.substr(at, size);
    std::string_view input = piece;
    for (Step step = protocol.next(input); step != Step::kNeedMore; step = protocol.next(input)) {
      found.push_back(step);
      if (step == Step::kWrong) return found;
    }
  }
  return found;
}

TEST(OtherProtocolTest, RedisAppendsAnEntryAndIsAnsweredItsId) {
  const auto redis = make_redis({"r", 1, 1, 3}, 0);
  EXPECT_EQ(redis->greeting(), "");
  EXPECT_EQ(redis->append(7),
            "*5\r\n$4\r\nXADD\r\n$3\r\nr-7\r\n$1\r\n*\r\n$1\r\nd\r\n$3\r\nxxx\r\n");
  const std::vector<Step> wanted(2, Step::kStored);
  for (const size_t size : {1u, 3u, 100u}) {
    EXPECT_EQ(steps(*redis, "$3\r\n1-0\r\n$3\r\n2-0\r\n", size), wanted);
  }
}

TEST(OtherProtocolTest, ARedisErrorIsWrong) {
  const auto redis = make_redis({"r", 1, 1, 3}, 0);
  EXPECT_EQ(steps(*redis, "-ERR no\r\n", 4), std::vector<Step>{Step::kWrong});
  EXPECT_EQ(redis->error(), "-ERR no");
}

TEST(OtherProtocolTest, NatsMakesItsStreamsThenPublishes) {
  for (const size_t size : {1u, 5u, 1000u}) {
    const auto nats = make_nats({"r", 3, 2, 3}, 0);  // streams 0 and 2
    const std::string greeting = nats->greeting();
    EXPECT_NE(greeting.find("$JS.API.STREAM.CREATE.r-0 in.0 "), std::string::npos);
    EXPECT_EQ(greeting.find("CREATE.r-1"), std::string::npos);
    EXPECT_NE(greeting.find("$JS.API.STREAM.CREATE.r-2 in.0 "), std::string::npos);
    EXPECT_EQ(steps(*nats, "INFO {}\r\nPING\r\nMSG in.0 1 2\r\n{}\r\nMSG in.0 1 2\r\n{}\r\n", size),
              (std::vector<Step>{Step::kAnswer, Step::kReady}));
    EXPECT_EQ(nats->append(2), "PUB bench.r-2 in.0 3\r\nxxx\r\n");
    EXPECT_EQ(steps(*nats, "MSG in.0 1 9\r\n{\"seq\":1}\r\n", size),
              std::vector<Step>{Step::kStored});
  }
}

TEST(OtherProtocolTest, ANatsConnectionWithoutStreamsIsReadyWhenItsPingIsAnswered) {
  const auto nats = make_nats({"r", 1, 2, 3}, 1);
  EXPECT_NE(nats->greeting().find("PING\r\n"), std::string::npos);
  EXPECT_EQ(steps(*nats, "INFO {}\r\nPONG\r\n", 100), std::vector<Step>{Step::kReady});
}

TEST(OtherProtocolTest, WhatNatsRefusesIsWrong) {
  const auto nats = make_nats({"r", 1, 1, 3}, 0);
  nats->greeting();
  EXPECT_EQ(steps(*nats, "MSG in.0 1 12\r\n{\"error\":{}}\r\n", 100),
            std::vector<Step>{Step::kWrong});
  EXPECT_EQ(steps(*nats, "-ERR 'no'\r\n", 100), std::vector<Step>{Step::kWrong});
}

}  // namespace
}  // namespace ds::bench
