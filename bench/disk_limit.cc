// ds-disk-limit: what this disk allows a log that syncs every commit. It writes groups of records
// (1, 26 and 64 of 100 bytes, and 8 of 1 MiB) to a preallocated, zero-filled file with one pwrite
// and one fdatasync per group, which is the least that any server with group commit can do; a
// server's appends per second are to be read against the line with its average batch. A group that
// is written every 10 ms only tells what a sync takes of a machine that has gone to sleep
// meanwhile.
//
//   ds-disk-limit DIRECTORY [SECONDS_PER_GROUP_SIZE]
//
// Prints one JSON object: {"1x100": {"records_per_second": ..., "sync_p50_us": ..., ...}, ...};
// "1x100 every 10 ms" is the one with pauses.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr off_t kFileBytes = 64 << 20;

struct Group {
  size_t records;
  size_t record_bytes;
  std::chrono::milliseconds pause{0};  // before each
};
constexpr Group kGroups[] = {
    {1, 100}, {1, 100, std::chrono::milliseconds(10)}, {26, 100}, {64, 100}, {8, 1 << 20}};

std::string name_of(const Group& group) {
  std::string name = std::to_string(group.records) + "x" + std::to_string(group.record_bytes);
  if (group.pause.count() > 0) name += " every " + std::to_string(group.pause.count()) + " ms";
  return name;
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "ds-disk-limit: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

// Written, not only allocated: unwritten extents would cost a journal commit with every sync.
int make_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fail(path);
  const std::vector<char> zeros(1 << 20);
  for (off_t at = 0; at < kFileBytes; at += static_cast<off_t>(zeros.size())) {
    if (::pwrite(fd, zeros.data(), zeros.size(), at) != static_cast<ssize_t>(zeros.size())) {
      fail("pwrite");
    }
  }
  if (::fsync(fd) != 0) fail("fsync");
  return fd;
}

struct Outcome {
  double records_per_second;
  double p50_us;
  double p99_us;
};

Outcome measure(int fd, const Group& group, double seconds) {
  const std::vector<char> records(group.records * group.record_bytes, 'x');
  const auto bytes = static_cast<ssize_t>(records.size());
  std::vector<double> sync_us;
  off_t at = 0;
  const Clock::time_point begin = Clock::now();
  Clock::time_point last = begin;
  while (std::chrono::duration<double>(last - begin).count() < seconds) {
    if (group.pause.count() > 0) {
      std::this_thread::sleep_for(group.pause);
      last = Clock::now();
    }
    if (at + bytes > kFileBytes) at = 0;
    if (::pwrite(fd, records.data(), records.size(), at) != bytes) fail("pwrite");
    if (::fdatasync(fd) != 0) fail("fdatasync");
    at += bytes;
    const Clock::time_point now = Clock::now();
    sync_us.push_back(std::chrono::duration<double, std::micro>(now - last).count());
    last = now;
  }
  const double took = std::chrono::duration<double>(last - begin).count();
  std::sort(sync_us.begin(), sync_us.end());
  return {static_cast<double>(sync_us.size() * group.records) / took, sync_us[sync_us.size() / 2],
          sync_us[sync_us.size() * 99 / 100]};
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 2 ? std::atof(argv[2]) : 3;
  if (argc < 2 || argc > 3 || seconds <= 0) {
    std::fprintf(stderr, "usage: ds-disk-limit DIRECTORY [SECONDS_PER_GROUP_SIZE]\n");
    return 2;
  }
  const std::string path = std::string(argv[1]) + "/ds-disk-limit.tmp";
  const int fd = make_file(path);
  ::unlink(path.c_str());  // gone whatever happens
  const char* separator = "{";
  for (const Group& group : kGroups) {
    const Outcome outcome = measure(fd, group, seconds);
    std::printf(
        "%s\"%s\": {\"records_per_second\": %.0f, \"sync_p50_us\": %.1f, \"sync_p99_us\": "
        "%.1f}",
        separator, name_of(group).c_str(), outcome.records_per_second, outcome.p50_us,
        outcome.p99_us);
    separator = ", ";
  }
  std::printf("}\n");
  ::close(fd);
  return 0;
}
