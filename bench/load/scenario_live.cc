#include <algorithm>
#include <memory>

#include "bench/load/fail.h"
#include "bench/load/live_readers.h"
#include "bench/load/live_writer.h"
#include "bench/load/measurement.h"
#include "bench/load/prepare.h"
#include "bench/load/round_writer.h"
#include "bench/load/scenario.h"

namespace ds::bench {
namespace {

constexpr uint32_t kSetupConnections = 32;

void make_streams(EventLoop& loop, const Endpoint& endpoint, const Streams& streams,
                  const Options& options) {
  RequestLoop requests(loop, endpoint, std::min(kSetupConnections, streams.count()));
  create_streams(requests, streams, options.drain_seconds);
}

void start_readers(EventLoop& loop, LiveReaders& readers, const Options& options) {
  readers.start(options.readers);
  const bool all = loop.run_until_done([&] { return readers.ready() == options.readers; },
                                       now_ns() + seconds_to_ns(options.drain_seconds));
  if (!all) {
    const std::string& first = readers.deliveries().wrong.first();
    fail("only " + std::to_string(readers.ready()) + " readers got their first answer" +
         (first.empty() ? "" : ": " + first));
  }
}

// Waits for the last deliveries, and counts what never came.
template <typename Writer>
void drain(EventLoop& loop, Writer& writer, LiveReaders& readers, const Streams& streams,
           const Options& options) {
  const int64_t patience = seconds_to_ns(options.drain_seconds);
  if (!loop.run_until_done([&] { return writer.drained(); }, now_ns() + patience)) {
    readers.deliveries().wrong.add(Wrong::kUnanswered, "the writer's last append");
  }
  uint64_t wanted = 0;
  for (uint32_t i = 0; i < options.readers; ++i) {
    wanted += writer.appended(i % streams.count());
  }
  Deliveries& all = readers.deliveries();
  loop.run_until_done([&] { return all.count >= wanted; }, now_ns() + patience);
  for (uint32_t i = 0; i < options.readers; ++i) {
    const uint64_t appended = writer.appended(i % streams.count());
    const uint64_t received = readers.received(i);
    if (received < appended) {
      all.wrong.add(Wrong::kDelivery, "appends that never arrived", appended - received);
    }
  }
}

template <typename Writer>
Result measure_live(const Options& options, EventLoop& loop, const Streams& streams,
                    LiveReaders& readers, Writer& writer, Measurement& measurement) {
  Deliveries& deliveries = readers.deliveries();

  writer.start();
  loop.run_until(now_ns() + seconds_to_ns(options.warmup_seconds));
  measurement.begin();
  writer.count_from_now();
  deliveries.counting = true;
  loop.run_until(now_ns() + seconds_to_ns(options.seconds));
  deliveries.counting = false;
  writer.stop_counting();
  measurement.end();
  writer.stop();
  drain(loop, writer, readers, streams, options);

  Result result;
  result.unit = "delivery";
  result.units = "deliveries";
  measurement.put_into(result);
  result.latency = deliveries.latency;
  result.completed = deliveries.latency.count();
  result.body_bytes = result.completed * options.body_bytes;
  result.wrong = deliveries.wrong;
  result.wrong.add(writer.wrong());
  const Histogram& appends = writer.latency();
  result.more = {
      {"appends_per_second", static_cast<double>(appends.count()) / result.seconds},
      {"append_p50_us", static_cast<double>(appends.at(0.5)) / 1000},
      {"append_p99_us", static_cast<double>(appends.at(0.99)) / 1000},
      {"resumed", static_cast<double>(readers.resumed())},
  };
  return result;
}

Result run_live(const Options& options, EventLoop& loop, const Endpoint& endpoint,
                const Streams& streams, LiveReaders& readers) {
  Measurement measurement(options, endpoint);
  make_streams(loop, endpoint, streams, options);
  start_readers(loop, readers, options);
  if (options.in_flight > 0) {
    RoundWriter writer(loop, endpoint, streams, options, readers.deliveries());
    return measure_live(options, loop, streams, readers, writer, measurement);
  }
  LiveWriter writer(loop, endpoint, streams, options.body_bytes, options.rate, options.readers);
  return measure_live(options, loop, streams, readers, writer, measurement);
}

}  // namespace

Result run_longpoll(const Options& options) {
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(options.url);
  const Streams streams(options, endpoint);
  LongPollReaders readers(loop, endpoint, streams);
  return run_live(options, loop, endpoint, streams, readers);
}

Result run_sse_fanout(const Options& options) {
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(options.url);
  const Streams streams(options, endpoint);
  SseReaders readers(loop, endpoint, streams);
  return run_live(options, loop, endpoint, streams, readers);
}

Result run_idle_sse(const Options& options) {
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(options.url);
  const Streams streams(options, endpoint);
  Measurement measurement(options, endpoint);
  make_streams(loop, endpoint, streams, options);
  const int64_t rss_without = measurement.server_rss();

  SseReaders readers(loop, endpoint, streams);
  start_readers(loop, readers, options);
  loop.run_until(now_ns() + seconds_to_ns(options.warmup_seconds));
  measurement.begin();
  loop.run_until(now_ns() + seconds_to_ns(options.seconds));
  measurement.end();

  Result result;
  result.unit = "delivery";
  result.units = "deliveries";
  measurement.put_into(result);
  result.wrong = readers.deliveries().wrong;
  result.more = {
      {"readers", static_cast<double>(options.readers)},
      {"rss_without_readers_bytes", static_cast<double>(rss_without)},
      {"rss_per_reader_bytes", static_cast<double>(result.server_rss_after - rss_without) /
                                   static_cast<double>(options.readers)},
      {"resumed", static_cast<double>(readers.resumed())},
  };
  return result;
}

}  // namespace ds::bench
