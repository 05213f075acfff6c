#include "server/http/request_parser.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace ds::server {
namespace {

using wire::ErrorCode;
using wire::HeaderId;

constexpr char kGoodHead[] =
    "POST /v1/stream/a/b?offset=-1 HTTP/1.1\r\n"
    "Host: example.com:4437\r\n"
    "Content-Type: text/plain\r\n"
    "content-LENGTH: 5\r\n"
    "Stream-Seq:   007  \r\n"
    "X-Request-Id: abc-123\r\n"
    "If-None-Match: \"a\"\r\n"
    "If-None-Match: \"b\"\r\n"
    "If-None-Match: \"c\"\r\n"
    "\r\n";

struct Outcome {
  RequestParser::Status status = RequestParser::Status::kNeedMore;
  ErrorCode problem = ErrorCode::kNone;
  size_t used = 0;  // bytes that had been given when the outcome was clear
};

Outcome parse(RequestParser& parser, std::string_view bytes, size_t step) {
  parser.reset();
  Outcome outcome;
  for (size_t end = step; outcome.status == RequestParser::Status::kNeedMore; end += step) {
    outcome.used = std::min(end, bytes.size());
    outcome.status = parser.parse_head(bytes.substr(0, outcome.used));
    if (outcome.used == bytes.size()) break;
  }
  if (outcome.status == RequestParser::Status::kFailed) outcome.problem = parser.problem();
  return outcome;
}

std::string with_lines(const std::string& lines) {
  return "POST /v1/stream/a HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n";
}

TEST(RequestParser, KnownHeadersAreFoundInAnyCaseAndTrimmed) {
  RequestParser parser(ParserLimits{});
  ASSERT_EQ(parse(parser, kGoodHead, 10000).status, RequestParser::Status::kDone);
  const RequestHead& head = parser.head();
  EXPECT_EQ(parser.head_bytes(), sizeof kGoodHead - 1);
  EXPECT_EQ(head.text.method, wire::Method::kPost);
  EXPECT_EQ(head.target, "/v1/stream/a/b?offset=-1");
  EXPECT_EQ(head.host, "example.com:4437");
  EXPECT_EQ(head.text.header(HeaderId::kContentType), "text/plain");
  EXPECT_EQ(head.text.header(HeaderId::kStreamSeq), "007");
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_EQ(head.request_id, "abc-123");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.text.repeated_header);
}

TEST(RequestParser, RepeatedIfNoneMatchIsJoinedAndOtherRepetitionsAreFlagged) {
  RequestParser parser(ParserLimits{});
  ASSERT_EQ(parse(parser, kGoodHead, 10000).status, RequestParser::Status::kDone);
  EXPECT_EQ(parser.head().text.header(HeaderId::kIfNoneMatch), "\"a\", \"b\", \"c\"");
  const std::string twice = with_lines("Producer-Id: a\r\nPRODUCER-ID: a\r\n");
  ASSERT_EQ(parse(parser, twice, 10000).status, RequestParser::Status::kDone);
  EXPECT_TRUE(parser.head().text.repeated_header);
}

TEST(RequestParser, AParserIsGoodForManyRequests) {
  RequestParser parser(ParserLimits{});
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(parse(parser, kGoodHead, 10000).status, RequestParser::Status::kDone);
    const std::string bare = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    ASSERT_EQ(parse(parser, bare, 10000).status, RequestParser::Status::kDone);
    EXPECT_FALSE(parser.head().content_length.has_value());
    EXPECT_FALSE(parser.head().text.header(HeaderId::kStreamSeq).has_value());
  }
}

struct Refusal {
  const char* name;
  std::string bytes;
  ErrorCode problem;
};

std::vector<Refusal> refusals() {
  const ErrorCode bad = ErrorCode::kMalformedRequest;
  using namespace std::string_literals;
  return {
      {"length and chunked", with_lines("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
       bad},
      {"chunked and length", with_lines("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
       bad},
      {"two lengths", with_lines("Content-Length: 3\r\nContent-Length: 4\r\n"), bad},
      {"two equal lengths", with_lines("Content-Length: 3\r\nContent-Length: 3\r\n"), bad},
      {"list of lengths", with_lines("Content-Length: 3, 3\r\n"), bad},
      {"signed length", with_lines("Content-Length: +3\r\n"), bad},
      {"hex length", with_lines("Content-Length: 0x3\r\n"), bad},
      {"empty length", with_lines("Content-Length:\r\n"), bad},
      {"endless length", with_lines("Content-Length: 99999999999999999999999\r\n"), bad},
      {"chunked twice", with_lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       bad},
      {"chunked not last", with_lines("Transfer-Encoding: chunked, gzip\r\n"),
       ErrorCode::kNotImplemented},
      {"gzip", with_lines("Transfer-Encoding: gzip, chunked\r\n"), ErrorCode::kNotImplemented},
      {"identity", with_lines("Transfer-Encoding: identity\r\n"), ErrorCode::kNotImplemented},
      {"almost chunked", with_lines("Transfer-Encoding: xchunked\r\n"), ErrorCode::kNotImplemented},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", bad},
      {"folded line", with_lines("X-A: b\r\n c\r\n"), bad},
      {"folded by tab", with_lines("X-A: b\r\n\tc\r\n"), bad},
      {"space before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", bad},
      {"lone LF", "GET / HTTP/1.1\nHost: h\n\n", bad},
      {"lone LF in a header", with_lines("X-A: b\nX-B: c\r\n"), bad},
      {"lone CR in a header", with_lines("X-A: b\rX-B: c\r\n"), bad},
      {"blank before colon", with_lines("Content-Length : 3\r\n"), bad},
      {"no colon", with_lines("Nonsense\r\n"), bad},
      {"empty name", with_lines(": x\r\n"), bad},
      {"NUL in a value", with_lines("X-A: a\0b\r\n"s), bad},
      {"NUL in a name", with_lines("X\0A: b\r\n"s), bad},
      {"NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"s, bad},
      {"DEL in a value", with_lines("X-A: a\x7f\r\n"), bad},
      {"no host", "GET / HTTP/1.1\r\n\r\n", bad},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", bad},
      {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", bad},
      {"host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", bad},
      {"no version", "GET /\r\nHost: h\r\n\r\n", bad},
      {"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"two blanks", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"a blank in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"odd method", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"odd version", "GET / HTTP/x.1\r\nHost: h\r\n\r\n", bad},
      {"lower-case version", "GET / http/1.1\r\nHost: h\r\n\r\n", bad},
      {"HTTP/2", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", ErrorCode::kHttpVersion},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", ErrorCode::kHttpVersion},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", ErrorCode::kHttpVersion},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", ErrorCode::kHttpVersion},
      {"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 / HTTP/1.1\r\n\r\n"s, bad},
      {"other expectation", with_lines("Expect: 200-ok\r\n"), ErrorCode::kExpectationFailed},
      {"long target", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
       ErrorCode::kUriTooLong},
      {"endless target", "GET /" + std::string(20000, 'a'), ErrorCode::kUriTooLong},
      {"long header", with_lines("X-A: " + std::string(17000, 'a') + "\r\n"),
       ErrorCode::kHeadersTooLarge},
      {"many headers", with_lines([] {
         std::string lines;
         for (int i = 0; i < 101; ++i) lines += "X-" + std::to_string(i) + ": y\r\n";
         return lines;
       }()),
       ErrorCode::kHeadersTooLarge},
  };
}

TEST(RequestParser, WhatCouldBeReadInTwoWaysIsRefused) {
  RequestParser parser(ParserLimits{});
  for (const Refusal& refusal : refusals()) {
    const Outcome outcome = parse(parser, refusal.bytes, refusal.bytes.size());
    EXPECT_EQ(outcome.status, RequestParser::Status::kFailed) << refusal.name;
    EXPECT_EQ(outcome.problem, refusal.problem) << refusal.name;
  }
}

TEST(RequestParser, HowTheBytesAreCutDoesNotMatter) {
  RequestParser parser(ParserLimits{});
  for (const Refusal& refusal : refusals()) {
    for (const size_t step : {size_t{1}, size_t{2}, size_t{7}, size_t{100}}) {
      const Outcome outcome = parse(parser, refusal.bytes, step);
      EXPECT_EQ(outcome.status, RequestParser::Status::kFailed) << refusal.name << " by " << step;
      EXPECT_EQ(outcome.problem, refusal.problem) << refusal.name << " by " << step;
    }
  }
  const std::string_view good(kGoodHead);
  for (size_t step = 1; step < good.size(); ++step) {
    ASSERT_EQ(parse(parser, good, step).status, RequestParser::Status::kDone) << step;
    EXPECT_EQ(parser.head_bytes(), good.size());
    EXPECT_EQ(parser.head().text.header(HeaderId::kIfNoneMatch), "\"a\", \"b\", \"c\"");
  }
}

TEST(RequestParser, NothingIsDecidedBeforeTheHeadIsWhole) {
  RequestParser parser(ParserLimits{});
  const std::string_view good(kGoodHead);
  for (size_t size = 0; size < good.size(); ++size) {
    parser.reset();
    EXPECT_EQ(parser.parse_head(good.substr(0, size)), RequestParser::Status::kNeedMore) << size;
  }
}

TEST(RequestParser, FoldedLinesAndLoneLinefeedsAreRefusedAsSoonAsTheyAreSeen) {
  RequestParser parser(ParserLimits{});
  EXPECT_EQ(parse(parser, "GET / HTTP/1.1\nHost: h", 1).used, 15u);
  EXPECT_EQ(parse(parser, "GET / HTTP/1.1\r\nA: b\r\n c", 1).used, 23u);
}

TEST(RequestParser, BytesBehindTheHeadAreLeftAlone) {
  RequestParser parser(ParserLimits{});
  const std::string two = std::string(kGoodHead) + "12345GET / HTTP/1.1\r\n";
  ASSERT_EQ(parse(parser, two, two.size()).status, RequestParser::Status::kDone);
  EXPECT_EQ(parser.head_bytes(), sizeof kGoodHead - 1);
}

TEST(RequestParser, KeepAliveIsForVersion11Only) {
  RequestParser parser(ParserLimits{});
  const auto keep_alive = [&](const std::string& bytes) {
    EXPECT_EQ(parse(parser, bytes, bytes.size()).status, RequestParser::Status::kDone) << bytes;
    return parser.head().keep_alive;
  };
  EXPECT_TRUE(keep_alive("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_FALSE(keep_alive("GET / HTTP/1.1\r\nHost: h\r\nConnection: a, Close\r\n\r\n"));
  EXPECT_FALSE(keep_alive("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_FALSE(keep_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(RequestParser, OfForwardedHeadersTheFirstElementCounts) {
  struct Row {
    const char* lines;
    const char* host;
    const char* proto;
  };
  for (const Row& row : {
           Row{"X-Forwarded-Host: a.example, inner\r\nX-Forwarded-Proto: https , http\r\n",
               "a.example", "https"},
           Row{"X-Forwarded-Host: a.example,inner\r\n", "a.example", ""},
           Row{"X-Forwarded-Host: a.example\r\nX-Forwarded-Host: inner\r\n", "a.example", ""},
           Row{"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "", "https"},
           Row{"X-Forwarded-Host: a/../b?x\r\nX-Forwarded-Host: inner\r\n", "", ""},
           Row{"X-Forwarded-Host: a.example, <b>\r\n", "a.example", ""},
           Row{"X-Forwarded-Host: a b, c\r\n", "", ""},
       }) {
    RequestParser parser(ParserLimits{});
    const std::string bytes = with_lines(row.lines);
    ASSERT_EQ(parse(parser, bytes, 10000).status, RequestParser::Status::kDone) << row.lines;
    EXPECT_EQ(parser.head().forwarded_host, row.host) << row.lines;
    EXPECT_EQ(parser.head().forwarded_proto, row.proto) << row.lines;
  }
}

TEST(RequestParser, OnlyHarmlessRequestIdsAreEchoed) {
  RequestParser parser(ParserLimits{});
  const std::string bad = with_lines("X-Request-Id: a<script>\r\n");
  ASSERT_EQ(parse(parser, bad, bad.size()).status, RequestParser::Status::kDone);
  EXPECT_EQ(parser.head().request_id, "");
  const std::string too_long = with_lines("X-Request-Id: " + std::string(65, 'a') + "\r\n");
  ASSERT_EQ(parse(parser, too_long, too_long.size()).status, RequestParser::Status::kDone);
  EXPECT_EQ(parser.head().request_id, "");
}

}  // namespace
}  // namespace ds::server
