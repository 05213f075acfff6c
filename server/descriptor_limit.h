// The system's limit on open files: connections must leave some for the log, or clients could stop
// every write by connecting.
#pragma once

#include <cstdint>

namespace ds::server {

// Raises the limit on open descriptors as far as the system allows and returns it.
uint64_t raise_descriptor_limit();

// How many of `descriptors` connections may use: all but those for copies and 512 for other files,
// or a quarter if there are few. At least 1.
uint64_t descriptors_for_connections(uint64_t descriptors);

// How many of `descriptors` may be copies in send caches (server/http/send_cache.h): 512, or a
// sixteenth if there are few.
uint64_t descriptors_for_copies(uint64_t descriptors);

}  // namespace ds::server
