#include "server/http/send_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "server/memory_budget.h"

namespace ds::server {

namespace {

constexpr uint64_t kPage = 4096;

constexpr uint64_t whole_pages(uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

bool write_fully(int descriptor, uint64_t offset, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(descriptor, bytes.data() + done, bytes.size() - done,
                               static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

SendCache::Memory::~Memory() { ::close(descriptor); }

SendCache::Place::Place(std::shared_ptr<Memory> in, uint64_t at, uint64_t bytes)
    : memory(std::move(in)), offset(at), size(bytes) {
  memory->end = at + bytes;
  memory->bytes += bytes;
}

SendCache::Place::~Place() {
  // What clients have not received yet keeps its pages.
  ::fallocate(memory->descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(offset), static_cast<off_t>(size));
  memory->bytes -= size;
}

FileTwinPtr SendCache::copy_of(const SharedBytes& body) {
  const uint64_t size = body == nullptr ? 0 : body->size();
  if (budget_bytes_ == 0 || failed_ || size < kBodyBytesMin || size > kBodyBytesMax) return nullptr;
  // What was read for one answer is not sent again.
  if (is_charged(body)) return nullptr;
  const auto found = bodies_.find(body.get());
  if (found == bodies_.end() || found->second.body.expired()) {
    if (found == bodies_.end() && bodies_.size() >= kBodiesMax) {
      sweep();
      if (bodies_.size() >= kBodiesMax) return nullptr;
    }
    bodies_[body.get()] = Entry{body, nullptr};
    return nullptr;
  }
  if (found->second.copy == nullptr) found->second.copy = copy(*body);
  return found->second.copy;
}

FileTwinPtr SendCache::copy(const std::string& body) {
  const uint64_t size = whole_pages(body.size());
  if (bytes() + size > budget_bytes_) {
    sweep();
    if (bytes() + size > budget_bytes_) return nullptr;
  }
  if (memory_ == nullptr) {
    const int descriptor = ::memfd_create("ds-send-cache", MFD_CLOEXEC);
    if (descriptor < 0) {
      failed_ = true;
      return nullptr;
    }
    memory_ = std::make_shared<Memory>(descriptor);
  }
  auto twin = std::make_shared<FileTwin>();
  twin->descriptor = memory_->descriptor;
  twin->offset = memory_->end;
  const auto place = std::make_shared<const Place>(memory_, memory_->end, size);
  if (!write_fully(twin->descriptor, twin->offset, body)) return nullptr;
  twin->file = place;
  return twin;
}

void SendCache::sweep() {
  std::erase_if(bodies_, [](const auto& entry) { return entry.second.body.expired(); });
}

}  // namespace ds::server
