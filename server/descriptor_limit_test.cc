#include "server/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace ds::server {
namespace {

TEST(DescriptorLimit, ConnectionsLeaveSomeForFiles) {
  EXPECT_EQ(descriptors_for_connections(1048576), 1048576u - 1024);
  EXPECT_EQ(descriptors_for_connections(1024), 704u);
  EXPECT_EQ(descriptors_for_connections(100), 69u);
  EXPECT_EQ(descriptors_for_connections(0), 1u);
}

TEST(DescriptorLimit, CopiesTakeFew) {
  EXPECT_EQ(descriptors_for_copies(1048576), 512u);
  EXPECT_EQ(descriptors_for_copies(1024), 64u);
  EXPECT_EQ(descriptors_for_copies(0), 0u);
}

TEST(DescriptorLimit, ItIsRaisedAsFarAsTheSystemAllows) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit lowered = before;
  lowered.rlim_cur = before.rlim_max / 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  EXPECT_EQ(raise_descriptor_limit(), before.rlim_max);
  rlimit after{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace ds::server
