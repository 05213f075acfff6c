#include "bench/load/fail.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ds::bench {

void fail(std::string_view what) {
  std::fprintf(stderr, "ds-load: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(2);
}

void fail_errno(std::string_view what) {
  std::fprintf(stderr, "ds-load: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::exit(2);
}

}  // namespace ds::bench
