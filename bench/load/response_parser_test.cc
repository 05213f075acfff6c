#include "bench/load/response_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds::bench {
namespace {

struct Seen {
  int status;
  std::string next_offset;
  std::string body;
  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << seen.status << " '" << seen.next_offset << "' '" << seen.body << "'";
}

struct Outcome {
  std::vector<Seen> responses;
  bool malformed = false;
  bool between = false;
  bool until_close = false;
};

// Feeds `wire` in pieces of `step` bytes.
Outcome parse(const std::string& wire, size_t step) {
  ResponseParser parser;
  Outcome out;
  std::string body;
  for (size_t at = 0; at < wire.size(); at += step) {
    const std::string piece = wire.substr(at, step);  // its own memory: no view may outlive it
    std::string_view input = piece;
    for (bool more = true; more;) {
      std::string_view part;
      switch (parser.next(input, part)) {
        case ResponseParser::Step::kNeedMore:
          EXPECT_TRUE(input.empty());
          more = false;
          break;
        case ResponseParser::Step::kHead:
          body.clear();
          break;
        case ResponseParser::Step::kBody:
          body.append(part);
          break;
        case ResponseParser::Step::kDone:
          out.responses.push_back({parser.head().status, parser.head().next_offset, body});
          break;
        case ResponseParser::Step::kMalformed:
          out.malformed = true;
          return out;
      }
    }
  }
  out.between = parser.between_responses();
  out.until_close = parser.ends_with_connection();
  if (out.until_close) {
    out.responses.push_back({parser.head().status, parser.head().next_offset, body});
  }
  return out;
}

// However the input is cut, the outcome is the same.
void expect_parsed(const std::string& wire, const std::vector<Seen>& wanted) {
  for (size_t step = 1; step <= wire.size(); ++step) {
    const Outcome out = parse(wire, step);
    ASSERT_FALSE(out.malformed) << "in pieces of " << step;
    ASSERT_EQ(out.responses, wanted) << "in pieces of " << step;
  }
}

void expect_malformed(const std::string& wire) {
  for (size_t step = 1; step <= wire.size(); ++step) {
    EXPECT_TRUE(parse(wire, step).malformed) << "in pieces of " << step;
  }
}

TEST(ResponseParser, ReadsAResponseWithoutABody) {
  expect_parsed("HTTP/1.1 204 No Content\r\nStream-Next-Offset: 0_3\r\n\r\n", {{204, "0_3", ""}});
}

TEST(ResponseParser, ReadsAContentLengthAndHeaderNamesInAnyCase) {
  expect_parsed("HTTP/1.1 200 OK\r\nSTREAM-next-OFFSET:  12_34  \r\ncontent-LENGTH: 5\r\n\r\nhello",
                {{200, "12_34", "hello"}});
}

TEST(ResponseParser, A204EndsWithItsHeadWhateverItAnnounces) {
  expect_parsed(
      "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      {{204, "", ""}, {200, "", ""}});
}

TEST(ResponseParser, ReadsOneResponseAfterTheOther) {
  expect_parsed(
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nStream-Next-Offset: 3\r\n\r\nabc"
      "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
      "HTTP/1.1 204 No Content\r\n\r\n",
      {{200, "3", "abc"}, {404, "", "no"}, {204, "", ""}});
}

TEST(ResponseParser, DecodesChunksWithExtensionsAndTrailers) {
  expect_parsed(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\nA\r\n, world!!!\r\n0\r\nX-Trailer: 1\r\n\r\n"
      "HTTP/1.1 204 No Content\r\n\r\n",
      {{200, "", "hello, world!!!"}, {204, "", ""}});
}

TEST(ResponseParser, SkipsInterimResponses) {
  expect_parsed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                {{200, "", "x"}});
}

TEST(ResponseParser, ABodyWithoutALengthEndsWithTheConnection) {
  const Outcome out = parse("HTTP/1.1 200 OK\r\n\r\nall of it", 4);
  EXPECT_TRUE(out.until_close);
  EXPECT_EQ(out.responses, (std::vector<Seen>{{200, "", "all of it"}}));
}

TEST(ResponseParser, KnowsWhetherAResponseIsUnderWay) {
  EXPECT_TRUE(parse("HTTP/1.1 204 No Content\r\n\r\n", 1).between);
  EXPECT_FALSE(parse("HTTP/1.1 204 No Content\r\n", 1).between);
  EXPECT_FALSE(parse("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", 1).between);
}

TEST(ResponseParser, ForgetsTheLastResponsesHeaders) {
  expect_parsed(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nStream-Next-Offset: 7\r\n\r\n0\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
      {{200, "7", ""}, {200, "", "x"}});
}

TEST(ResponseParser, RefusesWhatIsNotHttp) {
  expect_malformed("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  expect_malformed("HTTP/1.1 abc OK\r\n\r\n");
  expect_malformed("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n");
  expect_malformed("HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc");
  expect_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  expect_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n");
}

TEST(ResponseParser, ResetMakesItReadyForANewConnection) {
  ResponseParser parser;
  std::string_view input = "HTTP/1.1 200 OK\r\nContent-Le";
  std::string_view body;
  EXPECT_EQ(parser.next(input, body), ResponseParser::Step::kNeedMore);
  parser.reset();
  EXPECT_TRUE(parser.between_responses());
  input = "HTTP/1.1 204 No Content\r\n\r\n";
  EXPECT_EQ(parser.next(input, body), ResponseParser::Step::kHead);
  EXPECT_EQ(parser.next(input, body), ResponseParser::Step::kDone);
}

}  // namespace
}  // namespace ds::bench
