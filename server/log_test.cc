#include "server/log.h"

#include <gtest/gtest.h>

namespace ds::server {
namespace {

TEST(Log, JsonLinesAreEscaped) {
  EXPECT_EQ(render_event(LogFormat::kJson, "a \"b\"\n", {{"path", "/\\\t"}, {"status", 200}}),
            "\"message\":\"a \\\"b\\\"\\n\",\"path\":\"/\\\\\\t\",\"status\":200");
}

TEST(Log, BytesBeyondAsciiAreEscaped) {
  EXPECT_EQ(render_event(LogFormat::kJson, "m", {{"path", "/a\xff\xfe\"\xc3\xa4"}}),
            "\"message\":\"m\",\"path\":\"/a\\u00ff\\u00fe\\\"\\u00c3\\u00a4\"");
  EXPECT_EQ(render_event(LogFormat::kText, "m", {{"path", "/\x80"}}), "m path=\"/\\u0080\"");
}

TEST(Log, ALimitLetsOneThroughNowAndThenAndCountsTheOthers) {
  LogLimit limit(seconds(10));
  uint64_t left_out = 99;
  const Instant start{1000000};
  EXPECT_TRUE(limit.admits(start, &left_out));
  EXPECT_EQ(left_out, 0u);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.admits(start + seconds(i), &left_out));
  EXPECT_TRUE(limit.admits(start + seconds(10), &left_out));
  EXPECT_EQ(left_out, 5u);
}

TEST(Log, TextQuotesWhatCouldBeMistaken) {
  EXPECT_EQ(render_event(LogFormat::kText, "request",
                         {{"path", "/a"}, {"peer", ""}, {"id", "x y=z\n"}, {"n", -1}}),
            "request path=/a peer=\"\" id=\"x y=z\\n\" n=-1");
}

}  // namespace
}  // namespace ds::server
