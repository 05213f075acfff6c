#include "server/http/chunk_decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds::server {
namespace {

using wire::ErrorCode;

struct Outcome {
  ChunkDecoder::Status status = ChunkDecoder::Status::kNeedMore;
  ErrorCode problem = ErrorCode::kNone;
  std::string body;
  size_t used = 0;
};

Outcome decode(std::string_view bytes, size_t step, uint64_t body_bytes_max = 1000) {
  ChunkDecoder decoder(body_bytes_max);
  ByteBuffer body;
  Outcome outcome;
  while (outcome.status == ChunkDecoder::Status::kNeedMore && outcome.used < bytes.size()) {
    std::string_view piece = bytes.substr(outcome.used, step);
    const size_t before = piece.size();
    outcome.status = decoder.decode(piece, body);
    outcome.used += before - piece.size();
  }
  if (outcome.status == ChunkDecoder::Status::kFailed) outcome.problem = decoder.problem();
  outcome.body = body.view();
  return outcome;
}

TEST(ChunkDecoder, ContentIsJoinedAndWhatFollowsIsLeftAlone) {
  const std::string bytes =
      "5\r\nhello\r\n1\r\n \r\n00A\r\nworld\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
  for (size_t step = 1; step < bytes.size(); ++step) {
    const Outcome outcome = decode(bytes, step);
    ASSERT_EQ(outcome.status, ChunkDecoder::Status::kDone) << step;
    EXPECT_EQ(outcome.body, "hello world\r\nabc");
    EXPECT_EQ(bytes.substr(outcome.used), "GET / HTTP/1.1\r\n");
  }
}

TEST(ChunkDecoder, ExtensionsAndTrailersAreIgnored) {
  const std::string bytes = "3;a=b;c=\"d;e\"\r\nabc\r\n0;x\r\nContent-Length: 7\r\nX: y\r\n\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    const Outcome outcome = decode(bytes, step);
    ASSERT_EQ(outcome.status, ChunkDecoder::Status::kDone) << step;
    EXPECT_EQ(outcome.body, "abc");
  }
}

struct Refusal {
  const char* name;
  std::string bytes;
  ErrorCode problem;
};

TEST(ChunkDecoder, WhatIsNoChunkIsRefusedHoweverItIsCut) {
  using namespace std::string_literals;
  const ErrorCode bad = ErrorCode::kMalformedRequest;
  const std::vector<Refusal> refusals = {
      {"no size", "\r\nabc\r\n", bad},
      {"not hex", "g\r\n", bad},
      {"signed", "+3\r\nabc\r\n", bad},
      {"0x", "0x3\r\nabc\r\n", bad},
      {"blank before the size", " 3\r\nabc\r\n", bad},
      {"blank behind the size", "3 \r\nabc\r\n", bad},
      {"lone LF behind the size", "3\nabc\r\n", bad},
      {"lone CR behind the size", "3\rabc\r\n", bad},
      {"content longer than its size", "3\r\nabcd\r\n", bad},
      {"lone LF behind the content", "3\r\nabc\n", bad},
      {"LF in an extension", "3;a=\"\n\"\r\nabc\r\n", bad},
      {"NUL in an extension", "3;a\0\r\nabc\r\n"s, bad},
      {"more digits than a size has", "00000000000000003\r\nabc\r\n", bad},
      {"long extension", "3;" + std::string(5000, 'a') + "\r\nabc\r\n", bad},
      {"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", bad},
      {"trailer without a colon", "0\r\nabc\r\n\r\n", bad},
      {"lone LF in trailers", "0\r\nA: b\n\r\n", bad},
      {"lone LF at the end", "0\r\n\n", bad},
      {"long trailer", "0\r\nA: " + std::string(17000, 'a') + "\r\n\r\n",
       ErrorCode::kHeadersTooLarge},
      {"too large at once", "3e9\r\n", ErrorCode::kBodyTooLarge},
      {"largest size", "ffffffffffffffff\r\n", ErrorCode::kBodyTooLarge},
      {"too large in total", "3e7\r\n" + std::string(999, 'a') + "\r\n2\r\n",
       ErrorCode::kBodyTooLarge},
  };
  for (const Refusal& refusal : refusals) {
    for (const size_t step : {size_t{1}, size_t{3}, size_t{64}, refusal.bytes.size()}) {
      const Outcome outcome = decode(refusal.bytes, step);
      EXPECT_EQ(outcome.status, ChunkDecoder::Status::kFailed) << refusal.name << " by " << step;
      EXPECT_EQ(outcome.problem, refusal.problem) << refusal.name << " by " << step;
    }
  }
}

TEST(ChunkDecoder, FramingWithoutContentHasAnEnd) {
  std::string bytes;
  for (int i = 0; i < 30; ++i) bytes += "1;" + std::string(4000, 'a') + "\r\nx\r\n";
  EXPECT_EQ(decode(bytes, 10000, 1000).status, ChunkDecoder::Status::kFailed);
}

TEST(ChunkDecoder, OneByteChunksAreFine) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += "1\r\nx\r\n";
  bytes += "0\r\n\r\n";
  const Outcome outcome = decode(bytes, 10000, 1000);
  EXPECT_EQ(outcome.status, ChunkDecoder::Status::kDone);
  EXPECT_EQ(outcome.body, std::string(1000, 'x'));
}

}  // namespace
}  // namespace ds::server
