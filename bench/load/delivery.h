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

// What all readers together have received.
struct Deliveries {
  Histogram latency;
  uint64_t count = 0;  // since the start, counted or not
  bool counting = false;
  WrongAnswers wrong;
};

// One reader's view of its stream. Finds marks in bytes that arrive in any pieces.
class MarkReader {
 public:
  void take(std::string_view bytes, int64_t now, Deliveries& all);
  // The number of the append that must come next.
  uint64_t next_number() const { return next_; }

 private:
  void take_mark(std::string_view mark, int64_t now, Deliveries& all);

  uint64_t next_ = 0;
  std::string carry_;  // the beginning of a mark
};

}  // namespace ds::bench
