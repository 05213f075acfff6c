// What the client of an SSE response makes of it: the stored bytes that its events show, and the
// offset that it has been told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "tests/sim/model.h"

namespace ds::sim {

class LiveReader {
 public:
  LiveReader(Kind kind, Position at) : kind_(kind), begin_(at.value), position_(at.value) {}

  // Whole events. Throws Violation if they are not what they should be.
  void take(std::string_view bytes);

  // Bytes from `begin` to `position` that have not been fetched with take_seen() yet.
  uint64_t begin() const { return begin_; }
  uint64_t position() const { return position_; }
  std::string take_seen();
  // The offset of the newest control event.
  const std::optional<Offset>& told() const { return told_; }
  bool closed() const { return closed_; }

 private:
  void event(const std::string& type, const std::string& data);

  const Kind kind_;
  uint64_t begin_;
  uint64_t position_;
  std::string seen_;
  std::optional<Offset> told_;
  bool closed_ = false;
};

}  // namespace ds::sim
