#include "server/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace ds::server {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

constexpr std::string_view kDropNames[kDropReasonCount] = {
    "head_timeout",         "body_timeout", "idle_timeout",  "write_timeout", "bad_request",
    "too_many_connections", "body_memory",  "answer_memory", "client_gone"};

class Families {
 public:
  MetricFamily& add(const char* name, const char* help, MetricType type) {
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    all_.push_back(std::move(family));
    return all_.back();
  }
  void counter(const char* name, const char* help, uint64_t value) {
    append(add(name, help, MetricType::Counter), {}, value);
  }
  void gauge(const char* name, const char* help, uint64_t value) {
    append(add(name, help, MetricType::Gauge), {}, value);
  }
  static void append(MetricFamily& family, std::vector<ClientMetric::Label> labels,
                     uint64_t value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    // A family has one type: the other number is not written out.
    metric.counter.value = metric.gauge.value = static_cast<double>(value);
    family.metric.push_back(std::move(metric));
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(all_); }

 private:
  std::vector<MetricFamily> all_;
};

uint64_t sum(const MetricsInput& input, Counter LoopCounters::*member) {
  uint64_t total = 0;
  for (const LoopCounters* loop : input.loops) total += (loop->*member).get();
  return total;
}

void add_requests(Families& families, const MetricsInput& input) {
  MetricFamily& family =
      families.add("ds_http_requests_total", "Requests answered, by route, method and status.",
                   MetricType::Counter);
  for (size_t route = 0; route < kRouteCount; ++route) {
    for (size_t method = 0; method < kCountedMethods.size(); ++method) {
      for (size_t status = 0; status < kCountedStatuses.size(); ++status) {
        uint64_t total = 0;
        for (const LoopCounters* loop : input.loops) {
          total += loop->requests[route][method][status].get();
        }
        if (total == 0) continue;
        Families::append(family,
                         {{"route", std::string(route_name(static_cast<Route>(route)))},
                          {"method", std::string(kCountedMethods[method])},
                          {"status", std::to_string(kCountedStatuses[status])}},
                         total);
      }
    }
  }
}

void add_drops(Families& families, const MetricsInput& input) {
  MetricFamily& family = families.add(
      "ds_drops_total", "Connections and requests given up, by reason.", MetricType::Counter);
  for (size_t reason = 0; reason < kDropReasonCount; ++reason) {
    uint64_t total = 0;
    for (const LoopCounters* loop : input.loops) total += loop->dropped[reason].get();
    Families::append(family, {{"reason", std::string(kDropNames[reason])}}, total);
  }
  Families::append(family, {{"reason", "reader_lagging"}},
                   sum(input, &LoopCounters::lagging_readers));
  Families::append(family, {{"reason", "load_refused"}}, sum(input, &LoopCounters::loads_refused));
}

void add_engines(Families& families, const MetricsInput& input) {
  families.gauge("ds_streams", "Streams, in memory or not.", input.streams);
  families.gauge("ds_streams_in_memory", "Streams held in memory.",
                 sum(input, &LoopCounters::streams));
  families.gauge("ds_engine_memory_bytes",
                 "Memory of streams, index, tail cache and kept bodies, estimated.",
                 sum(input, &LoopCounters::memory_bytes));
  families.counter("ds_finds_total", "Streams looked up in the catalog.",
                   sum(input, &LoopCounters::finds));
  families.counter("ds_evictions_total", "Streams that left the memory.",
                   sum(input, &LoopCounters::evictions));
  MetricFamily& parked = families.add(
      "ds_parked_readers", "Live readers that wait for data, by mode.", MetricType::Gauge);
  Families::append(parked, {{"mode", "long_poll"}}, sum(input, &LoopCounters::parked_long_polls));
  Families::append(parked, {{"mode", "sse"}}, sum(input, &LoopCounters::sse_readers));
  families.gauge("ds_pending_ops", "Ops decided and not yet durable.",
                 sum(input, &LoopCounters::pending_ops));
  families.gauge("ds_tail_cache_bytes",
                 "Bytes of recent ops, and of answers made of them, kept in memory.",
                 sum(input, &LoopCounters::cache_bytes));
  families.counter("ds_tail_cache_hits_total", "Reads served from memory.",
                   sum(input, &LoopCounters::cache_hits));
  families.counter("ds_tail_cache_misses_total", "Reads that needed the disk.",
                   sum(input, &LoopCounters::cache_misses));
  families.counter("ds_expired_streams_total", "Streams that have expired.",
                   sum(input, &LoopCounters::expired_streams));
}

void add_commits(Families& families, const MetricsInput& input) {
  if (input.committer == nullptr) return;
  const store::Committer::Stats stats = input.committer->stats();
  families.counter("ds_commits_total", "Group commits made durable.", stats.commits);
  families.counter("ds_commits_in_place_total", "Those that an event loop made by itself.",
                   stats.in_place);
  families.counter("ds_commit_batches_total", "Batches in them.", stats.batches);
  families.counter("ds_commit_ops_total", "Ops in them; by commits: the batch size.", stats.ops);
  families.counter("ds_commit_bytes_total", "Bytes of records in them.", stats.bytes);
  families.counter("ds_commit_failures_total", "Commits that failed at first.", stats.failures);
  MetricFamily& latency =
      families.add("ds_commit_latency_seconds", "From the write of a commit until it is durable.",
                   MetricType::Histogram);
  ClientMetric metric;
  uint64_t cumulative = 0;
  for (uint32_t i = 0; i < store::Committer::Stats::kBuckets; ++i) {
    cumulative += stats.latency[i];
    const uint64_t bound_us = store::Committer::Stats::kBucketUs[i];
    ClientMetric::Bucket bucket;
    bucket.cumulative_count = cumulative;
    bucket.upper_bound = bound_us == UINT64_MAX ? std::numeric_limits<double>::infinity()
                                                : static_cast<double>(bound_us) / 1e6;
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = static_cast<double>(stats.latency_sum_us) / 1e6;
  latency.metric.push_back(std::move(metric));
}

void add_log(Families& families, const MetricsInput& input) {
  if (input.log == nullptr) return;
  const store::OpLog::Stats stats = input.log->stats();
  families.gauge("ds_log_bytes", "Bytes of the op log in use.", stats.bytes);
  families.gauge("ds_log_generations", "Generations of the op log.", stats.generations);
  families.gauge("ds_log_healthy", "1 if the op log takes writes.", input.log_healthy ? 1 : 0);
}

void add_ballast(Families& families, const MetricsInput& input) {
  if (input.ballast == nullptr) return;
  const Ballast::Stats stats = input.ballast->stats();
  families.gauge("ds_disk_free_bytes", "Bytes that are free on the data directory's disk.",
                 stats.free_bytes);
  families.gauge("ds_disk_full", "1 while appends and creations are refused: the disk is full.",
                 stats.full ? 1 : 0);
  families.gauge("ds_ballast_bytes", "Bytes of the ballast, 0 while it is given up.", stats.bytes);
  families.counter("ds_ballast_releases_total", "How often the ballast was given up.",
                   stats.releases);
}

void add_segments(Families& families, const MetricsInput& input) {
  if (input.sealer == nullptr) return;
  const store::Sealer::Stats stats = input.sealer->stats();
  families.gauge("ds_segments", "Segments.", stats.segments);
  families.gauge("ds_segment_bytes", "Bytes of their files.", stats.segment_bytes);
  families.gauge("ds_segment_live_bytes", "Bytes of messages in them that are still needed.",
                 stats.live_bytes);
  families.counter("ds_sealed_generations_total", "Generations of the op log that were sealed.",
                   stats.generations);
  families.counter("ds_segment_written_bytes_total", "Bytes written to segments.",
                   stats.bytes_written);
  families.counter("ds_segment_merges_total", "Merges and rewrites of segments.", stats.merges);
  families.gauge("ds_catalog_bytes", "Bytes of the catalog's files.", input.catalog_bytes);
}

}  // namespace

void LoopCounters::count_request(Route route, std::string_view method, uint16_t status) {
  size_t m = 0;
  while (m + 1 < kCountedMethods.size() && kCountedMethods[m] != method) ++m;
  size_t s = 0;
  while (s + 1 < kCountedStatuses.size() && kCountedStatuses[s] != status) ++s;
  requests[static_cast<size_t>(route)][m][s].add();
}

void LoopCounters::publish(const engine::Engine::Stats& stats) {
  streams.set(stats.streams);
  parked_long_polls.set(stats.parked_long_polls);
  sse_readers.set(stats.sse_readers);
  pending_ops.set(stats.pending_ops);
  cache_bytes.set(stats.cache_bytes);
  cache_hits.set(stats.cache_hits);
  cache_misses.set(stats.cache_misses);
  expired_streams.set(stats.expired_streams);
  lagging_readers.set(stats.lagging_readers);
  finds.set(stats.finds);
  evictions.set(stats.evictions);
  memory_bytes.set(stats.memory_bytes);
}

std::string render_metrics(const MetricsInput& input) {
  Families families;
  add_requests(families, input);
  const uint64_t opened = sum(input, &LoopCounters::connections_opened);
  families.counter("ds_connections_opened_total", "Connections accepted.", opened);
  families.gauge("ds_connections", "Connections that are open.",
                 opened - sum(input, &LoopCounters::connections_closed));
  families.counter("ds_http_answered_bytes_total", "Bytes of answered bodies, without SSE.",
                   sum(input, &LoopCounters::answered_bytes));
  families.counter("ds_sse_frames_total", "SSE frames handed to readers.",
                   sum(input, &LoopCounters::sse_frames));
  families.gauge("ds_send_cache_bytes",
                 "Memory of copies of large bodies, from which the system sends. Not in RSS.",
                 sum(input, &LoopCounters::send_cache_bytes));
  families.gauge("ds_body_memory_bytes", "Memory of requests, until they are answered.",
                 input.body_memory_bytes);
  families.gauge("ds_answer_memory_bytes",
                 "Memory of answers that clients have not taken yet, and of disk reads for them.",
                 input.answer_memory_bytes);
  add_drops(families, input);
  add_engines(families, input);
  add_commits(families, input);
  add_log(families, input);
  add_ballast(families, input);
  add_segments(families, input);
  return families.text();
}

}  // namespace ds::server
