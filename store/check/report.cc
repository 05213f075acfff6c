#include "store/check/report.h"

namespace ds::store {

std::string stream_text(Incarnation id) {
  const std::string digits = std::to_string(id.value);
  return "stream " + std::string(digits.size() < 16 ? 16 - digits.size() : 0, '0') + digits;
}

std::string stream_text(Incarnation id, std::string_view path) {
  return stream_text(id) + " (" + std::string(path) + ")";
}

std::string range_text(Position begin, Position end) {
  return "[" + std::to_string(begin.value) + ", " + std::to_string(end.value) + ")";
}

}  // namespace ds::store
