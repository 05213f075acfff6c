// ports::Directory and ports::File over POSIX.
//
// Everything is opened close-on-exec. Files are made with mode 0600, directories with 0700. The
// lock is flock(): the kernel drops it with the process, however that ends.
#pragma once

#include <memory>
#include <string>

#include "core/base/result.h"
#include "ports/file.h"

namespace ds::server {

// The directory at `path`, made with its parents (durably) if it is missing.
Result<std::unique_ptr<ports::Directory>, ports::IoError> open_posix_directory(
    const std::string& path);

// The directory at `path`, which must be there, for reading only: nothing is made, and whatever
// would change something fails with kReadOnly. It can be locked if it has been locked before.
Result<std::unique_ptr<ports::Directory>, ports::IoError> open_posix_directory_read_only(
    const std::string& path);

// The file at `path`, for reading only. kFailed if it is a directory, a device or the like.
Result<std::unique_ptr<ports::File>, ports::IoError> open_posix_file(const std::string& path);

}  // namespace ds::server
