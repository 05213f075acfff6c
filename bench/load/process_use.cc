#include "bench/load/process_use.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "bench/load/clock.h"

namespace ds::bench {
namespace {

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A line such as "VmRSS:     1234 kB" of /proc/<pid>/status, in bytes; 0 when it is not there.
int64_t status_bytes(const std::string& status, const char* key) {
  const size_t at = status.find(key);
  if (at == std::string::npos) return 0;
  return std::strtoll(status.c_str() + at + std::strlen(key), nullptr, 10) * 1024;
}

// The inode of the socket that listens on the port, from one of /proc/net/tcp*; 0 when not there.
uint64_t listening_inode(const char* table, uint16_t port) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // the column names
  while (std::getline(file, line)) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    std::istringstream columns(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout;
    uint64_t inode = 0;
    columns >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
        timeout >> inode;
    constexpr const char* kListen = "0A";
    const size_t colon = local.find(':');
    if (state != kListen || colon == std::string::npos) continue;
    if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) return inode;
  }
  return 0;
}

// Calls `visit(name)` for the entries of a directory until it returns true.
template <typename Visit>
bool any_entry(const std::string& path, Visit visit) {
  DIR* const directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  bool found = false;
  while (const dirent* entry = ::readdir(directory)) {
    if ((found = visit(std::string(entry->d_name)))) break;
  }
  ::closedir(directory);
  return found;
}

bool holds_socket(const std::string& fds, uint64_t inode) {
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  return any_entry(fds, [&](const std::string& fd) {
    char target[64];
    const ssize_t size = ::readlink((fds + "/" + fd).c_str(), target, sizeof target);
    return size > 0 && wanted == std::string(target, static_cast<size_t>(size));
  });
}

}  // namespace

bool read_process_use(pid_t pid, ProcessUse& use) {
  const std::string directory = "/proc/" + std::to_string(pid);
  const std::string stat = read_all(directory + "/stat");
  // The second field is the name in brackets and may hold anything: count from behind it.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return false;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  fields >> use.user_ticks >> use.system_ticks;

  // schedstat would have to be summed over the threads and loses those that have ended; the
  // process's own clock is the same nanoseconds for all of them.
  clockid_t clock{};
  timespec t{};
  if (::clock_getcpuclockid(pid, &clock) == 0 && ::clock_gettime(clock, &t) == 0) {
    use.cpu_ns = static_cast<int64_t>(t.tv_sec) * kNsPerSecond + t.tv_nsec;
  } else {
    use.cpu_ns = (use.user_ticks + use.system_ticks) * (kNsPerSecond / ::sysconf(_SC_CLK_TCK));
  }

  const std::string status = read_all(directory + "/status");
  use.rss_bytes = status_bytes(status, "VmRSS:");
  use.rss_peak_bytes = status_bytes(status, "VmHWM:");
  return true;
}

CpuTime cpu_between(const ProcessUse& before, const ProcessUse& after) {
  const auto total = static_cast<double>(after.cpu_ns - before.cpu_ns);
  const auto user = static_cast<double>(after.user_ticks - before.user_ticks);
  const auto system = static_cast<double>(after.system_ticks - before.system_ticks);
  const double share = user + system > 0 ? user / (user + system) : 0;
  return {total * share, total * (1 - share)};
}

pid_t find_listener(uint16_t port) {
  uint64_t inode = listening_inode("/proc/net/tcp", port);
  if (inode == 0) inode = listening_inode("/proc/net/tcp6", port);
  if (inode == 0) return 0;
  pid_t pid = 0;
  any_entry("/proc", [&](const std::string& name) {
    pid_t candidate = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), candidate);
    if (error != std::errc() || end != name.data() + name.size()) return false;
    if (!holds_socket("/proc/" + name + "/fd", inode)) return false;
    pid = candidate;
    return true;
  });
  return pid;
}

}  // namespace ds::bench
