// What happens before and after the measured part: streams are made, filled, and read back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/load/request_loop.h"
#include "bench/load/streams.h"

namespace ds::bench {

// Creates all streams (a plain server has none to create). Ends the program if a single one fails:
// nothing after it would mean a thing.
void create_streams(RequestLoop& requests, const Streams& streams, double patience_seconds);

// Appends `stream_bytes` to every stream, in bodies of `body_bytes` (the last may be shorter). Ends
// the program if a single append fails.
void fill_streams(RequestLoop& requests, const Streams& streams, uint64_t stream_bytes,
                  uint64_t body_bytes, uint32_t connections, double patience_seconds);

// One response of a catch-up read: the request, and the length of its body.
struct Chunk {
  std::string request;
  uint64_t bytes;
};

// Reads every stream from `first_offset` (empty: no offset in the URL) to its tail. Element s holds
// stream s. Wrong answers are counted in requests.wrong().
std::vector<std::vector<Chunk>> read_streams(RequestLoop& requests, const Streams& streams,
                                             const std::string& first_offset, uint32_t connections,
                                             double patience_seconds);

}  // namespace ds::bench
