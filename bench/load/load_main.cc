// ds-load: puts load on a Durable Streams server, checks every answer, and says what it cost.
//
// Exit status: 0 when every answer was right, 1 when one was not, 2 when the run could not be made.
#include <sys/resource.h>

#include <csignal>

#include "bench/load/fail.h"
#include "bench/load/scenario.h"

namespace {

// Every connection is a descriptor; the usual soft limit is 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

ds::bench::Result run(const ds::bench::Options& options) {
  if (options.scenario == "append") return ds::bench::run_append(options);
  if (options.scenario == "read") return ds::bench::run_read(options);
  if (options.scenario == "longpoll") return ds::bench::run_longpoll(options);
  if (options.scenario == "sse-fanout") return ds::bench::run_sse_fanout(options);
  if (options.scenario == "idle-sse") return ds::bench::run_idle_sse(options);
  if (options.scenario == "redis-xadd") return ds::bench::run_redis_xadd(options);
  if (options.scenario == "nats-publish") return ds::bench::run_nats_publish(options);
  ds::bench::fail("no such scenario");
}

}  // namespace

int main(int argc, char** argv) {
  const ds::bench::Options options = ds::bench::parse_options(argc, argv);
  raise_descriptor_limit();
  const ds::bench::Result result = run(options);
  ds::bench::print_text(options, result);
  if (!options.json_file.empty()) ds::bench::write_json(options.json_file, options, result);
  return result.wrong.total() == 0 ? 0 : 1;
}
