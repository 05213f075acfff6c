// Preloaded into the real server by tests/faults/shim.ts: counts the calls that change or read the
// files below a directory, and at chosen ones kills the process or fails; moves the wall clock; and
// refuses threads and memory.
// The server itself knows nothing of it, and what is hurt is the binary that ships.
//
//   FAULT_SHIM_DIR      the data directory: calls for other files are let be
//   FAULT_SHIM_CONTROL  a file of at least sizeof(Control) bytes, mapped, so that the test can
//                       read the count and change its mind while the server runs
//   FAULT_SHIM_TRACE    optional: a line per counted call is appended to this file
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// tests/faults/shim.ts knows the same numbers.
enum Call : uint64_t {
  kWrite = 1 << 0,
  kSync = 1 << 1,
  kRename = 1 << 2,
  kUnlink = 1 << 3,
  kCreate = 1 << 4,
  kResize = 1 << 5,
  kMkdir = 1 << 6,
  kRead = 1 << 7,
  kOpen = 1 << 8,
};
enum Place : uint64_t {
  kLog = 1 << 0,
  kSegments = 1 << 1,
  kCatalog = 1 << 2,
  kOther = 1 << 3,
};
enum Deed : uint64_t {
  kNothing = 0,
  kKill = 1,        // instead of the call
  kKillHalf = 2,    // after half of the bytes, if it writes any; otherwise after it
  kFail = 3,        // with `error`
  kHalf = 4,        // half of the bytes, and no error
  kEveryOther = 5,  // of the calls: kFail
};

struct Control {
  std::atomic<uint64_t> calls;   // that are of `kinds` and `places`, so far
  std::atomic<uint64_t> kinds;   // of Call
  std::atomic<uint64_t> places;  // of Place
  std::atomic<uint64_t> deed;    // done at the calls numbered [from, until), from 1 on
  std::atomic<uint64_t> from;
  std::atomic<uint64_t> until;
  std::atomic<int64_t> error;
  std::atomic<int64_t> clock_ns;          // added to the wall clock
  std::atomic<uint64_t> threads;          // begun so far
  std::atomic<uint64_t> threads_from;     // from this one on they are refused; 0: none
  std::atomic<uint64_t> allocations;      // of at least `allocation_bytes`, so far
  std::atomic<uint64_t> allocation_from;  // this one, and the next few, are refused; 0: none
  std::atomic<uint64_t> allocation_bytes;
};

constexpr uint64_t kAllocationsRefused = 8;

struct State {
  Control* control = nullptr;
  char directory[PATH_MAX] = "";
  size_t directory_size = 0;
  int trace = -1;
};

template <typename F>
F* next(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

State& state() {
  static State state = [] {
    State made;
    const char* directory = getenv("FAULT_SHIM_DIR");
    const char* control = getenv("FAULT_SHIM_CONTROL");
    const char* trace = getenv("FAULT_SHIM_TRACE");
    if (directory == nullptr || control == nullptr) return made;
    const long fd = syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) abort();
    void* mapped =
        mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
    if (mapped == MAP_FAILED) abort();
    made.control = static_cast<Control*>(mapped);
    snprintf(made.directory, sizeof made.directory, "%s", directory);
    made.directory_size = strlen(made.directory);
    if (trace != nullptr) {
      made.trace = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    }
    return made;
  }();
  return state;
}

// The part of the path behind the data directory, or null.
const char* inside(const char* path) {
  const State& s = state();
  if (s.control == nullptr || strncmp(path, s.directory, s.directory_size) != 0) return nullptr;
  const char* rest = path + s.directory_size;
  if (*rest == '\0') return rest;
  return *rest == '/' ? rest + 1 : nullptr;
}

Place place_of(const char* name) {
  if (strncmp(name, "log", 3) == 0) return kLog;
  if (strncmp(name, "segments", 8) == 0) return kSegments;
  if (strncmp(name, "catalog.db", 10) == 0) return kCatalog;
  return kOther;
}

bool path_of(int fd, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, PATH_MAX - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return true;
}

void trace_call(uint64_t number, const char* what, const char* name) {
  if (state().trace < 0) return;
  char line[PATH_MAX + 64];
  const int size = snprintf(line, sizeof line, "%llu %s %s\n",
                            static_cast<unsigned long long>(number), what, name);
  if (size > 0) syscall(SYS_write, state().trace, line, static_cast<size_t>(size));
}

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// What is to happen at this call. Sets errno for kFail.
Deed count(Call call, const char* what, const char* path) {
  const char* name = inside(path);
  if (name == nullptr) return kNothing;
  Control& control = *state().control;
  if ((control.kinds & call) == 0 || (control.places & place_of(name)) == 0) return kNothing;
  const uint64_t number = control.calls.fetch_add(1) + 1;
  trace_call(number, what, name);
  if (number < control.from || number >= control.until) return kNothing;
  auto deed = static_cast<Deed>(control.deed.load());
  if (deed == kKill) die();
  if (deed == kEveryOther) deed = number % 2 == 0 ? kNothing : kFail;
  if (deed == kFail) errno = static_cast<int>(control.error.load());
  return deed;
}

Deed count_fd(Call call, const char* what, int fd) {
  char path[PATH_MAX];
  if (state().control == nullptr || !path_of(fd, path)) return kNothing;
  return count(call, what, path);
}

Deed count_at(Call call, const char* what, int directory, const char* name) {
  if (state().control == nullptr) return kNothing;
  if (*name == '/') return count(call, what, name);
  char path[PATH_MAX];
  if (directory == AT_FDCWD) {
    if (getcwd(path, PATH_MAX) == nullptr) return kNothing;
  } else if (!path_of(directory, path)) {
    return kNothing;
  }
  char whole[2 * PATH_MAX];
  snprintf(whole, sizeof whole, "%s/%s", path, name);
  return count(call, what, whole);
}

// A call without bytes: done or not done as a whole.
template <typename Real>
int plain(Deed deed, const Real& real) {
  if (deed == kFail) return -1;
  const int result = real();
  if (deed == kKillHalf) die();
  return result;
}

// `real` transfers at most so many bytes.
template <typename Real>
ssize_t transfer(Deed deed, size_t size, const Real& real) {
  if (deed == kFail) return -1;
  if (deed == kHalf) return real((size + 1) / 2);
  if (deed != kKillHalf) return real(size);
  real(size / 2);
  die();
}

template <typename Open>
int open_with(const char* what, int directory, const char* name, int flags, mode_t mode,
              const Open& open) {
  const bool creates = (flags & O_CREAT) != 0;
  const Deed deed = count_at(creates ? kCreate : kOpen, what, directory, name);
  return plain(deed, [&] { return open(directory, name, flags, mode); });
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

int system_open(int directory, const char* name, int flags, mode_t mode) {
  return static_cast<int>(syscall(SYS_openat, directory, name, flags, mode));
}

bool allocation_refused(size_t size) {
  Control* control = state().control;
  if (control == nullptr || size < control->allocation_bytes) return false;
  const uint64_t from = control->allocation_from;
  const uint64_t number = control->allocations.fetch_add(1) + 1;
  return from != 0 && number >= from && number < from + kAllocationsRefused;
}

}  // namespace

extern "C" {

void* __libc_malloc(size_t size);

void* malloc(size_t size) {
  if (!allocation_refused(size)) return __libc_malloc(size);
  errno = ENOMEM;
  return nullptr;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) noexcept {
  static auto* real =
      next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  if (Control* control = state().control) {
    const uint64_t number = control->threads.fetch_add(1) + 1;
    if (control->threads_from != 0 && number >= control->threads_from) return EAGAIN;
  }
  return real(thread, attributes, run, argument);
}

#define DS_OPEN(symbol)                                                 \
  int symbol(const char* name, int flags, ...) {                        \
    va_list arguments;                                                  \
    va_start(arguments, flags);                                         \
    const mode_t mode = mode_of(flags, arguments);                      \
    va_end(arguments);                                                  \
    return open_with("open", AT_FDCWD, name, flags, mode, system_open); \
  }
#define DS_OPENAT(symbol)                                                \
  int symbol(int directory, const char* name, int flags, ...) {          \
    va_list arguments;                                                   \
    va_start(arguments, flags);                                          \
    const mode_t mode = mode_of(flags, arguments);                       \
    va_end(arguments);                                                   \
    return open_with("open", directory, name, flags, mode, system_open); \
  }
DS_OPEN(open)
DS_OPEN(open64)
DS_OPENAT(openat)
DS_OPENAT(openat64)

ssize_t write(int fd, const void* bytes, size_t size) {
  return transfer(count_fd(kWrite, "write", fd), size,
                  [&](size_t n) { return static_cast<ssize_t>(syscall(SYS_write, fd, bytes, n)); });
}

#define DS_PWRITE(symbol)                                                   \
  ssize_t symbol(int fd, const void* bytes, size_t size, off_t at) {        \
    return transfer(count_fd(kWrite, "write", fd), size, [&](size_t n) {    \
      return static_cast<ssize_t>(syscall(SYS_pwrite64, fd, bytes, n, at)); \
    });                                                                     \
  }
DS_PWRITE(pwrite)
DS_PWRITE(pwrite64)

#define DS_PREAD(symbol)                                                   \
  ssize_t symbol(int fd, void* bytes, size_t size, off_t at) {             \
    return transfer(count_fd(kRead, "read", fd), size, [&](size_t n) {     \
      return static_cast<ssize_t>(syscall(SYS_pread64, fd, bytes, n, at)); \
    });                                                                    \
  }
DS_PREAD(pread)
DS_PREAD(pread64)

ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  static auto* real = next<ssize_t(int, const iovec*, int, off_t)>("pwritev");
  const Deed deed = count_fd(kWrite, "write", fd);
  if (deed == kFail) return -1;
  if (deed != kHalf && deed != kKillHalf) return real(fd, parts, count, at);
  size_t left = 0;
  for (int i = 0; i < count; ++i) left += parts[i].iov_len;
  left = (left + 1) / 2;
  ssize_t done = 0;
  for (int i = 0; i < count && left > 0; ++i) {
    const size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
    const long n = syscall(SYS_pwrite64, fd, parts[i].iov_base, size, at + done);
    if (n < 0) return done > 0 ? done : -1;
    done += n;
    left -= size;
  }
  if (deed == kHalf) return done;
  die();
}

int fsync(int fd) {
  return plain(count_fd(kSync, "sync", fd),
               [&] { return static_cast<int>(syscall(SYS_fsync, fd)); });
}

int fdatasync(int fd) {
  return plain(count_fd(kSync, "sync", fd),
               [&] { return static_cast<int>(syscall(SYS_fdatasync, fd)); });
}

int sync_file_range(int fd, off64_t from, off64_t bytes, unsigned flags) {
  return plain(count_fd(kSync, "sync", fd), [&] {
    return static_cast<int>(syscall(SYS_sync_file_range, fd, from, bytes, flags));
  });
}

int rename(const char* from, const char* to) {
  return plain(count_at(kRename, "rename", AT_FDCWD, to), [&] {
    return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
  });
}

int renameat(int from_directory, const char* from, int directory, const char* to) noexcept {
  return plain(count_at(kRename, "rename", directory, to), [&] {
    return static_cast<int>(syscall(SYS_renameat2, from_directory, from, directory, to, 0));
  });
}

int unlink(const char* name) noexcept {
  return plain(count_at(kUnlink, "unlink", AT_FDCWD, name),
               [&] { return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, name, 0)); });
}

int unlinkat(int directory, const char* name, int flags) noexcept {
  return plain(count_at(kUnlink, "unlink", directory, name),
               [&] { return static_cast<int>(syscall(SYS_unlinkat, directory, name, flags)); });
}

#define DS_FTRUNCATE(symbol)                                                          \
  int symbol(int fd, off_t size) noexcept {                                           \
    return plain(count_fd(kResize, "truncate", fd),                                   \
                 [&] { return static_cast<int>(syscall(SYS_ftruncate, fd, size)); }); \
  }
DS_FTRUNCATE(ftruncate)
DS_FTRUNCATE(ftruncate64)

#define DS_FALLOCATE(symbol)                                                                    \
  int symbol(int fd, int mode, off_t at, off_t size) {                                          \
    return plain(count_fd(kResize, "fallocate", fd),                                            \
                 [&] { return static_cast<int>(syscall(SYS_fallocate, fd, mode, at, size)); }); \
  }
DS_FALLOCATE(fallocate)
DS_FALLOCATE(fallocate64)

int mkdirat(int directory, const char* name, mode_t mode) noexcept {
  return plain(count_at(kMkdir, "mkdir", directory, name),
               [&] { return static_cast<int>(syscall(SYS_mkdirat, directory, name, mode)); });
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static auto* real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (result != 0 || clock != CLOCK_REALTIME || state().control == nullptr) return result;
  constexpr int64_t kSecond = 1000000000;
  const int64_t ns = state().control->clock_ns.load(std::memory_order_relaxed);
  int64_t nanoseconds = time->tv_nsec + ns % kSecond;
  time->tv_sec += ns / kSecond;
  if (nanoseconds < 0) {
    nanoseconds += kSecond;
    --time->tv_sec;
  } else if (nanoseconds >= kSecond) {
    nanoseconds -= kSecond;
    ++time->tv_sec;
  }
  time->tv_nsec = nanoseconds;
  return 0;
}

}  // extern "C"
