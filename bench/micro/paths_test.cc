#include "bench/micro/paths.h"

#include <gtest/gtest.h>

namespace ds::bench {
namespace {

TEST(PathsTest, EveryPathEndsInTheAnswerThatItMust) {
  for (const std::string_view name : Path::names()) {
    Path path(name);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(path.once()) << name << ", request " << i;
  }
}

}  // namespace
}  // namespace ds::bench
