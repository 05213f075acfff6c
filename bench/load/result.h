// What one run found out, and how it is told.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/load/histogram.h"
#include "bench/load/options.h"
#include "bench/load/process_use.h"
#include "bench/load/wrong_answers.h"

namespace ds::bench {

struct Result {
  // What is counted: "append", "read", "delivery"; and more than one of it.
  std::string unit;
  std::string units;
  double seconds = 0;
  uint64_t completed = 0;
  uint64_t body_bytes = 0;  // sent for appends, received otherwise
  Histogram latency;        // nanoseconds
  WrongAnswers wrong;

  bool has_server = false;  // the next four are known
  CpuTime server_cpu;
  int64_t server_rss_before = 0;
  int64_t server_rss_after = 0;
  int64_t server_rss_peak = 0;
  CpuTime own_cpu;  // the generator's

  // Further numbers, by name, in this order.
  std::vector<std::pair<std::string, double>> more;
};

void print_text(const Options& options, const Result& result);
// Ends the program when the file cannot be written.
void write_json(const std::string& path, const Options& options, const Result& result);

}  // namespace ds::bench
