#include "core/wire/stream_path.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

// The canonical path, or "!<code>".
std::string parse(std::string_view target) {
  std::string scratch = "left over";
  const auto path = parse_stream_path(target, scratch);
  if (!path) return "!" + std::string(error_info(path.error()).code);
  return std::string(*path);
}

TEST(StreamPath, ASingleSegmentBelongsToTheDefaultProject) {
  EXPECT_EQ(parse("/v1/stream/orders"), "_default/orders");
  EXPECT_EQ(parse("/v1/stream/_default/orders"), "_default/orders");
  EXPECT_EQ(parse("/v1/stream/_default"), "_default/_default");
}

TEST(StreamPath, TheFirstOfSeveralSegmentsIsTheProject) {
  EXPECT_EQ(parse("/v1/stream/shop/orders"), "shop/orders");
  EXPECT_EQ(parse("/v1/stream/yjs/service/docs/doc/.updates"), "yjs/service/docs/doc/.updates");
  EXPECT_EQ(parse("/v1/stream/a/..."), "a/...");
}

TEST(StreamPath, TwoSpellingsOfOneUrlAreOneStream) {
  EXPECT_EQ(parse("/v1/stream/p/%61%7E%2d%5F%2E9"), "p/a~-_.9");
  EXPECT_EQ(parse("/v1/stream/p/a%c3%a9"), "p/a%C3%A9");
  EXPECT_EQ(parse("/v1/stream/p/a\xc3\xa9"), "p/a%C3%A9");
  EXPECT_EQ(parse("/v1/stream/p/a%20b"), "p/a%20b");
  for (const char c : std::string_view("!$&'()*+,;=:@|^`{}<>\"")) {
    const std::string raw = parse(std::string("/v1/stream/p/x") + c);
    static constexpr char kHex[] = "0123456789abcdef";
    const std::string escape = {'%', kHex[c >> 4], kHex[c & 15]};
    EXPECT_EQ(parse("/v1/stream/p/x" + escape), raw) << c;
    EXPECT_EQ(raw.size(), 6u) << raw;
  }
}

TEST(StreamPath, AnEscapedSlashIsNoSlash) {
  EXPECT_EQ(parse("/v1/stream/a%2fb"), "_default/a%2Fb");
  EXPECT_EQ(parse("/v1/stream/a%2Fb/c"), "a%2Fb/c");
  EXPECT_NE(parse("/v1/stream/a%2Fb"), parse("/v1/stream/a/b"));
}

TEST(StreamPath, OutsideOfTheRootThereIsNothing) {
  for (const std::string_view target : {"", "/", "/v1/stream", "/v1/streams/a", "/v2/stream/a",
                                        "v1/stream/a", "/V1/stream/a", "//v1/stream/a", "*"}) {
    EXPECT_EQ(parse(target), "!not_found") << target;
  }
}

TEST(StreamPath, TraversalAndEmptyNamesAreRefused) {
  for (const std::string_view rest :
       {"",     "/",          ".",      "..", "a/..", "../a", "a/../b", "a/./b", "%2e",   "%2e%2E",
        ".%2e", "a/%2e%2e/b", "a/",     "/a", "a//b", "a/b/", "a\\b",   "a%5cb", "..\\a", "a%00",
        "a%0a", "a%7f",       "a%1F/b", "a%", "a%2",  "a%zz", "a%2g",   "%%20",  "a?b=c", "a#b"}) {
    EXPECT_EQ(parse("/v1/stream/" + std::string(rest)), "!invalid_path") << rest;
  }
  EXPECT_EQ(parse(std::string("/v1/stream/a\0b", 14)), "!invalid_path");
  EXPECT_EQ(parse("/v1/stream/a\nb"), "!invalid_path");
}

TEST(StreamPath, TheControlPrefixIsReserved) {
  for (const std::string_view rest : {"__ds", "__ds/subscriptions/1", "shop/__ds", "shop/__ds/x",
                                      "%5f%5Fds", "shop/__%64s/x", "__ds/a/b/c", "_default/__ds"}) {
    EXPECT_EQ(parse("/v1/stream/" + std::string(rest)), "!reserved_path") << rest;
  }
  EXPECT_EQ(parse("/v1/stream/shop/a/__ds"), "shop/a/__ds");
  EXPECT_EQ(parse("/v1/stream/__dsx"), "_default/__dsx");
  EXPECT_EQ(parse("/v1/stream/x__ds"), "_default/x__ds");
  EXPECT_EQ(parse("/v1/stream/shop/__DS"), "shop/__DS");
}

TEST(StreamPath, LengthCountsInCanonicalSpelling) {
  const std::string fits(kStreamPathBytesMax - 2, 'x');
  EXPECT_EQ(parse("/v1/stream/p/" + fits), "p/" + fits);
  EXPECT_EQ(parse("/v1/stream/p/" + fits + "x"), "!invalid_path");
  std::string escaped;
  for (size_t i = 0; i < fits.size(); ++i) escaped += "%78";
  EXPECT_EQ(parse("/v1/stream/p/" + escaped), "p/" + fits);
  EXPECT_EQ(parse("/v1/stream/p/" + std::string(400, '!')), "!invalid_path");
  EXPECT_EQ(parse("/v1/stream/" + std::string(1000000, 'x')), "!invalid_path");
  // The default project's name counts.
  EXPECT_EQ(parse("/v1/stream/" + std::string(kStreamPathBytesMax - 8, 'x')), "!invalid_path");
  EXPECT_EQ(parse("/v1/stream/" + std::string(kStreamPathBytesMax - 9, 'x')).size(),
            kStreamPathBytesMax);
}

TEST(StreamPath, ACanonicalPathIsItsOwnCanonicalPath) {
  uint64_t accepted = 0;
  for (const std::string_view target :
       {"/v1/stream/shop/a%20b/c!d/%C3%A9", "/v1/stream/x", "/v1/stream/a/%2E%2Ex"}) {
    tests::for_each_mutation(target, [&](std::string_view input) {
      const std::string path = parse(input);
      if (path[0] == '!') return;
      ++accepted;
      ASSERT_EQ(parse("/v1/stream/" + path), path) << input;
      ASSERT_NE(path.find('/'), std::string::npos);
      for (const char c : path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || std::string_view("-._~%/").find(c) < 6;
        ASSERT_TRUE(plain) << path;
      }
    });
  }
  EXPECT_GT(accepted, 100u);
}

}  // namespace
}  // namespace ds::wire
