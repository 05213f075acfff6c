// Cursors (PROTOCOL §10.1): the number of the current 20-second interval since
// 2024-10-09T00:00:00Z.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/types.h"

namespace ds::wire {

inline constexpr Duration kCursorInterval = seconds(20);
inline constexpr Instant kCursorEpoch{1728432000000000};

// The cursor of an answer made `now` to a reader that brought `client`: never at or below the
// client's. One more than the client's rather than a random step, so that all readers with one
// cursor go on sharing one URL.
uint64_t cursor_at(Instant now, std::optional<uint64_t> client);

}  // namespace ds::wire
