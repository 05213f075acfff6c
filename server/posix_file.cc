#include "server/posix_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace ds::server {
namespace {

using ports::IoError;
using ports::IoStatus;

IoError from_errno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return IoError::kNoSpace;
    case ENOENT:
      return IoError::kNotFound;
    case EEXIST:
      return IoError::kExists;
    case EROFS:
    case EACCES:
    case EPERM:
      return IoError::kReadOnly;
    default:
      return IoError::kFailed;
  }
}

IoStatus status_of(int result) { return result == 0 ? IoStatus() : IoStatus(from_errno(errno)); }

// Owns a descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

int open_at(int directory, const char* name, int flags, mode_t mode = 0) {
  int fd;
  do {
    fd = ::openat(directory, name, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// Reads up to `size` bytes; fewer only at the end of the file.
Result<uint64_t, IoError> read_fully(int fd, uint64_t position, char* to, uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, to + done, size - done, static_cast<off_t>(position + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return from_errno(errno);
    if (n == 0) break;
    done += static_cast<uint64_t>(n);
  }
  return done;
}

class PosixFile final : public ports::File {
 public:
  explicit PosixFile(Descriptor fd) : fd_(std::move(fd)) {}

  IoStatus write_at(uint64_t position, std::span<const std::string_view> parts) override {
    if (direct_.valid()) {
      uint64_t bytes = 0;
      for (const std::string_view part : parts) bytes += part.size();
      const bool whole_blocks = parts.size() == 1 && position % kBlock == 0 && bytes % kBlock == 0;
      if (whole_blocks) return write_direct(position, parts[0]);
      end_direct();
    }
    return write_cached(position, parts);
  }

  void expect_streaming() override {
    direct_ = open_direct(O_WRONLY);  // not valid on tmpfs and the like
  }

  IoStatus write_behind(uint64_t position, uint64_t bytes) override {
    constexpr unsigned kAll =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int result;
    do {
      result = ::sync_file_range(fd_.get(), static_cast<off_t>(position), static_cast<off_t>(bytes),
                                 kAll);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno == ENOSYS) return {};
    return status_of(result);
  }

  IoStatus sync() override {
    int result;
    do {
      result = ::fdatasync(fd_.get());
    } while (result != 0 && errno == EINTR);
    return status_of(result);
  }

  int descriptor() const override { return fd_.get(); }

  Result<uint64_t, IoError> read_at(uint64_t position, char* to, uint64_t size) const override {
    return read_fully(fd_.get(), position, to, size);
  }

  Result<uint64_t, IoError> read_uncached(uint64_t position, char* to,
                                          uint64_t size) const override {
    const Descriptor direct = open_direct(O_RDONLY);
    if (direct.valid()) {
      Result<uint64_t, IoError> result = read_direct(direct.get(), position, to, size);
      if (result.ok() || errno != EINVAL) return result;
    }
    // No O_DIRECT here (tmpfs and the like): the best there is.
    ::posix_fadvise(fd_.get(), static_cast<off_t>(position), static_cast<off_t>(size),
                    POSIX_FADV_DONTNEED);
    return read_fully(fd_.get(), position, to, size);
  }

  bool take(Hold hold) override {
    const int how = hold == Hold::kAlone ? LOCK_EX : hold == Hold::kShared ? LOCK_SH : LOCK_UN;
    if (::flock(fd_.get(), how | LOCK_NB) == 0) return true;
    return errno != EWOULDBLOCK && hold != Hold::kAlone;
  }

  Result<uint64_t, IoError> size() const override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return from_errno(errno);
    return static_cast<uint64_t>(info.st_size);
  }

  IoStatus truncate(uint64_t size) override {
    return status_of(::ftruncate(fd_.get(), static_cast<off_t>(size)));
  }

  Result<bool, IoError> reserve(uint64_t size) override {
    int result;
    do {
      result = ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return true;
    if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
    return status_of(result).error();
  }

 private:
  static constexpr int kVectorsMax = 256;      // per call; the kernel takes 1024
  static constexpr uint64_t kBlock = 4096;     // alignment that every device accepts
  static constexpr uint64_t kChunk = 1 << 20;  // bytes per direct read or write

  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  using Aligned = std::unique_ptr<char, Free>;
  static Aligned aligned_chunk() {
    return Aligned(static_cast<char*>(std::aligned_alloc(kBlock, kChunk)));
  }

  // Another descriptor of this file.
  Descriptor open_direct(int access) const {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    return Descriptor(open_at(AT_FDCWD, self.c_str(), access | O_DIRECT));
  }

  IoStatus write_cached(uint64_t position, std::span<const std::string_view> parts) {
    iovec vectors[kVectorsMax];
    size_t part = 0;       // the first one not wholly written
    size_t part_done = 0;  // bytes of it that are
    for (;;) {
      int count = 0;
      for (size_t i = part, skip = part_done; i < parts.size() && count < kVectorsMax;
           ++i, skip = 0) {
        if (parts[i].size() == skip) continue;
        vectors[count].iov_base = const_cast<char*>(parts[i].data() + skip);
        vectors[count].iov_len = parts[i].size() - skip;
        ++count;
      }
      if (count == 0) return {};
      const ssize_t n = ::pwritev(fd_.get(), vectors, count, static_cast<off_t>(position));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return from_errno(errno);
      if (n == 0) return IoError::kFailed;
      position += static_cast<uint64_t>(n);
      part_done += static_cast<size_t>(n);
      while (part < parts.size() && part_done >= parts[part].size()) {
        part_done -= parts[part].size();
        ++part;
      }
    }
  }

  // REQUIRES: whole blocks.
  IoStatus write_direct(uint64_t position, std::string_view bytes) {
    if (chunk_ == nullptr) chunk_ = aligned_chunk();
    while (chunk_ != nullptr && !bytes.empty()) {
      const size_t size = std::min<size_t>(bytes.size(), kChunk);
      std::memcpy(chunk_.get(), bytes.data(), size);
      const ssize_t n = ::pwrite(direct_.get(), chunk_.get(), size, static_cast<off_t>(position));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno != EINVAL) return from_errno(errno);
      const size_t written = n < 0 ? 0 : static_cast<size_t>(n);
      bytes.remove_prefix(written);
      position += written;
      if (written == 0 || written % kBlock != 0) break;
    }
    if (bytes.empty()) return {};
    end_direct();
    return write_cached(position, {&bytes, 1});
  }

  void end_direct() {
    direct_ = Descriptor();
    chunk_.reset();
  }

  // On failure errno says why.
  static Result<uint64_t, IoError> read_direct(int fd, uint64_t position, char* to, uint64_t size) {
    const Aligned buffer = aligned_chunk();
    if (buffer == nullptr) {
      errno = ENOMEM;
      return IoError::kFailed;
    }
    uint64_t done = 0;
    while (done < size) {
      const uint64_t at = position + done;
      const uint64_t skip = at % kBlock;
      const ssize_t n = ::pread(fd, buffer.get(), kChunk, static_cast<off_t>(at - skip));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return from_errno(errno);
      if (static_cast<uint64_t>(n) <= skip) break;
      const uint64_t take = std::min(static_cast<uint64_t>(n) - skip, size - done);
      std::memcpy(to + done, buffer.get() + skip, take);
      done += take;
    }
    return done;
  }

  Descriptor fd_;
  Descriptor direct_;  // the same file past the cache, while it is streamed
  Aligned chunk_;      // what is written there
};

enum class Access : uint8_t { kReadWrite, kReadOnly };

class PosixDirectory final : public ports::Directory {
 public:
  explicit PosixDirectory(Descriptor fd, Access access = Access::kReadWrite)
      : fd_(std::move(fd)), read_only_(access == Access::kReadOnly) {}

  Result<std::unique_ptr<ports::File>, IoError> open(const std::string& name, Open how) override {
    if (read_only_ && how == Open::kCreateNew) return IoError::kReadOnly;
    const int flags =
        (read_only_ ? O_RDONLY : O_RDWR) | (how == Open::kCreateNew ? O_CREAT | O_EXCL : 0);
    Descriptor fd(open_at(fd_.get(), name.c_str(), flags, 0600));
    if (!fd.valid()) return from_errno(errno);
    return std::unique_ptr<ports::File>(std::make_unique<PosixFile>(std::move(fd)));
  }

  Result<std::vector<std::string>, IoError> list() override {
    Descriptor fd(open_at(fd_.get(), ".", O_RDONLY | O_DIRECTORY));
    if (!fd.valid()) return from_errno(errno);
    struct Close {
      void operator()(DIR* d) const { ::closedir(d); }
    };
    // fdopendir takes the descriptor over, so hand it a copy that ours does not close.
    const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return from_errno(errno);
    const std::unique_ptr<DIR, Close> stream(::fdopendir(copy));
    if (stream == nullptr) {
      ::close(copy);
      return IoError::kFailed;
    }
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (errno != 0) return from_errno(errno);
    return names;
  }

  IoStatus rename(const std::string& from, const std::string& to) override {
    if (read_only_) return IoError::kReadOnly;
    return status_of(::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()));
  }

  IoStatus remove(const std::string& name) override {
    if (read_only_) return IoError::kReadOnly;
    return status_of(::unlinkat(fd_.get(), name.c_str(), 0));
  }

  IoStatus sync() override {
    int result;
    do {
      result = ::fsync(fd_.get());
    } while (result != 0 && errno == EINTR);
    return status_of(result);
  }

  IoStatus lock(const std::string& name) override {
    if (lock_.valid()) return {};
    const int flags = read_only_ ? O_RDONLY : O_RDWR | O_CREAT;
    Descriptor fd(open_at(fd_.get(), name.c_str(), flags, 0600));
    if (!fd.valid()) return from_errno(errno);
    int result;
    do {
      result = ::flock(fd.get(), LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return errno == EWOULDBLOCK ? IoError::kLocked : from_errno(errno);
    lock_ = std::move(fd);
    return {};
  }

  Result<std::unique_ptr<ports::Directory>, IoError> subdirectory(
      const std::string& name) override {
    if (read_only_) {
      // It is there, or it is not.
    } else if (::mkdirat(fd_.get(), name.c_str(), 0700) == 0) {
      const IoStatus synced = sync();
      if (!synced.ok()) return synced.error();
    } else if (errno != EEXIST) {
      return from_errno(errno);
    }
    Descriptor fd(open_at(fd_.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    if (!fd.valid()) return from_errno(errno);
    return std::unique_ptr<ports::Directory>(std::make_unique<PosixDirectory>(
        std::move(fd), read_only_ ? Access::kReadOnly : Access::kReadWrite));
  }

 private:
  Descriptor fd_;
  const bool read_only_;
  Descriptor lock_;
};

}  // namespace

Result<std::unique_ptr<ports::Directory>, IoError> open_posix_directory(const std::string& path) {
  Descriptor fd(open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY));
  if (fd.valid()) {
    return std::unique_ptr<ports::Directory>(std::make_unique<PosixDirectory>(std::move(fd)));
  }
  if (errno != ENOENT) return from_errno(errno);
  const size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return IoError::kNotFound;
  const std::string trimmed = path.substr(0, last + 1);
  const size_t slash = trimmed.rfind('/');
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : trimmed.substr(0, slash);
  auto above = open_posix_directory(parent);
  if (!above.ok()) return above;
  return above.value()->subdirectory(slash == std::string::npos ? trimmed
                                                                : trimmed.substr(slash + 1));
}

Result<std::unique_ptr<ports::Directory>, IoError> open_posix_directory_read_only(
    const std::string& path) {
  Descriptor fd(open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY));
  if (!fd.valid()) return from_errno(errno);
  return std::unique_ptr<ports::Directory>(
      std::make_unique<PosixDirectory>(std::move(fd), Access::kReadOnly));
}

Result<std::unique_ptr<ports::File>, IoError> open_posix_file(const std::string& path) {
  // Not blocking: a pipe would wait for its other end.
  Descriptor fd(open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return from_errno(errno);
  if (!S_ISREG(info.st_mode)) return IoError::kFailed;
  return std::unique_ptr<ports::File>(std::make_unique<PosixFile>(std::move(fd)));
}

}  // namespace ds::server
