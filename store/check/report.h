// What a check of a data directory finds, one sentence at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/types.h"

namespace ds::store {

struct CheckFinding {
  enum class Kind : uint8_t {
    kProblem,  // something is damaged, missing, or contradicts something else
    kNote,     // worth knowing, and no harm: files that belong to nobody, what was not looked at
  };
  Kind kind = Kind::kProblem;
  std::string text;  // names file, stream and place
};

struct CheckCounts {
  uint64_t streams = 0;  // in the catalog
  uint64_t segments = 0;
  uint64_t segment_bytes = 0;
  uint64_t generations = 0;  // not sealed
  uint64_t records = 0;      // in them
  uint64_t last_frame = 0;   // the newest whole one
  uint64_t problems = 0;
  uint64_t notes = 0;
};

// Passes findings on and counts.
class CheckReport {
 public:
  using Sink = std::function<void(const CheckFinding&)>;
  explicit CheckReport(Sink sink) : sink_(std::move(sink)) {}

  void problem(std::string text) {
    ++counts.problems;
    sink_({CheckFinding::Kind::kProblem, std::move(text)});
  }
  void note(std::string text) {
    ++counts.notes;
    sink_({CheckFinding::Kind::kNote, std::move(text)});
  }

  CheckCounts counts;

 private:
  Sink sink_;
};

// "stream 0000000000000007"
std::string stream_text(Incarnation id);
// "stream 0000000000000007 (default/a)"
std::string stream_text(Incarnation id, std::string_view path);
// "[0, 4096)"
std::string range_text(Position begin, Position end);

}  // namespace ds::store
