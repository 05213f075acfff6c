#include "server/reader_pool.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "server/http/file_twin.h"
#include "server/log.h"
#include "server/thread.h"

namespace ds::server {

using engine::LoadOutcome;
using Found = engine::Engine::Found;

namespace {

// Lookups that a thread takes from the queue at once: they are short, and waking is not.
constexpr size_t kFindsAtOnce = 32;

using SteadyTime = std::chrono::steady_clock::time_point;

// For how long the pages of a segment are taken for those that were read and checked. Nothing keeps
// the system from dropping them but that it is too short a time for it.
constexpr std::chrono::milliseconds kPagesTrusted{100};

// Bytes that were read from `source` since `begun`, and checked.
SharedBytes with_source(SharedBytes bytes, const store::SealedSource& source, SteadyTime begun) {
  const bool large = bytes->size() >= kTwinBytesMin;
  if (!large || source.file == nullptr || source.file->descriptor() < 0) return bytes;
  auto twin = std::make_shared<FileTwin>();
  twin->file = source.file;
  twin->descriptor = source.file->descriptor();
  twin->offset = source.offset;
  twin->good_until = begun + kPagesTrusted;
  return with_twin(std::move(bytes), std::move(twin));
}

}  // namespace

ReaderPool::ReaderPool(const Sources& sources, uint32_t threads, size_t queue_max,
                       MemoryBudget& answer_memory)
    : sources_(sources), queue_max_(queue_max), answer_memory_(answer_memory) {
  for (uint32_t i = 0; i < threads; ++i) threads_.push_back(start_thread([this] { run(); }));
}

ReaderPool::~ReaderPool() { stop(); }

bool ReaderPool::submit(ReadListener& listener, engine::Load load) {
  uint64_t bytes = 0;
  for (const engine::LoadPiece& piece : load.pieces) bytes += piece.bytes;
  if (!answer_memory_.try_charge(bytes)) return false;
  return submit_read({&listener, std::move(load), MemoryCharge(answer_memory_, bytes)});
}

bool ReaderPool::submit(ReadListener& listener, engine::ReadSealed read) {
  // A guess, put right when the read has ended.
  const uint64_t bytes = read.read.max_chunk_bytes;
  if (!answer_memory_.try_charge(bytes)) return false;
  return submit_read({&listener, std::move(read), MemoryCharge(answer_memory_, bytes)});
}

bool ReaderPool::submit(CatalogRead read) { return submit_read({nullptr, std::move(read), {}}); }

bool ReaderPool::submit_read(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || reads_.size() >= queue_max_) return false;
    reads_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void ReaderPool::submit(ReadListener& listener, engine::Find find) {
  {
    const std::lock_guard lock(mutex_);
    finds_.push_back({&listener, std::move(find), {}});
  }
  wake_.notify_one();
}

void ReaderPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    reads_.clear();
    finds_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool ReaderPool::take(std::vector<Job>& jobs) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopped_ || !reads_.empty() || !finds_.empty(); });
  if (stopped_) return false;
  while (!finds_.empty() && jobs.size() < kFindsAtOnce) {
    jobs.push_back(std::move(finds_.front()));
    finds_.pop_front();
  }
  if (!jobs.empty()) return true;
  jobs.push_back(std::move(reads_.front()));
  reads_.pop_front();
  return true;
}

void ReaderPool::run() {
  std::unique_ptr<store::Catalog> catalog;
  std::vector<Job> jobs;
  while (take(jobs)) {
    if (catalog == nullptr) {
      auto opened = store::Catalog::open(sources_.catalog_path, store::Catalog::Mode::kReadOnly);
      if (opened.ok()) {
        catalog = std::move(*opened);
      } else {
        log_event(LogLevel::kError, "cannot open the catalog: " + opened.error().message);
      }
    }
    for (Job& job : jobs) serve(job, catalog.get());
    jobs.clear();
  }
}

void ReaderPool::serve(Job& job, store::Catalog* catalog) {
  if (const auto* load = std::get_if<engine::Load>(&job.what)) {
    serve(*job.listener, *load, std::move(job.charge));
  } else if (const auto* read = std::get_if<engine::ReadSealed>(&job.what)) {
    serve(*job.listener, *read, std::move(job.charge), catalog);
  } else if (const auto* look = std::get_if<CatalogRead>(&job.what)) {
    (*look)(catalog);
  } else {
    serve(*job.listener, std::get<engine::Find>(job.what), catalog);
  }
}

void ReaderPool::serve(ReadListener& listener, const engine::Load& load, MemoryCharge charge) {
  std::vector<store::OpLog::Piece> pieces;
  pieces.reserve(load.pieces.size());
  for (const engine::LoadPiece& piece : load.pieces) {
    pieces.push_back({piece.record, piece.skip, piece.bytes});
  }
  std::string bytes;
  bool corrupt = false;
  const ports::IoStatus status = sources_.log.read_payloads(pieces, bytes, &corrupt);
  if (status.ok()) {
    listener.on_load_end(load.load_id, LoadOutcome::kDone,
                         share_charged(std::move(bytes), std::move(charge)));
    return;
  }
  if (!corrupt && status.error() == ports::IoError::kNotFound) {
    listener.on_load_end(load.load_id, LoadOutcome::kGone, nullptr);
    return;
  }
  const LogPosition at = pieces.empty() ? LogPosition{} : pieces.front().record;
  log_event(LogLevel::kError, corrupt ? "a record fails its checksum" : "cannot read the op log",
            {{"generation", at.generation()}, {"offset", at.byte_offset()}});
  listener.on_load_end(load.load_id, corrupt ? LoadOutcome::kCorrupt : LoadOutcome::kFailed,
                       nullptr);
}

void ReaderPool::serve(ReadListener& listener, const engine::ReadSealed& read, MemoryCharge charge,
                       store::Catalog* catalog) {
  // A chunk may be much larger than it was taken for: what those before it turned out to take
  // counts.
  const uint64_t guess = charge.bytes();
  charge.resize(0);
  if (catalog == nullptr || !answer_memory_.try_charge(guess)) {
    listener.on_sealed_read_end(read.load_id, LoadOutcome::kFailed, {});
    return;
  }
  charge = MemoryCharge(answer_memory_, guess);
  std::string problem;
  store::SealedSource source;
  const SteadyTime begun = std::chrono::steady_clock::now();
  auto chunk = store::read_sealed(*catalog, sources_.segments, read.read, &problem, &source);
  if (chunk.ok()) {
    if (chunk->bytes != nullptr) {
      chunk->bytes = with_source(std::move(chunk->bytes), source, begun);
      charge.resize(chunk->bytes->size());
      chunk->bytes = charged(std::move(chunk->bytes), std::move(charge));
    }
    listener.on_sealed_read_end(read.load_id, LoadOutcome::kDone, std::move(*chunk));
    return;
  }
  const bool corrupt = chunk.error() == store::SealedReadError::kCorrupt;
  log_event(LogLevel::kError, "cannot read sealed messages: " + problem);
  listener.on_sealed_read_end(read.load_id, corrupt ? LoadOutcome::kCorrupt : LoadOutcome::kFailed,
                              {});
}

void ReaderPool::serve(ReadListener& listener, const engine::Find& find, store::Catalog* catalog) {
  if (catalog == nullptr) {
    listener.on_find_end(find.find_id, Found::kFailed, {});
    return;
  }
  auto found = find.path.empty() ? catalog->find(find.stream) : catalog->find(find.path);
  if (!found.ok()) {
    const bool corrupt = found.error().kind == store::CatalogError::Kind::kCorrupt;
    log_event(LogLevel::kError, "cannot read the catalog: " + found.error().message);
    listener.on_find_end(find.find_id, corrupt ? Found::kCorrupt : Found::kFailed, {});
    return;
  }
  std::optional<store::CatalogStream>& stream = *found;
  if (!stream) {
    listener.on_find_end(find.find_id, Found::kNo, {});
  } else {
    listener.on_find_end(find.find_id, Found::kYes, std::move(stream->snapshot));
  }
}

}  // namespace ds::server
