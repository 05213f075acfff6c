// Appends that tell when they were made, so that their readers can say how long delivery took and
// whether every one came once and in order.
//
// A body is a mark and filler: '@', the append's number in its stream as 16 hex digits, the time it
// was due as 16 more (nanoseconds of the generator's clock). '@' occurs nowhere else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/histogram.h"
#include "bench/load/streams.h"
#include "bench/load/wrong_answers.h"

namespace ds::bench {

inline constexpr size_t kMarkBytes = 33;
// Appends that may be on their way at once: a reader remembers which of them it has in one word.
inline constexpr uint32_t kInFlightMax = 64;

// A POST whose body is marked.
class MarkedAppend {
 public:
  MarkedAppend(const Streams& streams, uint64_t body_bytes);
  // Valid until the next call.
  std::string_view render(uint32_t stream, uint64_t number, int64_t due_ns);

 private:
  Streams::Write write_;
  RequestTemplate::Field number_;
  RequestTemplate::Field due_;
};

// Told when as many deliveries have been made as were asked for.
class DeliveryListener {
 public:
  virtual void on_delivered(int64_t now) = 0;

 protected:
  ~DeliveryListener() = default;
};

// What all readers together have received.
struct Deliveries {
  Histogram latency;
  uint64_t count = 0;  // since the start, counted or not
  bool counting = false;
  // Appends are numbered in rounds of this many; those of one round may arrive in any order.
  uint32_t round = 1;
  uint64_t awaited = UINT64_MAX;  // the count at which the listener is told, once
  DeliveryListener* listener = nullptr;
  WrongAnswers wrong;
};

// One reader's view of its stream. Finds marks in bytes that arrive in any pieces.
class MarkReader {
 public:
  void take(std::string_view bytes, int64_t now, Deliveries& all);
  // Appends received: the number of the one that must come next, if they come in order.
  uint64_t next_number() const { return next_; }

 private:
  void take_mark(std::string_view mark, int64_t now, Deliveries& all);

  uint64_t next_ = 0;
  uint64_t seen_ = 0;  // bit i: the i-th append of the current round is here
  std::string carry_;  // the beginning of a mark
};

}  // namespace ds::bench
