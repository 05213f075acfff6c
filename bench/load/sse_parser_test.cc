#include "bench/load/sse_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ds::bench {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

Lines parse(const std::string& wire, size_t step) {
  SseParser parser;
  Lines lines;
  for (size_t at = 0; at < wire.size(); at += step) {
    const std::string piece = wire.substr(at, step);
    std::string_view input = piece;
    std::string_view line;
    while (true) {
      const auto what = parser.next(input, line);
      if (what == SseParser::Step::kNeedMore) break;
      lines.emplace_back(what == SseParser::Step::kData ? "data" : "control", line);
    }
    EXPECT_TRUE(input.empty());
  }
  return lines;
}

void expect_parsed(const std::string& wire, const Lines& wanted) {
  for (size_t step = 1; step <= wire.size(); ++step) {
    ASSERT_EQ(parse(wire, step), wanted) << "in pieces of " << step;
  }
}

TEST(SseParser, TellsDataFromControl) {
  expect_parsed(
      "event: data\ndata:hello\n\nevent: control\ndata:{\"streamNextOffset\":\"0_5\"}\n\n",
      {{"data", "hello"}, {"control", "{\"streamNextOffset\":\"0_5\"}"}});
}

TEST(SseParser, StripsOneSpaceAfterTheColon) {
  expect_parsed("event:data\ndata: one\ndata:  two\n\n", {{"data", "one"}, {"data", " two"}});
}

TEST(SseParser, IgnoresCommentsAndOtherEvents) {
  expect_parsed(": beat\n\nevent: other\ndata: no\n\ndata: neither\n\nevent: data\ndata:x\n\n",
                {{"data", "x"}});
}

TEST(SseParser, LinesMayEndInCrLf) {
  expect_parsed("event: data\r\ndata: a\r\n\r\n", {{"data", "a"}});
}

TEST(SseParser, ResetForgetsAHalfLine) {
  SseParser parser;
  std::string_view input = "event: data\ndata: ab";
  std::string_view line;
  EXPECT_EQ(parser.next(input, line), SseParser::Step::kNeedMore);
  parser.reset();
  input = "event: data\ndata: c\n";
  EXPECT_EQ(parser.next(input, line), SseParser::Step::kData);
  EXPECT_EQ(line, "c");
}

TEST(JsonStringMember, FindsTheValueWithOrWithoutSpaces) {
  const std::string_view key = "\"streamNextOffset\"";
  EXPECT_EQ(json_string_member(R"({"streamNextOffset":"1_2","upToDate":true})", key), "1_2");
  EXPECT_EQ(json_string_member(R"({"a":"b", "streamNextOffset" : "1_3"})", key), "1_3");
  EXPECT_EQ(json_string_member(R"({"a":"b"})", key), "");
  EXPECT_EQ(json_string_member(R"({"streamNextOffset":"1_)", key), "");
}

}  // namespace
}  // namespace ds::bench
