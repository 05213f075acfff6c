#include "server/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "server/log.h"
#include "server/thread.h"

namespace ds::server {

namespace {

constexpr std::chrono::seconds kLookInterval{1};
constexpr uint64_t kBlockBytes = 512;  // of st_blocks
constexpr uint64_t kWriteBytes = 1 << 20;
// The catalog cannot be opened without some room.
constexpr uint64_t kStartBytes = 4 << 20;

// Bytes that no file system makes smaller.
void fill_with_noise(std::vector<char>& bytes, uint64_t seed) {
  uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& byte : bytes) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    byte = static_cast<char>(x >> 32);
  }
}

bool write_noise(int fd, uint64_t size) {
  std::vector<char> bytes(kWriteBytes);
  for (uint64_t at = 0; at < size;) {
    fill_with_noise(bytes, at / kWriteBytes + 1);
    const uint64_t wanted = std::min<uint64_t>(bytes.size(), size - at);
    const ssize_t n = ::pwrite(fd, bytes.data(), wanted, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<uint64_t>(n);
  }
  return ::fsync(fd) == 0;
}

bool take_space(int fd, uint64_t size) {
  int result;
  do {
    result = ::fallocate(fd, 0, 0, static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return true;
  const bool unknown = errno == EOPNOTSUPP || errno == ENOSYS;
  return unknown && write_noise(fd, size);
}

}  // namespace

Ballast::Ballast(const Options& options)
    : options_(options), path_(options.data_dir + "/" + kBallastName) {}

Ballast::~Ballast() { stop(); }

void Ballast::prepare() {
  const std::lock_guard lock(mutex_);
  if (options_.bytes == 0) {
    (void)::unlink(path_.c_str());
    return;
  }
  if (in_place()) {
    if (free_bytes() < kStartBytes) give_up();
  } else {
    (void)::unlink(path_.c_str());
    full_ = free_bytes() < options_.bytes + options_.generation_bytes || !make();
  }
  if (!full_) return;
  log_event(LogLevel::kWarn,
            "the disk has no room for the ballast: appends and creations are refused until it has",
            {{"ballast_bytes", options_.bytes}, {"free_bytes", free_bytes()}});
}

void Ballast::start(std::function<void(bool full)> on_change) {
  on_change_ = std::move(on_change);
  if (options_.bytes == 0) return;
  thread_ = start_thread([this] { run(); });
}

void Ballast::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Ballast::make_room() {
  if (options_.bytes == 0) return false;
  // It may be on its way back, which takes a while: whoever has no room need not wait for that.
  if (full()) return true;
  {
    const std::lock_guard lock(mutex_);
    if (full()) return true;
    if (on_change_) on_change_(true);
    give_up();
  }
  log_event(LogLevel::kError,
            "the disk is full: the ballast is given up, appends and creations are refused",
            {{"ballast_bytes", options_.bytes}});
  return true;
}

uint64_t Ballast::spare_bytes() const {
  if (options_.bytes == 0) return UINT64_MAX;
  // What the sealing of a generation takes, and the next one unless it is kept small.
  const uint64_t kept = options_.generation_bytes * (full() ? 1 : kBallastGenerations);
  const uint64_t available = free_bytes();
  return available - std::min(available, kept);
}

Ballast::Stats Ballast::stats() const {
  Stats stats;
  stats.full = full();
  stats.bytes = stats.full ? 0 : options_.bytes;
  stats.releases = releases_.load(std::memory_order_relaxed);
  stats.free_bytes = free_bytes();
  return stats;
}

void Ballast::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, kLookInterval, [this] { return stopped_; });
    if (stopped_) return;
    if (!full() || free_bytes() / 2 < options_.bytes || !make()) continue;
    full_.store(false, std::memory_order_release);
    if (on_change_) on_change_(false);
    log_event(LogLevel::kInfo, "the disk has room again, and the ballast is back");
  }
}

bool Ballast::make() {
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool made = fd >= 0 && take_space(fd, options_.bytes);
  if (fd >= 0) ::close(fd);
  if (!made) (void)::unlink(path_.c_str());
  return made;
}

void Ballast::give_up() {
  // The space is free once nobody has the file: nobody has.
  (void)::unlink(path_.c_str());
  releases_.fetch_add(1, std::memory_order_relaxed);
  full_.store(true, std::memory_order_release);
}

bool Ballast::in_place() const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  return static_cast<uint64_t>(info.st_size) == options_.bytes &&
         static_cast<uint64_t>(info.st_blocks) * kBlockBytes >= options_.bytes;
}

uint64_t Ballast::free_bytes() const {
  struct statvfs info {};
  if (::statvfs(options_.data_dir.c_str(), &info) != 0) return 0;
  return uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace ds::server
