// What a process has used: CPU time in user and system mode, and memory. The server's is read from
// /proc, so the server must run on the same machine.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace ds::bench {

struct ProcessUse {
  int64_t cpu_ns = 0;  // user and system together, of all threads, ended ones included; exact
  // The same time as the kernel splits it, in ticks of 10 ms. Without precise accounting the kernel
  // samples the mode 250 times or so a second, so the split needs seconds to be worth reading.
  int64_t user_ticks = 0;
  int64_t system_ticks = 0;
  int64_t rss_bytes = 0;
  int64_t rss_peak_bytes = 0;
};

// False when there is no such process, or it may not be looked at.
bool read_process_use(pid_t pid, ProcessUse& use);

struct CpuTime {
  double user_ns = 0;
  double system_ns = 0;
  double total_ns() const { return user_ns + system_ns; }
};
// The exact time between two samples, split as the ticks between them are.
CpuTime cpu_between(const ProcessUse& before, const ProcessUse& after);

// The process of this machine that listens on a TCP port; 0 when there is none or it may not be
// looked at.
pid_t find_listener(uint16_t port);

}  // namespace ds::bench
