#include "core/wire/cursor.h"

#include <algorithm>

namespace ds::wire {

uint64_t cursor_at(Instant now, std::optional<uint64_t> client) {
  const int64_t elapsed_us = std::max<int64_t>((now - kCursorEpoch).us, 0);
  const auto current = static_cast<uint64_t>(elapsed_us / kCursorInterval.us);
  if (client && *client >= current) return *client + 1;
  return current;
}

}  // namespace ds::wire
