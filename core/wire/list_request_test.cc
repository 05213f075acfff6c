#include "core/wire/list_request.h"

#include <gtest/gtest.h>

namespace ds::wire {
namespace {

ErrorCode error_of(std::string_view path, std::string_view query = "") {
  const auto parsed = parse_list_request(path, query);
  return parsed.ok() ? ErrorCode::kNone : parsed.error();
}

TEST(ListRequest, SaysWhatIsAskedFor) {
  const auto parsed =
      parse_list_request("/v1/streams/my!app", "after=a%2521+b&x=%&prefix=a/b&limit=1000");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->project, "my%21app/");
  EXPECT_EQ(parsed->prefix, "my%21app/a/b");
  EXPECT_EQ(parsed->after, "my%21app/a%21%20b");
  EXPECT_EQ(parsed->limit, 1000U);
}

TEST(ListRequest, WithoutParametersItIsTheFirstPageOfAll) {
  const auto parsed = parse_list_request("/v1/streams/p", "");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->prefix, "p/");
  EXPECT_EQ(parsed->after, "p/");
  EXPECT_EQ(parsed->limit, kListLimitDefault);
}

TEST(ListRequest, ProjectsAreThoseThatStreamsCanBeIn) {
  EXPECT_EQ(error_of("/v1/stream/p"), ErrorCode::kNotFound);
  EXPECT_EQ(error_of("/v1/streams/p/q"), ErrorCode::kNotFound);
  EXPECT_EQ(error_of("/v1/streams/"), ErrorCode::kInvalidPath);
  EXPECT_EQ(error_of("/v1/streams/.."), ErrorCode::kInvalidPath);
  EXPECT_EQ(error_of("/v1/streams/a%00"), ErrorCode::kInvalidPath);
  EXPECT_EQ(error_of("/v1/streams/__ds"), ErrorCode::kReservedPath);
}

TEST(ListRequest, ParametersThatAreMalformedOrRepeatedAreRefused) {
  for (const char* query :
       {"limit", "limit=0", "limit=01", "limit=1001", "limit=-1", "limit=1&limit=1", "prefix=%",
        "prefix=%25", "prefix=&prefix=", "prefix=%2F", "prefix=a//b", "prefix=./a", "after=..%2Fa",
        "after=%00", "after=%5C", "after=a%23"}) {
    EXPECT_EQ(error_of("/v1/streams/p", query), ErrorCode::kInvalidListing) << query;
  }
  EXPECT_EQ(error_of("/v1/streams/p", "prefix=" + std::string(2000, 'a')),
            ErrorCode::kInvalidListing);
  for (const char* query : {"prefix=", "prefix=.", "prefix=a/", "prefix=a/..", "after=~"}) {
    EXPECT_EQ(error_of("/v1/streams/p", query), ErrorCode::kNone) << query;
  }
}

}  // namespace
}  // namespace ds::wire
