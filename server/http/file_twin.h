// Bytes in memory that a file holds as well, so that the system can send them from its pages
// without copying them (sendfile).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "core/base/slice.h"

namespace ds::server {

// Smaller bodies are not worth a twin.
constexpr uint64_t kTwinBytesMin = 64 << 10;

// Never changes once shared. Any thread.
struct FileTwin {
  // What has `descriptor` open and keeps the contents as they are. Once that lets go of it, the
  // bytes are sent from memory: a client that is slow holds no file.
  std::weak_ptr<const void> file;
  int descriptor = -1;
  uint64_t offset = 0;  // in the file, of the first byte
  // Until then the file's pages are taken for what was checked in memory; after that the system may
  // have dropped them and read them again, unchecked.
  std::chrono::steady_clock::time_point good_until = std::chrono::steady_clock::time_point::max();
};

using FileTwinPtr = std::shared_ptr<const FileTwin>;

// The same bytes, together with where a file has all of them.
SharedBytes with_twin(SharedBytes bytes, FileTwinPtr twin);
// Null if there is none. Looks through a charge (server/memory_budget.h).
FileTwinPtr twin_of(const SharedBytes& bytes);

}  // namespace ds::server
