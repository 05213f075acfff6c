#include "server/http/send_cache.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "server/memory_budget.h"

namespace ds::server {

namespace {

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
  if (size < kTwinBytesMin || size > std::min(kBodyBytesMax, budget_bytes_)) return nullptr;
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
  if (entry.copy == nullptr && now >= std::max(next_copy_, entry.next_try)) copy(entry, *body, now);
  return entry.copy;
}

void SendCache::copy(Entry& entry, const std::string& body, Instant now) {
  entry.next_try = now + kSweep;
  if (!find_room(body.size(), now)) return;
  next_copy_ = now + kRetry;  // unless all goes well
  const int descriptor = ::memfd_create("ds-send-cache", MFD_CLOEXEC);
  if (descriptor < 0) return;
  const auto file = std::make_shared<const File>(descriptor);
  struct stat taken {};
  if (!write_fully(descriptor, body) || ::fstat(descriptor, &taken) != 0) return;
  next_copy_ = now;
  // Whole pages, which may be huge ones.
  const auto bytes = static_cast<uint64_t>(taken.st_blocks) * 512;
  if (!find_room(bytes, now)) return;
  auto twin = std::make_shared<FileTwin>();
  twin->file = file;
  twin->descriptor = descriptor;
  entry.file = file;
  entry.bytes = bytes;
  entry.copy = std::move(twin);
  bytes_ += bytes;
  ++files_;
}

bool SendCache::fits(uint64_t bytes, uint64_t idle_bytes, uint64_t idle_files) const {
  return bytes_ - idle_bytes + bytes <= budget_bytes_ && files_ - idle_files < files_max_;
}

// Drops idle copies, those sent longest ago first, but none if that is not enough.
bool SendCache::find_room(uint64_t bytes, Instant now) {
  if (fits(bytes)) return true;
  std::vector<Entry*> idle;
  uint64_t idle_bytes = 0;
  for (auto& [address, entry] : bodies_) {
    if (entry.copy == nullptr || entry.sent + kIdle > now) continue;
    idle.push_back(&entry);
    idle_bytes += entry.bytes;
  }
  if (!fits(bytes, idle_bytes, idle.size())) return false;
  std::sort(idle.begin(), idle.end(),
            [](const Entry* a, const Entry* b) { return a->sent < b->sent; });
  for (size_t i = 0; !fits(bytes); ++i) drop_copy(*idle[i]);
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
    const Duration kept = entry.copy == nullptr ? kIdle : kKept;
    if (entry.sent + kept > now && !entry.body.expired()) {
      ++at;
      continue;
    }
    drop_copy(entry);
    at = bodies_.erase(at);
  }
}

}  // namespace ds::server
