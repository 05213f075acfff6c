#include "bench/load/measurement.h"

#include <unistd.h>

#include <cstdio>

#include "bench/load/clock.h"

namespace ds::bench {

Measurement::Measurement(const Options& options, const Endpoint& endpoint) {
  server_ = options.server_pid != 0 ? options.server_pid : find_listener(endpoint.port);
  ProcessUse probe;
  if (server_ == 0 || !read_process_use(server_, probe)) {
    server_ = 0;
    std::fprintf(stderr, "ds-load: the server's process is not in sight: no CPU time or memory\n");
  }
}

void Measurement::begin() {
  read_process_use(::getpid(), own_before_);
  if (server_ != 0) read_process_use(server_, server_before_);
  begun_ = now_ns();
}

void Measurement::end() {
  ended_ = now_ns();
  if (server_ != 0 && !read_process_use(server_, server_after_)) server_after_ = server_before_;
  read_process_use(::getpid(), own_after_);
}

void Measurement::put_into(Result& result) const {
  result.seconds = static_cast<double>(ended_ - begun_) / static_cast<double>(kNsPerSecond);
  result.own_cpu = cpu_between(own_before_, own_after_);
  result.has_server = server_ != 0;
  if (!result.has_server) return;
  result.server_cpu = cpu_between(server_before_, server_after_);
  result.server_rss_before = server_before_.rss_bytes;
  result.server_rss_after = server_after_.rss_bytes;
  result.server_rss_peak = server_after_.rss_peak_bytes;
}

int64_t Measurement::server_rss() const {
  ProcessUse use;
  return server_ != 0 && read_process_use(server_, use) ? use.rss_bytes : 0;
}

void measure_requests(EventLoop& loop, const Endpoint& endpoint, const Options& options,
                      RequestLoop& requests, Workload& workload, Result& result) {
  Measurement measurement(options, endpoint);
  requests.start(workload, options.rate);
  loop.run_until(now_ns() + seconds_to_ns(options.warmup_seconds));

  measurement.begin();
  requests.count_from_now();
  const int64_t end = loop.run_until(now_ns() + seconds_to_ns(options.seconds));
  requests.stop_counting();
  measurement.end();

  const uint64_t overdue = requests.overdue(end);
  requests.stop();
  const bool all = loop.run_until_done([&requests] { return requests.drained(); },
                                       now_ns() + seconds_to_ns(options.drain_seconds));
  if (!all) requests.give_up();

  measurement.put_into(result);
  result.completed = requests.completed();
  result.latency = requests.latency();
  if (options.rate > 0) {
    result.more.emplace_back("offered_per_second", options.rate);
    result.more.emplace_back("overdue_at_end", static_cast<double>(overdue));
  }
}

}  // namespace ds::bench
