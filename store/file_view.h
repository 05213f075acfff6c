// Reads a file front to back through one large buffer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "ports/file.h"

namespace ds::store {

class FileView {
 public:
  static constexpr uint64_t kStepBytes = 2 << 20;

  FileView(const ports::File& file, uint64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}

  uint64_t file_bytes() const { return file_bytes_; }

  // The bytes [at, at + size), or what there is of them before the end of the file. Valid until the
  // next call.
  Result<std::string_view, ports::IoError> bytes(uint64_t at, uint64_t size) {
    size = at < file_bytes_ ? std::min(size, file_bytes_ - at) : 0;
    if (at < begin_ || at + size > begin_ + buffer_.size()) {
      buffer_.resize(std::min(std::max(size, kStepBytes), file_bytes_ - std::min(at, file_bytes_)));
      begin_ = at;
      const auto got = file_.read_at(at, buffer_.data(), buffer_.size());
      if (!got.ok()) {
        buffer_.clear();
        return got.error();
      }
      buffer_.resize(got.value());
    }
    return std::string_view(buffer_).substr(at - begin_, size);
  }

 private:
  const ports::File& file_;
  uint64_t file_bytes_;
  std::string buffer_;
  uint64_t begin_ = 0;
};

}  // namespace ds::store
