#include "server/log.h"

#include <gtest/gtest.h>

namespace ds::server {
namespace {

TEST(Log, JsonLinesAreEscaped) {
  EXPECT_EQ(render_event(LogFormat::kJson, "a \"b\"\n", {{"path", "/\\\t"}, {"status", 200}}),
            "\"message\":\"a \\\"b\\\"\\n\",\"path\":\"/\\\\\\t\",\"status\":200");
}

TEST(Log, TextQuotesWhatCouldBeMistaken) {
  EXPECT_EQ(render_event(LogFormat::kText, "request",
                         {{"path", "/a"}, {"peer", ""}, {"id", "x y=z\n"}, {"n", -1}}),
            "request path=/a peer=\"\" id=\"x y=z\\n\" n=-1");
}

}  // namespace
}  // namespace ds::server
