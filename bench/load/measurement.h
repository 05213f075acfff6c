// The measured window: what the server and the generator used in it.
#pragma once

#include <cstdint>

#include "bench/load/endpoint.h"
#include "bench/load/options.h"
#include "bench/load/process_use.h"
#include "bench/load/request_loop.h"
#include "bench/load/result.h"

namespace ds::bench {

class Measurement {
 public:
  // Finds the server's process. Warns when it cannot be looked at; then only that part is missing.
  Measurement(const Options& options, const Endpoint& endpoint);

  void begin();
  void end();
  // Fills in the seconds, the CPU times and the memory. REQUIRES: begin() and end() were called.
  void put_into(Result& result) const;

  // The server's resident memory now; 0 when unknown.
  int64_t server_rss() const;

 private:
  pid_t server_ = 0;
  int64_t begun_ = 0;
  int64_t ended_ = 0;
  ProcessUse server_before_, server_after_, own_before_, own_after_;
};

// Runs warm-up, window and drain of a workload of requests, and fills in everything but the bytes
// and the wrong answers.
void measure_requests(EventLoop& loop, const Endpoint& endpoint, const Options& options,
                      RequestLoop& requests, Workload& workload, Result& result);

}  // namespace ds::bench
