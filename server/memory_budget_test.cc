#include "server/memory_budget.h"

#include <gtest/gtest.h>

namespace ds::server {
namespace {

TEST(MemoryBudget, RefusesOnceItIsUsedUp) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.try_charge(60));
  EXPECT_FALSE(budget.exhausted());
  EXPECT_TRUE(budget.try_charge(1000)) << "the last one may go past the limit";
  EXPECT_TRUE(budget.exhausted());
  EXPECT_FALSE(budget.try_charge(1));
  EXPECT_EQ(budget.used(), 1060u);
  budget.release(1000);
  EXPECT_TRUE(budget.try_charge(1));
}

TEST(MemoryBudget, AChargeEndsWithItsOwner) {
  MemoryBudget budget(100);
  {
    budget.charge(40);
    MemoryCharge charge(budget, 40);
    MemoryCharge moved = std::move(charge);
    charge.resize(7);  // of nothing
    moved.resize(10);
    EXPECT_EQ(budget.used(), 10u);
    moved.resize(30);
    EXPECT_EQ(budget.used(), 30u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryBudget, ChargedBytesCountUntilTheLastReferenceIsGone) {
  MemoryBudget budget(100);
  budget.charge(5);
  SharedBytes bytes = share_charged("hello", MemoryCharge(budget, 5));
  EXPECT_TRUE(is_charged(bytes));
  EXPECT_FALSE(is_charged(share("hello")));
  EXPECT_FALSE(is_charged(nullptr));
  Slice slice(bytes, std::string_view(*bytes).substr(1, 2));
  EXPECT_TRUE(is_charged(slice.owner));
  bytes.reset();
  EXPECT_EQ(budget.used(), 5u);
  EXPECT_EQ(slice.bytes, "el");
  slice = Slice();
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace ds::server
