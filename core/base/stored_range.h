// Bytes of an answer that stay where they are stored until they are sent: the core never sees them.
#pragma once

#include <cstdint>
#include <memory>

namespace ds {

// A range of a file that the host has open and has checked. Immutable; any thread.
struct StoredRange {
  std::shared_ptr<const void> file;  // keeps it open
  int descriptor = -1;               // what the host reads it with
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

using StoredBytes = std::shared_ptr<const StoredRange>;

}  // namespace ds
