#include "store/recovery.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/file_view.h"
#include "store/generation_files.h"
#include "store/generation_scan.h"
#include "store/log_tail.h"

namespace ds::store {

using ports::IoError;
using ports::IoStatus;
using Kind = LogProblem::Kind;

namespace {

// A frame that is not known to have been synced.
struct Unproven {
  uint64_t sequence;
  uint64_t position;
};

class Recoverer {
 public:
  Recoverer(ports::Directory& directory, const OpLogOptions& options, const OpLog::ReplayFn& replay,
            OpLog::Recovery& recovery)
      : directory_(directory), options_(options), replay_(replay), recovery_(recovery) {}

  Result<RecoveredLog, LogProblem> run() {
    Problem problem = find_files();
    if (!problem && !found_.empty()) problem = look_at_last();
    if (!problem) problem = walk_generations();
    if (!problem) problem = repair();
    if (problem) return *problem;
    if (!found_.empty()) {
      GenerationFile& last = found_.back();
      log_.header = last.header;
      log_.file = std::move(last.file);
    }
    recovery_.lost_writes = (log_.last_flags & FrameHeader::kRelaxed) != 0;
    return std::move(log_);
  }

 private:
  Problem find_files() {
    auto names = directory_.list();
    if (!names.ok()) return log_io_problem("cannot list the log's directory", names.error());
    std::vector<uint32_t> generations;
    for (const std::string& name : *names) {
      if (name == kLockName) continue;
      if (name == kUnfinishedName) {
        unfinished_ = true;
        continue;
      }
      const std::optional<uint32_t> generation = parse_generation_name(name);
      if (!generation) return LogProblem{Kind::kForeign, name + " does not belong to a log"};
      if (*generation >= options_.first_generation) generations.push_back(*generation);
    }
    std::sort(generations.begin(), generations.end());
    log_.first_generation = options_.first_generation;
    if (generations.empty() && options_.first_generation > 1) {
      return LogProblem{Kind::kCorrupt, generation_name(options_.first_generation) + " is missing"};
    }
    uint32_t expected = options_.first_generation;
    for (const uint32_t generation : generations) {
      if (generation != expected) {
        return LogProblem{Kind::kCorrupt, generation_name(expected) + " is missing"};
      }
      ++expected;
    }
    for (const uint32_t generation : generations) {
      auto found = open_generation(directory_, generation);
      if (!found.ok()) return found.error();
      found_.push_back(std::move(found).value());
    }
    return std::nullopt;
  }

  // Only the last file may have no header, if it was prepared and not begun. A header is durable
  // before anything is written behind it: so there is nothing there, or what an earlier generation
  // left behind a mark.
  Problem look_at_last() {
    GenerationFile& last = found_.back();
    if (last.state == HeaderState::kValid) return std::nullopt;
    const bool damaged = last.state == HeaderState::kDamaged;
    if (last.file_bytes < kGenerationBytesMin) return not_a_generation(last);
    FileView view(*last.file, last.file_bytes);
    uint64_t end = kGenerationHeaderBytes;
    if (!last.spare) {
      const auto found = end_of_data(view, kGenerationHeaderBytes);
      if (!found.ok()) return generation_read_problem(last.generation, found.error());
      end = *found;
    }
    if (end > kGenerationHeaderBytes) {
      const auto header = view.bytes(0, kGenerationHeaderBytes);
      if (!header.ok()) return generation_read_problem(last.generation, header.error());
      const bool erased = header->find_first_not_of('\0') == std::string_view::npos;
      if (damaged || erased) return corrupt_log(last.generation, 0, "the header is damaged");
      return not_a_generation(last);
    }
    log_.next_file = std::move(last.file);
    log_.next_bytes = last.file_bytes;
    log_.next_reused = last.spare;
    found_.pop_back();
    if (found_.empty() && options_.first_generation > 1) {
      return corrupt_log(options_.first_generation, 0, "the header is damaged");
    }
    return std::nullopt;
  }

  // One past the last byte from `from` on that is not zero; `from` if there is none.
  static Result<uint64_t, IoError> end_of_data(FileView& view, uint64_t from) {
    uint64_t end = from;
    for (uint64_t at = from; at < view.file_bytes();) {
      const auto bytes = view.bytes(at, FileView::kStepBytes);
      if (!bytes.ok()) return bytes.error();
      if (bytes->empty()) break;
      // Nearly all of it is zeros: ask for that first, at the speed of memory.
      if ((*bytes)[0] != '\0' ||
          std::memcmp(bytes->data(), bytes->data() + 1, bytes->size() - 1) != 0) {
        end = at + bytes->find_last_not_of('\0') + 1;
      }
      at += bytes->size();
    }
    return end;
  }

  Problem walk_generations() {
    for (size_t i = 0; i < found_.size(); ++i) {
      GenerationFile& found = found_[i];
      if (found.state != HeaderState::kValid) return not_a_generation(found);
      const uint64_t first = found.header.first_sequence;
      if (i == 0) {
        if (found.generation == 1 && first != 1) {
          return corrupt_log(1, 0, "begins with frame " + std::to_string(first));
        }
        log_.next_sequence = first;
      }
      if (first != log_.next_sequence) {
        return corrupt_log(found.generation, 0,
                           "begins with frame " + std::to_string(first) + " instead of " +
                               std::to_string(log_.next_sequence));
      }
      const bool last = i + 1 == found_.size();
      if (!last && found_[i + 1].state != HeaderState::kValid) {
        return not_a_generation(found_[i + 1]);
      }
      const uint64_t end = last ? UINT64_MAX : found_[i + 1].header.first_sequence;
      const Problem problem = walk(found, end);
      if (problem) return problem;
      if (!last) {
        log_.used[found.header.generation] = log_.position;
        found.file.reset();
      }
    }
    return std::nullopt;
  }

  // Replays the frames of one generation up to, and without, sequence `end`.
  Problem walk(const GenerationFile& found, uint64_t end) {
    FrameScanner scanner(found, log_.next_sequence);
    log_.position = scanner.position();
    unproven_.clear();
    while (log_.next_sequence < end) {
      const auto frame = scanner.next();
      if (!frame.ok()) return frame.error();
      log_.position = scanner.position();
      if (!*frame) {
        if (end == UINT64_MAX) return check_tail(found, scanner.view());
        return corrupt_log(found.generation, log_.position,
                           "frame " + std::to_string(log_.next_sequence) + " is damaged");
      }
      const Problem refused = replay_frame(found, **frame);
      if (refused) return refused;
      const FrameHeader& header = (*frame)->header;
      unproven_.push_back({header.sequence, (*frame)->position});
      while (!unproven_.empty() && unproven_.front().sequence <= header.synced_through) {
        unproven_.pop_front();
      }
      log_.last_flags = header.flags;
      log_.next_sequence = scanner.next_sequence();
      ++recovery_.frames;
    }
    return std::nullopt;
  }

  Problem replay_frame(const GenerationFile& found, const FrameScanner::Frame& frame) {
    return for_each_record(found.generation, frame,
                           [this](std::string_view record, LogPosition at) {
                             ++recovery_.records;
                             recovery_.bytes += record.size();
                             return replay_(record, at);
                           });
  }

  // Something behind the last frame: torn by a crash, or damage to frames that had been synced?
  Problem check_tail(const GenerationFile& found, FileView& view) {
    const auto tail = look_behind(found, view, log_.position, log_.next_sequence);
    if (!tail.ok()) return tail.error();
    if (tail->damaged) return damaged_tail(found, log_.position, log_.next_sequence);
    tail_end_ = tail->end;
    recovery_.torn_bytes = tail_end_ - log_.position;
    return std::nullopt;
  }

  // Everything is in order: from here on the disk is written to.
  Problem repair() {
    if (unfinished_) {
      const IoStatus removed = directory_.remove(kUnfinishedName);
      if (!removed.ok()) return log_io_problem("cannot remove an unfinished file", removed.error());
    }
    IoStatus status = directory_.sync();
    if (status.ok() && log_.next_file != nullptr) status = erase_header(*log_.next_file);
    if (status.ok() && !found_.empty()) status = repair_end(*found_.back().file);
    if (!status.ok()) return log_io_problem("cannot repair the end of the log", status.error());
    return std::nullopt;
  }

  static IoStatus erase_header(ports::File& file) {
    return fill_with_zeros(file, 0, kGenerationHeaderBytes);
  }

  // What was read may have come from the system's cache after a sync that had failed in the process
  // before, and then only writing it again makes it durable.
  IoStatus repair_end(ports::File& file) {
    uint64_t from = log_.position;
    if (log_.position == kGenerationHeaderBytes) from = 0;
    if (!unproven_.empty()) from = unproven_.front().position;
    std::string step;
    while (from < log_.position) {
      step.resize(std::min(FileView::kStepBytes, log_.position - from));
      const auto got = file.read_at(from, step.data(), step.size());
      if (!got.ok()) return got.error();
      if (*got != step.size()) return IoError::kFailed;
      const std::string_view bytes = step;
      const IoStatus written = file.write_at(from, {&bytes, 1});
      if (!written.ok()) return written;
      from += step.size();
    }
    if (tail_end_ > log_.position) return fill_with_zeros(file, log_.position, tail_end_);
    return file.sync();
  }

  ports::Directory& directory_;
  const OpLogOptions& options_;
  const OpLog::ReplayFn& replay_;
  OpLog::Recovery& recovery_;
  RecoveredLog log_;
  std::vector<GenerationFile> found_;
  std::deque<Unproven> unproven_;  // of the generation walked last
  uint64_t tail_end_ = 0;          // what is before it and behind the log is to be zeros
  bool unfinished_ = false;
};

}  // namespace

const char* io_error_text(IoError error) {
  switch (error) {
    case IoError::kNoSpace:
      return "no space left on the disk";
    case IoError::kNotFound:
      return "not found";
    case IoError::kExists:
      return "exists already";
    case IoError::kLocked:
      return "in use by another process";
    case IoError::kReadOnly:
      return "no permission to write";
    case IoError::kFailed:
      break;
  }
  return "input/output error";
}

Result<RecoveredLog, LogProblem> recover(ports::Directory& directory, const OpLogOptions& options,
                                         const OpLog::ReplayFn& replay, OpLog::Recovery& recovery) {
  return Recoverer(directory, options, replay, recovery).run();
}

}  // namespace ds::store
