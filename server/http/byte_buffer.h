// A growing run of bytes for request bodies. Unlike std::string it does not zero what it is about
// to receive, and large ones grow without being copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace ds::server {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ~ByteBuffer() { std::free(data_); }
  ByteBuffer(ByteBuffer&& other) noexcept { swap(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    ByteBuffer(std::move(other)).swap(*this);
    return *this;
  }

  std::string_view view() const { return {data_, size_}; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }

  // Makes room for `bytes` in total.
  void reserve(size_t bytes) {
    if (bytes <= capacity_) return;
    void* grown = std::realloc(data_, bytes);
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(grown);
    capacity_ = bytes;
  }
  // Where to write next, at most capacity() - size() bytes; then tell how many with added().
  char* end() { return data_ + size_; }
  void added(size_t bytes) { size_ += bytes; }

  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (size_ + bytes.size() > capacity_) {
      const size_t doubled = capacity_ * 2;
      reserve(doubled > size_ + bytes.size() ? doubled : size_ + bytes.size());
    }
    std::memcpy(end(), bytes.data(), bytes.size());
    added(bytes.size());
  }

  void clear() { ByteBuffer().swap(*this); }

 private:
  void swap(ByteBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace ds::server
