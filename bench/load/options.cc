#include "bench/load/options.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>

#include "bench/load/delivery.h"
#include "bench/load/fail.h"
#include "bench/load/streams.h"

namespace ds::bench {
namespace {

void add_common(CLI::App& app, Options& o) {
  app.add_option("--url", o.url, "The server, as http://host:port")->capture_default_str();
  app.add_option("--base", o.base, "Path under which streams are made")->capture_default_str();
  app.add_option("--read-base", o.read_base, "Path of live readers, where it is another");
  app.add_flag("--plain", o.plain, "The server speaks HTTP, but not the protocol: fewer checks");
  app.add_option("--run", o.run, "First part of every stream's name (default: a new one)");
  app.add_option("--content-type", o.content_type, "Content type of the streams");
  app.add_option("--warmup", o.warmup_seconds, "Seconds of load before measuring")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--seconds", o.seconds, "Seconds to measure")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 86400.0));
  app.add_option("--drain", o.drain_seconds, "Seconds to wait for what is under way at the end")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--server-pid", o.server_pid,
                 "Process whose CPU time and memory are measured (default: the listener on the "
                 "URL's port)");
  app.add_option("--json", o.json_file, "Also write the result to this file, as JSON");
}

void add_streams(CLI::App* sub, Options& o) {
  sub->add_option("--streams", o.streams, "Number of streams")
      ->capture_default_str()
      ->check(CLI::Range(1u, kStreamsMax));
}

void add_connections(CLI::App* sub, Options& o) {
  sub->add_option("-c,--connections", o.connections, "Number of connections")
      ->capture_default_str()
      ->check(CLI::Range(1u, 60000u));
}

void add_rate(CLI::App* sub, Options& o, const char* what) {
  sub->add_option("--rate", o.rate, what)->capture_default_str()->check(CLI::Range(0.0, 1e7));
}

void add_body(CLI::App* sub, Options& o) {
  sub->add_option("--body-bytes", o.body_bytes, "Bytes of one append")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, uint64_t{64} << 20));
}

void add_readers(CLI::App* sub, Options& o) {
  sub->add_option("-r,--readers", o.readers, "Number of live readers")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1'000'000u));
}

void add_scenarios(CLI::App& app, Options& o) {
  const char* const open_loop =
      "Requests per second, sent when due whatever is still unanswered (0: closed loop)";
  const char* const pace = "Appends per second (0: the next when the last is answered)";

  CLI::App* append = app.add_subcommand("append", "POST bodies to streams");
  add_streams(append, o);
  add_connections(append, o);
  add_body(append, o);
  add_rate(append, o, open_loop);
  append->add_option("--batch", o.batch, "JSON: a body is an array of so many strings")
      ->capture_default_str()
      ->check(CLI::Range(1u, 100'000u));
  append->add_flag("--producers", o.producers, "Every connection is an idempotent producer");
  append->add_flag("--existing", o.existing,
                   "The streams are there, from an earlier run of the same --run");
  append->add_flag("--verify", o.verify, "Read everything back at the end and compare its length");

  CLI::App* read = app.add_subcommand("read", "Catch-up reads of whole streams");
  add_streams(read, o);
  add_connections(read, o);
  add_rate(read, o, open_loop);
  read->add_option("--stream-bytes", o.stream_bytes, "Bytes in each stream")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
  read->add_option("--body-bytes", o.body_bytes, "Bytes of the appends that fill them")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, uint64_t{64} << 20));
  read->add_option("--path-offset", o.path_offset,
                   "Where reads begin: the first request's offset (empty: none in the URL)")
      ->capture_default_str();
  read->add_flag("--existing", o.existing,
                 "The streams are there, from an earlier run of the same --run");

  CLI::App* longpoll = app.add_subcommand("longpoll", "Long-polling readers and one writer");
  CLI::App* fanout = app.add_subcommand("sse-fanout", "SSE readers and one writer");
  for (CLI::App* live : {longpoll, fanout}) {
    add_streams(live, o);
    add_readers(live, o);
    add_body(live, o);
    add_rate(live, o, pace);
  }

  fanout
      ->add_option("--in-flight", o.in_flight,
                   "So many appends at once, and the next when all readers have all of them")
      ->check(CLI::Range(1u, kInFlightMax));

  CLI::App* redis = app.add_subcommand("redis-xadd", "XADD to keys of a Redis server");
  CLI::App* nats = app.add_subcommand("nats-publish", "Acknowledged publishing to NATS JetStream");
  for (CLI::App* other : {redis, nats}) {
    add_streams(other, o);
    add_connections(other, o);
    add_body(other, o);
  }

  CLI::App* idle = app.add_subcommand("idle-sse", "Memory of SSE readers that wait for nothing");
  add_streams(idle, o);
  add_readers(idle, o);
}

std::string new_run() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return "r" + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

void complete(Options& o) {
  const bool live =
      o.scenario == "longpoll" || o.scenario == "sse-fanout" || o.scenario == "idle-sse";
  if (o.run.empty()) o.run = new_run();
  // Text goes through SSE as it is; anything else would be measured with its base64.
  if (o.content_type.empty()) o.content_type = live ? "text/plain" : "application/octet-stream";
  if (o.base.empty() || o.base.front() != '/') fail("--base must begin with /");
  if (o.read_base.empty()) o.read_base = o.base;
  while (o.base.back() == '/') o.base.pop_back();
  const bool json = o.content_type.substr(0, 16) == "application/json";
  if (json && (live || o.scenario == "read" || o.verify)) {
    fail("JSON streams only with append, and without --verify: reads return them re-framed");
  }
  if (o.existing && (o.verify || o.producers)) {
    fail("--verify and --producers need streams of their own: not --existing");
  }
  if (o.batch > 1 && !json) fail("--batch is for --content-type application/json");
  if (o.in_flight > 0 && (o.rate > 0 || o.streams > 1)) {
    fail("--in-flight goes with one stream and without --rate");
  }
  if (json && o.body_bytes < 2) fail("--body-bytes must be at least 2 for JSON");
  const bool writes_marks = o.scenario == "longpoll" || o.scenario == "sse-fanout";
  if (writes_marks && o.body_bytes < kMarkBytes) {
    fail("--body-bytes must be at least " + std::to_string(kMarkBytes) + " here");
  }
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options o;
  CLI::App app("ds-load: load on a Durable Streams server, and what it costs there");
  app.require_subcommand(1);
  app.fallthrough();
  add_common(app, o);
  add_scenarios(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    std::exit(code == 0 ? 0 : 2);
  }
  o.scenario = app.get_subcommands().front()->get_name();
  complete(o);
  return o;
}

}  // namespace ds::bench
