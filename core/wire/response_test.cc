#include "core/wire/response.h"

#include <gtest/gtest.h>

#include <string>

namespace ds::wire {
namespace {

std::string headers(const Response& response) {
  std::string out;
  append_headers(out, response);
  return out;
}

const Offset kOffset{Incarnation{17}, Position{42}};

TEST(ResponseHeaders, OfAPlainAppend) {
  Response response;
  response.status = 204;
  response.next_offset = kOffset;
  EXPECT_EQ(headers(response),
            "Cache-Control: no-store\r\n"
            "Stream-Next-Offset: 0000000000000017_0000000000000042\r\n");
}

TEST(ResponseHeaders, OfAProducersAppendThatCloses) {
  Response response;
  response.status = 200;
  response.next_offset = kOffset;
  response.closed = true;
  response.producer_epoch = 3;
  response.producer_seq = 0;
  EXPECT_EQ(headers(response),
            "Cache-Control: no-store\r\n"
            "Stream-Next-Offset: 0000000000000017_0000000000000042\r\n"
            "Stream-Closed: true\r\n"
            "Producer-Epoch: 3\r\n"
            "Producer-Seq: 0\r\n");
}

TEST(ResponseHeaders, OfASequenceGap) {
  Response response = error_response(ErrorCode::kSequenceGap);
  response.expected_seq = 4;
  response.received_seq = 9;
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(headers(response),
            "Content-Type: application/json\r\n"
            "Cache-Control: no-store\r\n"
            "Producer-Expected-Seq: 4\r\n"
            "Producer-Received-Seq: 9\r\n");
}

TEST(ResponseHeaders, OfARead) {
  Response response;
  response.status = 200;
  response.content_type = Slice(share("text/plain"));
  response.cache = {CachePolicy::Kind::kPublic, 60, 300};
  response.next_offset = kOffset;
  response.write_timestamp_ms = 1767323045678;
  response.etag = ETag{Incarnation{17}, Position{0}, Position{42}};
  EXPECT_EQ(headers(response),
            "Content-Type: text/plain\r\n"
            "Cache-Control: public, max-age=60, stale-while-revalidate=300\r\n"
            "Stream-Next-Offset: 0000000000000017_0000000000000042\r\n"
            "Stream-Write-Timestamp: 1767323045678\r\n"
            "ETag: \"17:0:42\"\r\n");
}

TEST(ResponseHeaders, OfALongPollAtTheTail) {
  Response response;
  response.status = 204;
  response.next_offset = kOffset;
  response.up_to_date = true;
  response.cursor = 123;
  EXPECT_EQ(headers(response),
            "Cache-Control: no-store\r\n"
            "Stream-Next-Offset: 0000000000000017_0000000000000042\r\n"
            "Stream-Up-To-Date: true\r\n"
            "Stream-Cursor: 123\r\n");
}

TEST(ResponseHeaders, OfHead) {
  Response response;
  response.status = 200;
  response.content_type = Slice(share("application/json"));
  response.next_offset = kOffset;
  response.ttl_seconds = 3600;
  response.expires_at = Instant{1767323045678000};
  response.tail_etag = kOffset;
  EXPECT_EQ(headers(response),
            "Content-Type: application/json\r\n"
            "Cache-Control: no-store\r\n"
            "Stream-Next-Offset: 0000000000000017_0000000000000042\r\n"
            "Stream-TTL: 3600\r\n"
            "Stream-Expires-At: 2026-01-02T03:04:05.678Z\r\n"
            "ETag: \"0000000000000017_0000000000000042\"\r\n");
}

TEST(ResponseHeaders, OfHeadWithRetention) {
  Response response;
  response.status = 200;
  response.next_offset = kOffset;
  response.earliest_offset = Offset{kOffset.life, Position{7}};
  response.max_age_seconds = 86400;
  response.max_bytes = 1073741824;
  EXPECT_EQ(headers(response),
            "Cache-Control: no-store\r\n"
            "Stream-Next-Offset: 0000000000000017_0000000000000042\r\n"
            "Stream-Earliest-Offset: 0000000000000017_0000000000000007\r\n"
            "Stream-Max-Age: 86400\r\n"
            "Stream-Max-Bytes: 1073741824\r\n");
}

TEST(ErrorResponse, OfTrimmedOffsetsSaysWhereToGoOn) {
  Response response = error_response(ErrorCode::kOffsetTrimmed);
  response.earliest_offset = kOffset;
  EXPECT_EQ(response.status, 410);
  EXPECT_NE(headers(response).find("Stream-Earliest-Offset: 0000000000000017_0000000000000042\r\n"),
            std::string::npos);
}

TEST(ResponseHeaders, OfAnSseHead) {
  Response response;
  response.status = 200;
  response.sse = true;
  response.sse_base64 = true;
  response.content_type = Slice(share("image/png"));
  EXPECT_EQ(headers(response),
            "Content-Type: text/event-stream\r\n"
            "X-Accel-Buffering: no\r\n"
            "stream-sse-data-encoding: base64\r\n"
            "Cache-Control: no-cache\r\n");
  response.sse_base64 = false;
  EXPECT_EQ(headers(response).find("encoding"), std::string::npos);
}

TEST(ResponseHeaders, OfACreation) {
  Response response;
  response.status = 201;
  response.location = "http://localhost:4437/v1/stream/a";
  response.next_offset = kOffset;
  EXPECT_NE(headers(response).find("Location: http://localhost:4437/v1/stream/a\r\n"),
            std::string::npos);
}

TEST(ResponseHeaders, ARefusedMethodSaysWhichAreAllowed) {
  const std::string text = headers(error_response(ErrorCode::kMethodNotAllowed));
  EXPECT_NE(text.find("Allow: GET, HEAD, PUT, POST, DELETE, OPTIONS\r\n"), std::string::npos);
  EXPECT_EQ(headers(error_response(ErrorCode::kNotFound)).find("Allow:"), std::string::npos);
}

TEST(ResponseHeaders, ABusyServerSaysWhenToComeBack) {
  Response response = error_response(ErrorCode::kTooManyReaders);
  response.retry_after_seconds = 2;
  EXPECT_NE(headers(response).find("Retry-After: 2\r\n"), std::string::npos);
}

TEST(ResponseHeaders, CacheControlFollowsThePolicy) {
  Response response;
  response.cache.kind = CachePolicy::Kind::kNoCache;
  EXPECT_EQ(headers(response), "Cache-Control: no-cache\r\n");
  response.cache = {CachePolicy::Kind::kPublic, 5, 0};
  EXPECT_EQ(headers(response), "Cache-Control: public, max-age=5\r\n");
}

TEST(ErrorResponse, IsNeverCached) {
  for (int i = 1; i < static_cast<int>(ErrorCode::kCount); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    const Response response = error_response(code);
    EXPECT_EQ(response.status, error_info(code).status);
    EXPECT_GE(response.status, 400);
    EXPECT_TRUE(response.body.empty());
    EXPECT_NE(headers(response).find("Cache-Control: no-store\r\n"), std::string::npos);
  }
}

TEST(ErrorBody, IsJsonWithCodeAndSentence) {
  std::string out;
  append_error_body(out, ErrorCode::kNotFound);
  EXPECT_EQ(out, "{\"code\":\"not_found\",\"error\":\"" +
                     std::string(error_info(ErrorCode::kNotFound).sentence) + "\"}");
}

TEST(Response, CountsItsBody) {
  Response response;
  EXPECT_EQ(response.body_bytes(), 0u);
  response.body = {Slice::of_static("["), Slice(share("1,2")), Slice::of_static("]")};
  EXPECT_EQ(response.body_bytes(), 5u);
}

}  // namespace
}  // namespace ds::wire
