// What a stream object can be told by its configuration (docs/cloudflare.md).
#pragma once

#include <cstdint>

#include "core/base/hash.h"
#include "core/base/types.h"

namespace ds::worker {

struct Options {
  HashKey seed;  // random; keeps tables and request ids of objects apart
  Duration long_poll_timeout = seconds(30);
  uint64_t max_chunk_bytes = 1 << 20;
  uint64_t body_bytes_max = 16 << 20;
  // A checkpoint is written after so many ops or bytes: what waking has to replay at most.
  uint32_t checkpoint_ops = 256;
  uint64_t checkpoint_bytes = 2 << 20;
  // Writes are refused from here on: nine tenths of the 10 GB that an object may store.
  uint64_t storage_bytes_max = 9000000000;
  // What is older than so much history goes to R2, if there is a bucket; 0: there is none.
  uint64_t seal_bytes = 0;
  uint32_t seal_ops = 4096;
  // When a fork's source asks whether the fork has come to be, and how often calls are tried again.
  Duration audit_after = seconds(60);
  Duration retry_after = seconds(10);
  // SSE: both are the edge's business, so the object is not woken for them.
  Duration sse_lifetime = seconds(int64_t{86400} * 3650);
};

}  // namespace ds::worker
