#include "bench/load/delivery.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ds::bench {
namespace {

constexpr uint64_t kBodyBytes = 50;

class DeliveryTest : public ::testing::Test {
 protected:
  // The body of the append with that number, due at that time.
  std::string body(uint64_t number, int64_t due) {
    const std::string_view request = append_.render(0, number, due);
    return std::string(request.substr(request.size() - kBodyBytes));
  }
  // Feeds it to the reader in pieces of `step`, at time `now`.
  void take(const std::string& bytes, size_t step, int64_t now) {
    for (size_t at = 0; at < bytes.size(); at += step) {
      const std::string piece = bytes.substr(at, step);
      reader_.take(piece, now, all_);
    }
  }

  Options options_;
  Endpoint endpoint_;
  Streams streams_{options_, endpoint_};
  MarkedAppend append_{streams_, kBodyBytes};
  MarkReader reader_;
  Deliveries all_;
};

TEST_F(DeliveryTest, EveryAppendIsSeenHoweverTheBytesArrive) {
  const std::string all = body(0, 10) + body(1, 20) + body(2, 30) + body(3, 40);
  for (size_t step = 1; step <= all.size(); ++step) {
    reader_ = MarkReader();
    all_ = Deliveries();
    take(all, step, 100);
    EXPECT_EQ(all_.count, 4u) << "in pieces of " << step;
    EXPECT_EQ(all_.wrong.total(), 0u) << "in pieces of " << step << ": " << all_.wrong.first();
    EXPECT_EQ(reader_.next_number(), 4u);
  }
}

TEST_F(DeliveryTest, LatencyIsFromWhenTheAppendWasDueAndOnlyWhileCounting) {
  take(body(0, 1000), 7, 1100);
  EXPECT_EQ(all_.latency.count(), 0u);
  all_.counting = true;
  take(body(1, 2000), 7, 2100);
  take(body(2, 2000), 7, 2200);
  EXPECT_EQ(all_.latency.count(), 2u);
  EXPECT_EQ(all_.latency.at(0), 100);
  EXPECT_EQ(all_.latency.max(), 200);
}

TEST_F(DeliveryTest, AppendsOfOneRoundMayArriveInAnyOrder) {
  all_.round = 3;
  take(body(2, 0) + body(0, 0) + body(1, 0) + body(4, 0) + body(3, 0) + body(5, 0), 11, 1);
  EXPECT_EQ(all_.wrong.total(), 0u) << all_.wrong.first();
  EXPECT_EQ(all_.count, 6u);
}

TEST_F(DeliveryTest, OnlyOnceAndNotBeforeTheirRound) {
  all_.round = 3;
  take(body(2, 0) + body(2, 0), 500, 1);
  EXPECT_EQ(all_.wrong.total(), 1u);
  reader_ = MarkReader();
  take(body(0, 0) + body(3, 0), 500, 1);
  EXPECT_EQ(all_.wrong.total(), 2u);
}

TEST_F(DeliveryTest, TheListenerIsToldOfTheAwaitedDelivery) {
  struct Listener : DeliveryListener {
    void on_delivered(int64_t now) override { told.push_back(now); }
    std::vector<int64_t> told;
  } listener;
  all_.listener = &listener;
  all_.awaited = 2;
  take(body(0, 0), 500, 10);
  EXPECT_TRUE(listener.told.empty());
  take(body(1, 0) + body(2, 0), 500, 20);
  EXPECT_EQ(listener.told, std::vector<int64_t>{20});
}

TEST_F(DeliveryTest, LostDoubledSwappedAndDamagedAppendsAreWrong) {
  take(body(0, 0) + body(2, 0), 500, 1);  // 1 is lost
  EXPECT_EQ(all_.wrong.total(), 1u);
  take(body(2, 0), 500, 1);  // again
  EXPECT_EQ(all_.wrong.total(), 2u);
  take(body(4, 0) + body(3, 0), 500, 1);  // swapped: a gap, and then a step back
  EXPECT_EQ(all_.wrong.total(), 4u);
  std::string damaged = body(4, 0);
  damaged[5] = 'x';
  take(damaged, 500, 1);
  EXPECT_EQ(all_.wrong.total(), 5u);
  EXPECT_EQ(all_.wrong.of(static_cast<size_t>(Wrong::kDelivery)), 5u);
}

TEST(RequestTemplate, FieldsKeepTheirWidth) {
  RequestTemplate request;
  request.text("a=");
  const auto number = request.field(4, '0');
  request.text(" b=");
  const auto header = request.field(4, ' ');
  request.text(" c=");
  const auto hex = request.field(4, '0');
  request.text(".");
  EXPECT_EQ(request.bytes(), "a=0000 b=     c=0000.");
  request.set_number(number, 42);
  request.set_header_number(header, 42);
  request.set_hex(hex, 0xbeef);
  EXPECT_EQ(request.bytes(), "a=0042 b=42   c=beef.");
  request.set_number(number, 7);
  request.set_header_number(header, 0);
  request.set_hex(hex, 1);
  EXPECT_EQ(request.bytes(), "a=0007 b=0    c=0001.");
}

}  // namespace
}  // namespace ds::bench
