// A promise that was broken: ends the run.
#pragma once

#include <stdexcept>
#include <string>

namespace ds::sim {

class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool kept, const std::string& what) {
  if (!kept) throw Violation(what);
}
inline void require(bool kept, const char* what) {
  if (!kept) throw Violation(what);
}

}  // namespace ds::sim
