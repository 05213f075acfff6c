#include "server/http/send_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "server/memory_budget.h"

namespace ds::server {

namespace {

constexpr uint64_t kPage = 4096;

constexpr uint64_t whole_pages(uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

bool write_fully(int descriptor, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pwrite(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

SendCache::File::~File() { ::close(descriptor); }

FileTwinPtr SendCache::copy_of(const SharedBytes& body, Instant now) {
  const uint64_t size = body == nullptr ? 0 : body->size();
  if (budget_bytes_ == 0 || size < kTwinBytesMin || size > kBodyBytesMax) return nullptr;
  // What was read for one answer is not sent again.
  if (is_charged(body)) return nullptr;
  auto found = bodies_.find(body.get());
  if (found != bodies_.end() && found->second.body.expired()) {
    // Another body, where that one was.
    drop_copy(found->second);
    bodies_.erase(found);
    found = bodies_.end();
  }
  if (found == bodies_.end()) {
    if (bodies_.size() < kBodiesMax) bodies_.try_emplace(body.get(), body, now);
    return nullptr;
  }
  Entry& entry = found->second;
  entry.sent = now;
  if (entry.copy == nullptr && now >= next_copy_) copy(entry, *body, now);
  return entry.copy;
}

void SendCache::copy(Entry& entry, const std::string& body, Instant now) {
  const uint64_t size = whole_pages(body.size());
  if (!find_room(size, now)) {
    next_copy_ = now + kSweep;
    return;
  }
  next_copy_ = now + kRetry;  // unless all goes well
  const int descriptor = ::memfd_create("ds-send-cache", MFD_CLOEXEC);
  if (descriptor < 0) return;
  const auto file = std::make_shared<const File>(descriptor);
  if (!write_fully(descriptor, body)) return;
  next_copy_ = now;
  auto twin = std::make_shared<FileTwin>();
  twin->file = file;
  twin->descriptor = descriptor;
  entry.file = file;
  entry.bytes = size;
  entry.copy = std::move(twin);
  bytes_ += size;
  ++files_;
}

bool SendCache::find_room(uint64_t bytes, Instant now) {
  while (bytes_ + bytes > budget_bytes_ || files_ >= files_max_) {
    Entry* oldest = nullptr;
    for (auto& [address, entry] : bodies_) {
      if (entry.copy == nullptr) continue;
      if (oldest == nullptr || entry.sent < oldest->sent) oldest = &entry;
    }
    if (oldest == nullptr || oldest->sent + kIdle > now) return false;
    drop_copy(*oldest);
  }
  return true;
}

void SendCache::drop_copy(Entry& entry) {
  if (entry.copy == nullptr) return;
  bytes_ -= entry.bytes;
  --files_;
  entry.copy.reset();
  entry.file.reset();
}

void SendCache::on_time(Instant now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweep;
  for (auto at = bodies_.begin(); at != bodies_.end();) {
    Entry& entry = at->second;
    const bool once = entry.copy == nullptr && entry.sent + kIdle <= now;
    if (!once && !entry.body.expired()) {
      ++at;
      continue;
    }
    drop_copy(entry);
    at = bodies_.erase(at);
  }
}

}  // namespace ds::server
