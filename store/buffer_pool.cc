#include "store/buffer_pool.h"

#include <utility>

namespace ds::store {

std::string BufferPool::take() {
  const std::lock_guard lock(mutex_);
  if (kept_.empty()) return {};
  std::string bytes = std::move(kept_.back());
  kept_.pop_back();
  kept_bytes_ -= bytes.capacity();
  return bytes;
}

SharedBytes BufferPool::share(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  return {owned, [pool = weak_from_this()](std::string* done) {
            if (const auto alive = pool.lock()) alive->give_back(std::move(*done));
            delete done;
          }};
}

uint64_t BufferPool::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

void BufferPool::give_back(std::string bytes) {
  if (bytes.capacity() > kBufferBytesMax) return;
  const std::lock_guard lock(mutex_);
  if (kept_bytes_ + bytes.capacity() > kKeptBytesMax) return;
  kept_bytes_ += bytes.capacity();
  kept_.push_back(std::move(bytes));
}

}  // namespace ds::store
