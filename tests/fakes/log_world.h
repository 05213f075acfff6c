// A log on a faulty disk, and what a test wants to do with it in few words.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/op_log.h"
#include "tests/fakes/faulty_disk.h"
#include "tests/fakes/records.h"

namespace ds::fakes {

class LogWorld {
 public:
  explicit LogWorld(uint64_t seed = 1) : disk(seed) {
    options.generation_bytes = store::kGenerationBytesMin;
    options.salt_seed = seed + 1000;
  }

  // Ends the process that has the log open, if any, and opens it in a new one. What was replayed is
  // in `replayed` then, or the reason why not in `problem`.
  bool open() {
    end_process();
    directory_ = disk.root();
    replayed.clear();
    positions.clear();
    problem.reset();
    auto opened = store::OpLog::open(
        *directory_, options,
        [this](std::string_view record, LogPosition at) {
          replayed.push_back(stream::record_stream(record));
          positions.push_back(at);
          return true;
        },
        &recovery);
    if (opened.ok()) {
      log = std::move(opened).value();
    } else {
      problem = opened.error();
      directory_.reset();
    }
    return log != nullptr;
  }

  void end_process() {
    log.reset();
    directory_.reset();
  }

  void crash(FaultyDisk::Crash how) {
    disk.crash(how);
    end_process();
  }

  // One frame with one record of that number.
  ports::IoStatus append(uint64_t number, uint64_t payload_bytes = 100, bool relaxed = false) {
    const std::string record = make_record(number, payload(number, payload_bytes));
    const std::string_view batch = record;
    return log->append({&batch, 1}, relaxed, {&last_begin, 1});
  }
  ports::IoStatus commit(uint64_t number, uint64_t payload_bytes = 100) {
    const ports::IoStatus appended = append(number, payload_bytes);
    return appended.ok() ? log->sync() : appended;
  }

  // What the record of that number holds.
  static std::string payload(uint64_t number, uint64_t bytes) {
    std::string text;
    while (text.size() < bytes) text += "record " + std::to_string(number) + ", ";
    text.resize(bytes);
    return text;
  }

  FaultyDisk disk;
  store::OpLogOptions options;
  std::unique_ptr<store::OpLog> log;
  store::OpLog::Recovery recovery;
  std::vector<uint64_t> replayed;
  std::vector<LogPosition> positions;
  std::optional<store::LogProblem> problem;
  LogPosition last_begin;

 private:
  std::unique_ptr<ports::Directory> directory_;
};

// {1, 2, ..., n}.
inline std::vector<uint64_t> up_to(uint64_t n) {
  std::vector<uint64_t> numbers;
  for (uint64_t i = 1; i <= n; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace ds::fakes
