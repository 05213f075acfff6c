#include "server/http/target.h"

#include <gtest/gtest.h>

#include <string>

namespace ds::server {
namespace {

TEST(Target, EveryFormThatAServerMeetsIsUnderstood) {
  const auto origin = split_target(wire::Method::kGet, "/a/b?c=d?e");
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->path, "/a/b");
  EXPECT_EQ(origin->query, "c=d?e");
  const auto absolute = split_target(wire::Method::kGet, "HTTP://h:1/a?b");
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->authority, "h:1");
  EXPECT_EQ(absolute->path, "/a");
  EXPECT_EQ(absolute->query, "b");
  EXPECT_EQ(split_target(wire::Method::kGet, "http://h")->path, "/");
  EXPECT_EQ(split_target(wire::Method::kGet, "http://h?q")->path, "/");
  EXPECT_EQ(split_target(wire::Method::kOptions, "*")->path, "*");
}

TEST(Target, OthersAreRefused) {
  EXPECT_FALSE(split_target(wire::Method::kGet, "*"));
  EXPECT_FALSE(split_target(wire::Method::kGet, "a/b"));
  EXPECT_FALSE(split_target(wire::Method::kGet, "ftp://h/a"));
  EXPECT_FALSE(split_target(wire::Method::kGet, "http://user@h/a"));
  EXPECT_FALSE(split_target(wire::Method::kGet, "http:///a"));
  EXPECT_FALSE(split_target(wire::Method::kOther, "h:443"));
  EXPECT_FALSE(split_target(wire::Method::kGet, "/a#b"));
  // An authority goes into Location.
  EXPECT_FALSE(split_target(wire::Method::kPut, "http://evil\"<x>/v1/stream/a"));
  EXPECT_FALSE(split_target(wire::Method::kPut, "http://a\\b/v1/stream/a"));
  EXPECT_FALSE(split_target(wire::Method::kPut, "http://" + std::string(256, 'h') + "/"));
}

TEST(Target, ALiveModeIsKnownByItsParameterAlone) {
  for (const char* query : {"live=sse", "offset=-1&live=long-poll", "live", "%6cive=sse",
                            "a=b&&l%69v%65=long-poll&c", "live=%73se"}) {
    EXPECT_TRUE(asks_for_live(query)) << query;
  }
  for (const char* query : {"", "offset=-1", "alive=1", "lives=1", "liv=e", "x=live", "offset=%2D1",
                            "cursor=live&live%=sse", "%6", "li%76", "Live=sse"}) {
    EXPECT_FALSE(asks_for_live(query)) << query;
  }
}

TEST(Target, RoutesAreWholePathsOrTheStreamRoot) {
  EXPECT_EQ(route_of("/v1/stream/a"), Route::kStream);
  EXPECT_EQ(route_of("/v1/stream"), Route::kNone);
  EXPECT_EQ(route_of("/v1/streams/a"), Route::kStreams);
  EXPECT_EQ(route_of("/metrics"), Route::kMetrics);
  EXPECT_EQ(route_of("/metrics/"), Route::kNone);
  EXPECT_EQ(route_of("/x/health"), Route::kNone);
}

TEST(Target, ForwardedHeadersCountFromTrustedPeersOnly) {
  RequestHead head;
  head.host = "inner:4437";
  head.forwarded_host = "outer.example";
  head.forwarded_proto = "https";
  std::string origin;
  build_origin(origin, head, "", false);
  EXPECT_EQ(origin, "http://inner:4437");
  build_origin(origin, head, "", true);
  EXPECT_EQ(origin, "https://outer.example");
  build_origin(origin, head, "named:1", false);
  EXPECT_EQ(origin, "http://named:1");
  head = RequestHead();
  build_origin(origin, head, "", true);
  EXPECT_EQ(origin, "");
}

}  // namespace
}  // namespace ds::server
