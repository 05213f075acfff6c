// The engine's limits. Every one is a server option of the same name
// (docs/configuration.md), if nothing else is said.
#pragma once

#include <cstdint>

#include "core/base/types.h"
#include "core/engine/stream_quota.h"

namespace ds::engine {

// Lives are handed out by engine: at most this many engines share a data directory.
inline constexpr uint32_t kEnginesMax = 64;

struct EngineConfig {
  // A read's answer ends at the first message end at or after the next multiple of this.
  uint64_t max_chunk_bytes = 1 << 20;
  // Bytes of recent batches kept for readers, and, up to a quarter, of bodies that were put
  // together of many messages. Older bytes are read back from the log.
  uint64_t tail_cache_bytes = 64 << 20;
  // What is put together of at least so many messages is kept for the next reader; with fewer,
  // looking for it costs as much. (No server option: tests lower it.)
  uint32_t kept_messages_min = 8;
  // Whether streams are sealed: those that are not in memory may be in the catalog.
  bool has_catalog = false;
  // Streams that are wholly sealed leave the memory when nobody has used them for this long, or
  // sooner if more than `memory_bytes` are in use.
  Duration evict_after = seconds(10);
  uint64_t memory_bytes = 1 << 30;
  // Whether bytes can be read back at all; without it (memory durability) the batches have no
  // bound.
  bool can_load = true;
  Duration long_poll_timeout = seconds(30);
  // SSE responses end after this long, plus or minus a tenth.
  Duration sse_lifetime = seconds(60);
  Duration sse_heartbeat = seconds(15);
  // Cache-Control of full chunks whose URL names a life.
  uint32_t cache_max_age_seconds = 60;
  uint32_t cache_stale_seconds = 300;
  // Cache-Control of full chunks whose URL names none ("-1", absent, zero).
  uint32_t cache_start_max_age_seconds = 5;
  // Live readers (long-poll and SSE) at one engine; more get 503.
  uint32_t live_readers_max = 1000000;
  // Reads waiting for the disk at one engine; more get 503.
  uint32_t pending_loads_max = 1024;
  // Requests, at one engine, that wait for their stream to be looked up; more get 503.
  uint32_t pending_finds_max = 65536;
  // How many streams there may be; none: any number. Outlives the engine.
  StreamQuota* quota = nullptr;
};

}  // namespace ds::engine
