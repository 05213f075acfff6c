#include "server/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>

namespace ds::server {

namespace {
constexpr uint64_t kForCopies = 512;
constexpr uint64_t kForFiles = 512;  // the store keeps some 300 open at most
}  // namespace

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return UINT64_MAX;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return before;
  return limit.rlim_cur;
}

uint64_t descriptors_for_connections(uint64_t descriptors) {
  const uint64_t reserved =
      std::min(kForFiles, descriptors / 4) + descriptors_for_copies(descriptors);
  return std::max<uint64_t>(1, descriptors - reserved);
}

uint64_t descriptors_for_copies(uint64_t descriptors) {
  return std::min(kForCopies, descriptors / 16);
}

}  // namespace ds::server
