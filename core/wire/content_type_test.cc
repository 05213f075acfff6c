#include "core/wire/content_type.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

TEST(ContentKind, GoesByTheMediaTypeAlone) {
  EXPECT_EQ(content_kind("application/json"), ContentKind::kJson);
  EXPECT_EQ(content_kind("Application/JSON; charset=utf-8"), ContentKind::kJson);
  EXPECT_EQ(content_kind("application/json ;x=y"), ContentKind::kJson);
  EXPECT_EQ(content_kind("text/plain;charset=UTF-8"), ContentKind::kText);
  EXPECT_EQ(content_kind("TEXT/html"), ContentKind::kText);
  EXPECT_EQ(content_kind("application/octet-stream"), ContentKind::kBinary);
  EXPECT_EQ(content_kind("application/ndjson"), ContentKind::kBinary);
  EXPECT_EQ(content_kind("application/json-seq"), ContentKind::kBinary);
  EXPECT_EQ(content_kind("application/vnd.api+json"), ContentKind::kBinary);
  EXPECT_EQ(content_kind("text"), ContentKind::kBinary);
  EXPECT_EQ(content_kind(""), ContentKind::kBinary);
}

TEST(ContentType, FollowsTheGrammar) {
  for (const std::string_view type :
       {"text/plain", "application/vnd.a+b", "a/b;c=d", "a/b ; c=d ;e=f", "a/b; c=\"d e\"",
        "a/b;c=\"\\\"x\\\\\"", "a/b;", "a/b ; ;c=d", "a/b;c=\"\"", "!#$%&'*+-.^_`|~/x"}) {
    EXPECT_TRUE(content_type_valid(type)) << type;
  }
  for (const std::string_view type : {"",
                                      "text",
                                      "text/",
                                      "/plain",
                                      "text plain",
                                      "text/plain/x",
                                      " text/plain",
                                      "te xt/plain",
                                      "text/pl\x01in",
                                      "text/plain;charset",
                                      "text/plain;=x",
                                      "text/plain;a=",
                                      "text/plain;a= b",
                                      "text/plain;a=\"b",
                                      "text/plain;a=\"b\"c",
                                      "text/plain;a=\"\\",
                                      "text/plain\r\nX: y",
                                      "text/plain;a=\"\r\n\"",
                                      "text/plain;a=\"\t\"",
                                      "text/pl\xc3\xa4in",
                                      "text/plain,text/html",
                                      "<a>/<b>"}) {
    EXPECT_FALSE(content_type_valid(type)) << type;
  }
  EXPECT_FALSE(content_type_valid(std::string_view("text/plain\0", 11)));
}

TEST(SameMediaType, ForgetsCaseAndParameters) {
  EXPECT_TRUE(same_media_type("text/plain", "Text/Plain; charset=utf-8"));
  EXPECT_TRUE(same_media_type("text/plain ;a=b", "text/plain;c=d"));
  EXPECT_FALSE(same_media_type("text/plain", "text/plai"));
  EXPECT_FALSE(same_media_type("text/plain", "text/html"));
}

TEST(ContentType, NothingValidHoldsABreak) {
  tests::for_each_mutation("text/plain; charset=\"utf-8\"; a=b", [](std::string_view input) {
    (void)content_kind(input);
    if (!content_type_valid(input)) return;
    EXPECT_TRUE(same_media_type(input, input));
    for (const char c : input) {
      EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << input;
    }
  });
}

}  // namespace
}  // namespace ds::wire
