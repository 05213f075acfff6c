#include "server/http/response_writer.h"

#include <gtest/gtest.h>

#include <string>

namespace ds::server {
namespace {

constexpr Instant kNow{1767323045678000};  // Fri, 02 Jan 2026 03:04:05 GMT

std::string write(const wire::Response& response, const ResponseWriter::Framing& framing = {}) {
  ResponseWriter writer(1);
  writer.set_time(kNow);
  std::string out;
  writer.append_head(out, response, framing);
  return out;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

wire::Response of_status(uint16_t status) {
  wire::Response response;
  response.status = status;
  return response;
}

TEST(ResponseWriter, EveryAnswerCarriesDateCorsSecurityAndRequestId) {
  wire::Response sse = of_status(200);
  sse.sse = true;
  for (const wire::Response& response : {of_status(200), of_status(204), of_status(304), sse,
                                         wire::error_response(wire::ErrorCode::kNotFound)}) {
    const std::string text = write(response);
    EXPECT_TRUE(has(text, "\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n")) << text;
    EXPECT_TRUE(has(text, "\r\nAccess-Control-Allow-Origin: *\r\n")) << text;
    EXPECT_TRUE(has(text, "\r\nAccess-Control-Expose-Headers: Stream-Next-Offset, ")) << text;
    EXPECT_TRUE(has(text, "\r\nX-Content-Type-Options: nosniff\r\n")) << text;
    EXPECT_TRUE(has(text, "\r\nCross-Origin-Resource-Policy: cross-origin\r\n")) << text;
    EXPECT_TRUE(has(text, "\r\nX-Request-Id: ")) << text;
    EXPECT_FALSE(has(text, "Access-Control-Allow-Headers")) << text;
    EXPECT_EQ(text.find("\r\n\r\n") == std::string::npos, false);
  }
}

TEST(ResponseWriter, LengthIsGivenWhereABodyMayBe) {
  wire::Response ok = of_status(200);
  EXPECT_TRUE(has(write(ok), "\r\nContent-Length: 0\r\n"));
  ok.body.push_back(Slice::of_static("abc"));
  ok.body.push_back(Slice::of_static("de"));
  EXPECT_TRUE(has(write(ok), "\r\nContent-Length: 5\r\n"));
  EXPECT_FALSE(has(write(of_status(204)), "Content-Length"));
  EXPECT_FALSE(has(write(of_status(304)), "Content-Length"));
}

TEST(ResponseWriter, HeadHasNoBodyAndNoMadeUpLength) {
  ResponseWriter::Framing framing;
  framing.head_only = true;
  EXPECT_FALSE(has(write(of_status(200), framing), "Content-Length"));
  const std::string text = write(wire::error_response(wire::ErrorCode::kNotFound), framing);
  EXPECT_TRUE(text.ends_with("\r\n\r\n")) << text;
}

TEST(ResponseWriter, ErrorsBringTheirBody) {
  const std::string text = write(wire::error_response(wire::ErrorCode::kStreamClosed));
  const std::string body = text.substr(text.find("\r\n\r\n") + 4);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 409 Conflict\r\n"));
  EXPECT_TRUE(body.starts_with("{\"code\":\"stream_closed\",\"error\":\"")) << body;
  EXPECT_TRUE(has(text, "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"));
  EXPECT_TRUE(has(text, "\r\nCache-Control: no-store\r\n"));
}

TEST(ResponseWriter, SseIsChunkedOrEndsWithTheConnection) {
  wire::Response sse = of_status(200);
  sse.sse = true;
  ResponseWriter::Framing framing;
  framing.chunked = true;
  std::string text = write(sse, framing);
  EXPECT_TRUE(has(text, "\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_FALSE(has(text, "Content-Length"));
  framing.chunked = false;
  framing.until_close = framing.close = true;
  text = write(sse, framing);
  EXPECT_FALSE(has(text, "Transfer-Encoding"));
  EXPECT_FALSE(has(text, "Content-Length"));
  EXPECT_TRUE(has(text, "\r\nConnection: close\r\n"));
}

TEST(ResponseWriter, RequestIdsAreEchoedOrDistinct) {
  ResponseWriter::Framing framing;
  framing.request_id = "my-id";
  EXPECT_TRUE(has(write(of_status(204), framing), "\r\nX-Request-Id: my-id\r\n"));
  ResponseWriter writer(7);
  writer.set_time(kNow);
  std::string out;
  writer.append_head(out, of_status(204), {});
  const std::string first(writer.last_request_id());
  writer.append_head(out, of_status(204), {});
  EXPECT_NE(first, writer.last_request_id());
  EXPECT_EQ(first.size(), 16u);
}

TEST(ResponseWriter, PreflightAllowsTheProtocolByName) {
  ResponseWriter writer(1);
  writer.set_time(kNow);
  std::string out;
  writer.append_preflight(out, "", false);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 204 No Content\r\n"));
  const size_t line = out.find("Access-Control-Allow-Headers: ");
  ASSERT_NE(line, std::string::npos);
  const std::string allowed = out.substr(line, out.find("\r\n", line) - line);
  for (const char* name :
       {"Authorization", "Content-Type", "If-Match", "If-None-Match", "Stream-Seq", "Stream-TTL",
        "Stream-Expires-At", "Stream-Closed", "Stream-Forked-From", "Stream-Fork-Offset",
        "Stream-Fork-Sub-Offset", "Producer-Id", "Producer-Epoch", "Producer-Seq"}) {
    EXPECT_TRUE(has(allowed, name)) << name;
  }
  EXPECT_TRUE(has(out, "Access-Control-Allow-Methods: GET, HEAD, PUT, POST, DELETE, OPTIONS"));
}

TEST(ResponseWriter, EveryStatusOfTheErrorTableHasAReason) {
  for (int code = 1; code < static_cast<int>(wire::ErrorCode::kCount); ++code) {
    const auto& info = wire::error_info(static_cast<wire::ErrorCode>(code));
    EXPECT_NE(status_reason(info.status), "Unknown") << info.status;
  }
}

}  // namespace
}  // namespace ds::server
