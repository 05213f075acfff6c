// Runs simulated histories: ds_sim --seeds A..B [--jobs N] | --seed N [--keep STEPS] [--verbose]
//
// A failing seed is printed, cut down to the steps that it needs, and told in words. The last line
// is `N passed, N failed`.
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/relaxed_world.h"
#include "tests/sim/violation.h"
#include "tests/sim/world.h"

namespace ds::sim {
namespace {

constexpr time_t kCpuSecondsMax = 30;  // for one seed: it has got stuck
constexpr int kCutsMax = 400;

// Shared between processes.
struct Progress {
  volatile uint64_t seed = 0;
  volatile uint64_t runs = 0;
  volatile uint64_t failed = 0;
  volatile uint64_t failures[64] = {};
  volatile uint64_t requests = 0;
  volatile uint64_t crashes = 0;
  volatile uint64_t starts = 0;
  volatile uint64_t starts_from_snapshots = 0;
  volatile int64_t virtual_us = 0;
  volatile uint64_t fingerprint = 0;
};

using Steps = std::vector<uint32_t>;

Steps all_steps() {
  Steps steps;
  for (uint32_t i = 0; i < World::kSteps; ++i) steps.push_back(i);
  return steps;
}

bool relaxed = false;  // which world it is

// Ends the process with SIGPROF if one seed takes more: of the processor's time, so that a run that
// is stopped for a while, or gets no turn, is not taken for one that is stuck.
void begin_time_limit() {
  const itimerval limit{{0, 0}, {kCpuSecondsMax, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

template <typename AnyWorld>
std::string run_in(uint64_t seed, const Steps& steps, bool verbose, Progress* progress) {
  begin_time_limit();
  try {
    AnyWorld world(seed, verbose);
    for (const uint32_t step : steps) world.step(step);
    world.finish();
    if (progress != nullptr) {
      progress->requests = progress->requests + world.requests();
      progress->crashes = progress->crashes + world.crashes();
      progress->starts = progress->starts + world.starts();
      progress->starts_from_snapshots =
          progress->starts_from_snapshots + world.starts_from_snapshots();
      progress->virtual_us = progress->virtual_us + (world.now() - world.began()).us;
      progress->fingerprint = progress->fingerprint * 31 + world.fingerprint();
    }
    return "";
  } catch (const std::exception& broken) {
    return broken.what();
  }
}

// What was broken, or "".
std::string run(uint64_t seed, const Steps& steps, bool verbose, Progress* progress) {
  return relaxed ? run_in<RelaxedWorld>(seed, steps, verbose, progress)
                 : run_in<World>(seed, steps, verbose, progress);
}

// Whether a run fails, in a process of its own: it may be a crash.
bool fails(uint64_t seed, const Steps& steps) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
    _exit(run(seed, steps, false, nullptr).empty() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status != 0;
}

// Leaves out what can be left out: pieces of half the length, a quarter, and so on.
Steps cut_down(uint64_t seed, Steps steps) {
  int cuts = kCutsMax;
  for (size_t piece = steps.size() / 2; piece > 0 && cuts > 0;) {
    bool shorter = false;
    for (size_t at = 0; at < steps.size() && cuts > 0; --cuts) {
      Steps fewer(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(at));
      if (at + piece < steps.size()) {
        fewer.insert(fewer.end(), steps.begin() + static_cast<std::ptrdiff_t>(at + piece),
                     steps.end());
      }
      if (fails(seed, fewer)) {
        steps = std::move(fewer);
        shorter = true;
      } else {
        at += piece;
      }
    }
    if (!shorter || piece > 1) piece /= 2;
  }
  return steps;
}

std::string text_of(const Steps& steps) {
  std::string text;
  for (size_t i = 0; i < steps.size(); ++i) {
    size_t last = i;
    while (last + 1 < steps.size() && steps[last + 1] == steps[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(steps[i]);
    if (last > i) text += "-" + std::to_string(steps[last]);
    i = last;
  }
  return text.empty() ? "none" : text;
}

Steps parse_steps(std::string_view text) {
  Steps steps;
  const std::string copy(text);
  const char* at = copy.c_str();
  while (*at >= '0' && *at <= '9') {
    char* end = nullptr;
    const auto first = static_cast<uint32_t>(std::strtoul(at, &end, 10));
    auto last = first;
    if (*end == '-') last = static_cast<uint32_t>(std::strtoul(end + 1, &end, 10));
    for (uint32_t i = first; i <= last; ++i) steps.push_back(i);
    at = *end == ',' ? end + 1 : end;
  }
  return steps;
}

// The whole story of a seed. True if it passes.
bool replay(uint64_t seed, const Steps& steps, bool verbose) {
  const std::string broken = run(seed, steps, verbose, nullptr);
  if (broken.empty()) {
    std::printf("seed %lu: all promises kept\n", seed);
  } else {
    std::printf("seed %lu: BROKEN: %s\n", seed, broken.c_str());
  }
  std::fflush(stdout);
  return broken.empty();
}

void explain(uint64_t seed) {
  std::printf("seed %lu fails; cutting it down\n", seed);
  std::fflush(stdout);
  const Steps steps = cut_down(seed, all_steps());
  const char* mode = relaxed ? " --relaxed" : "";
  std::printf("replay: tests/sim/run%s --seed %lu\n", mode, seed);
  std::printf("short:  tests/sim/run%s --seed %lu --keep %s --verbose\n", mode, seed,
              text_of(steps).c_str());
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    replay(seed, steps, true);
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
}

// Every job-th seed, in a process of its own that is replaced if it dies.
void work(uint64_t first, uint64_t last, uint64_t jobs, Progress& progress, uint64_t failures_max) {
  for (uint64_t seed = first; seed <= last && progress.failed < failures_max; seed += jobs) {
    progress.seed = seed;
    const std::string broken = run(seed, all_steps(), false, &progress);
    progress.runs = progress.runs + 1;
    if (broken.empty()) continue;
    std::printf("seed %lu: BROKEN: %s\n", seed, broken.c_str());
    std::fflush(stdout);
    if (progress.failed < 64) progress.failures[progress.failed] = seed;
    progress.failed = progress.failed + 1;
  }
}

int run_all(uint64_t first, uint64_t last, uint64_t jobs, uint64_t failures_max, bool explains) {
  const auto began = std::chrono::steady_clock::now();
  auto* shared = static_cast<Progress*>(mmap(
      nullptr, sizeof(Progress) * jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED) return 2;
  std::vector<pid_t> children(jobs);
  const auto begin_job = [&](uint64_t job, uint64_t from) {
    children[job] = fork();
    if (children[job] != 0) return;
    work(from, last, jobs, shared[job], failures_max);
    std::fflush(stdout);
    _exit(0);
  };
  for (uint64_t job = 0; job < jobs; ++job) begin_job(job, first + job);
  for (uint64_t job = 0; job < jobs; ++job) {
    for (;;) {
      int status = 0;
      waitpid(children[job], &status, 0);
      if (status == 0) break;
      Progress& progress = shared[job];
      std::printf("seed %lu: BROKEN: ended by signal %d\n", progress.seed, WTERMSIG(status));
      std::fflush(stdout);
      if (progress.failed < 64) progress.failures[progress.failed] = progress.seed;
      progress.failed = progress.failed + 1;
      progress.runs = progress.runs + 1;
      if (progress.failed >= failures_max) break;
      begin_job(job, progress.seed + jobs);
    }
  }
  Progress total;
  std::optional<uint64_t> failure;
  for (uint64_t job = 0; job < jobs; ++job) {
    total.runs = total.runs + shared[job].runs;
    total.failed = total.failed + shared[job].failed;
    total.requests = total.requests + shared[job].requests;
    total.crashes = total.crashes + shared[job].crashes;
    total.starts = total.starts + shared[job].starts;
    total.starts_from_snapshots = total.starts_from_snapshots + shared[job].starts_from_snapshots;
    total.virtual_us = total.virtual_us + shared[job].virtual_us;
    total.fingerprint = total.fingerprint ^ shared[job].fingerprint;
    if (shared[job].failed == 0) continue;
    const uint64_t one = shared[job].failures[0];
    if (!failure || one < *failure) failure = one;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (failure && explains) explain(*failure);
  if (failure) std::printf("first failing seed: %lu\n", *failure);
  std::printf(
      "%lu seeds in %.1f s: %.1f seeds/s, %lu requests, %lu crashes, %lu starts (%lu from "
      "snapshots), %.1f virtual hours, fingerprint %016lx\n",
      total.runs, took.count(), static_cast<double>(total.runs) / took.count(), total.requests,
      total.crashes, total.starts, total.starts_from_snapshots,
      static_cast<double>(total.virtual_us) / 3.6e9, total.fingerprint);
  std::printf("%lu passed, %lu failed\n", total.runs - total.failed, total.failed);
  return total.failed == 0 ? 0 : 1;
}

int usage() {
  std::fprintf(stderr,
               "usage: ds_sim --seeds A..B [--jobs N] [--failures N] [--no-story]\n"
               "       ds_sim --seed N [--keep STEPS] [--verbose]\n"
               "       --relaxed: a server with relaxed durability\n");
  return 2;
}

int run_main(int argc, char** argv) {
  uint64_t first = 1;
  uint64_t last = 100;
  uint64_t jobs = 2;
  uint64_t failures_max = 3;
  bool explains = true;
  bool verbose = false;
  std::optional<uint64_t> one;
  Steps steps = all_steps();
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--verbose") {
      verbose = true;
      continue;
    }
    if (flag == "--relaxed") {
      relaxed = true;
      continue;
    }
    if (flag == "--no-story") {
      explains = false;
      continue;
    }
    ++i;
    if (flag == "--seeds") {
      char* end = nullptr;
      first = std::strtoull(value, &end, 10);
      if (std::string_view(end).substr(0, 2) != "..") return usage();
      last = std::strtoull(end + 2, nullptr, 10);
    } else if (flag == "--seed") {
      one = std::strtoull(value, nullptr, 10);
    } else if (flag == "--jobs") {
      jobs = std::strtoull(value, nullptr, 10);
    } else if (flag == "--failures") {
      failures_max = std::strtoull(value, nullptr, 10);
    } else if (flag == "--keep") {
      steps = parse_steps(value);
    } else {
      return usage();
    }
  }
  if (one) return replay(*one, steps, verbose) ? 0 : 1;
  if (jobs == 0 || last < first) return usage();
  return run_all(first, last, jobs, failures_max, explains);
}

}  // namespace
}  // namespace ds::sim

int main(int argc, char** argv) { return ds::sim::run_main(argc, argv); }
