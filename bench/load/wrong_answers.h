// What the server did wrong, by kind. Any of it makes the run fail.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ds::bench {

enum class Wrong : uint8_t {
  kStatus,      // not the status that the request asks for
  kHeader,      // a header is missing that the protocol demands
  kLength,      // a read returned another number of bytes than the stream has there
  kDelivery,    // a live reader saw an append twice, not at all, or in another order
  kMalformed,   // not HTTP, or not the event stream that was asked for
  kClosed,      // the connection ended before the answer
  kUnanswered,  // no answer before the drain time was over
};
inline constexpr std::array<std::string_view, 7> kWrongNames = {
    "status", "header", "length", "delivery", "malformed", "closed", "unanswered"};

class WrongAnswers {
 public:
  // `detail` is kept of the first one only.
  void add(Wrong kind, std::string_view detail, uint64_t times = 1) {
    if (times == 0) return;
    if (total() == 0)
      first_ = std::string(kWrongNames[static_cast<size_t>(kind)]) + ": " + std::string(detail);
    counts_[static_cast<size_t>(kind)] += times;
  }
  void add(const WrongAnswers& other) {
    if (total() == 0) first_ = other.first_;
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  uint64_t total() const {
    uint64_t sum = 0;
    for (const uint64_t count : counts_) sum += count;
    return sum;
  }
  uint64_t of(size_t kind) const { return counts_[kind]; }
  const std::string& first() const { return first_; }

 private:
  std::array<uint64_t, kWrongNames.size()> counts_{};
  std::string first_;
};

}  // namespace ds::bench
