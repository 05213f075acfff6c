#include "server/reader_pool.h"

#include <string>
#include <utility>

#include "server/log.h"

namespace ds::server {

ReaderPool::ReaderPool(const store::OpLog& log, uint32_t threads, size_t queue_max)
    : log_(log), queue_max_(queue_max) {
  for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

ReaderPool::~ReaderPool() { stop(); }

bool ReaderPool::submit(LoadListener& listener, const engine::Load& load) {
  Job job;
  job.listener = &listener;
  job.load_id = load.load_id;
  job.pieces.reserve(load.pieces.size());
  for (const engine::LoadPiece& piece : load.pieces) {
    job.pieces.push_back({piece.record, piece.skip, piece.bytes});
  }
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void ReaderPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    queue_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ReaderPool::run() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (stopped_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    std::string bytes;
    bool corrupt = false;
    const ports::IoStatus status = log_.read_payloads(job.pieces, bytes, &corrupt);
    if (status.ok()) {
      job.listener->on_load_end(job.load_id, share(std::move(bytes)), false);
      continue;
    }
    const LogPosition at = job.pieces.empty() ? LogPosition{} : job.pieces.front().record;
    log_event(LogLevel::kError, corrupt ? "a record fails its checksum" : "cannot read the op log",
              {{"generation", at.generation()}, {"offset", at.byte_offset()}});
    job.listener->on_load_end(job.load_id, nullptr, corrupt);
  }
}

}  // namespace ds::server
