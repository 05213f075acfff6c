// DS_ASSERT: a broken invariant of ours. It stays on in release builds: a server that no longer
// knows its own state must stop before it answers anything. What a peer or the world can cause is
// never asserted; it is a value (Rejection, IoStatus).
#pragma once

namespace ds {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}  // namespace ds

#define DS_ASSERT(expression)              \
  (static_cast<bool>(expression) ? void(0) \
                                 : ::ds::assertion_failed(#expression, __FILE__, __LINE__))
