// What /metrics shows. Hot paths add to plain counters of their own loop; all else happens when
// somebody asks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "core/engine/engine.h"
#include "server/ballast.h"
#include "server/http/connection_host.h"
#include "store/committer.h"
#include "store/op_log.h"
#include "store/sealer.h"

namespace ds::server {

// Written by one thread, read by any.
class Counter {
 public:
  void add(uint64_t n = 1) { set(get() + n); }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

inline constexpr std::array<uint16_t, 24> kCountedStatuses = {
    200, 201, 204, 304, 400, 403, 404, 405, 408, 409, 410, 411,
    412, 413, 414, 417, 429, 431, 500, 501, 503, 505, 507, 0};
inline constexpr std::array<std::string_view, 7> kCountedMethods = {
    "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "other"};

// The counters of one loop.
struct LoopCounters {
  Counter requests[kRouteCount][kCountedMethods.size()][kCountedStatuses.size()];
  Counter dropped[kDropReasonCount];
  Counter connections_opened;
  Counter connections_closed;
  Counter answered_bytes;
  Counter sse_frames;     // handed to connections
  Counter loads_refused;  // for want of room in the queue of disk reads
  Counter send_cache_bytes;
  // The engine's numbers, as of the last publish().
  Counter streams, parked_long_polls, sse_readers, pending_ops, cache_bytes, cache_hits,
      cache_misses, expired_streams, lagging_readers, finds, evictions, memory_bytes;

  void count_request(Route route, std::string_view method, uint16_t status);
  void publish(const engine::Engine::Stats& stats);
};

struct MetricsInput {
  std::span<const LoopCounters* const> loops;
  const store::Committer* committer = nullptr;  // none with memory durability
  const store::OpLog* log = nullptr;
  const store::Sealer* sealer = nullptr;
  const Ballast* ballast = nullptr;
  uint64_t streams = 0;  // in memory or not
  uint64_t catalog_bytes = 0;
  bool log_healthy = true;
  uint64_t body_memory_bytes = 0;
  uint64_t answer_memory_bytes = 0;
};

// The Prometheus text format.
std::string render_metrics(const MetricsInput& input);

}  // namespace ds::server
