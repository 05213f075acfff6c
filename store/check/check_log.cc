#include "store/check/check_log.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/snapshot.h"
#include "store/generation_files.h"
#include "store/log_tail.h"

namespace ds::store {
namespace {

using stream::Op;
using stream::OpType;
using stream::StreamState;

class LogCheck {
 public:
  LogCheck(const OpenLog& log, CatalogRows& catalog, CheckReport& report, ReplayedLog& replayed)
      : log_(log), catalog_(catalog), report_(report), replayed_(replayed) {}

  CatalogStatus run() {
    const auto state = catalog_.state();
    if (!state.ok()) return state.error();
    highest_life_ = state->highest_life;
    for (const LogProblem& problem : log_.problems) fail(problem.message);
    for (const uint32_t generation : log_.missing)
      fail(generation_name(generation) + " is missing");
    if (log_.unfinished_file) {
      report_.note(std::string("log/") + kUnfinishedName + ": left over, or being made");
    }
    if (log_.missing.empty() && log_.problems.empty()) check_sealed();
    size_t count = log_.unsealed.size();
    if (count > 0 && not_begun(log_.unsealed.back())) --count;
    if (count == 0 && state->sealed_through > 0 && replayed_.whole) {
      fail("nothing follows " + generation_name(state->sealed_through) +
           ", through which the catalog says that the log is sealed");
    }
    for (size_t i = 0; i < count && failed_.ok(); ++i) check_generation(i, count);
    return failed_;
  }

 private:
  void fail(const std::string& text) {
    report_.problem("log/" + text);
    replayed_.whole = false;
  }

  static bool not_begun(const GenerationFile& found) {
    if (found.state == HeaderState::kValid) return false;
    if (found.spare) return true;
    FileView view(*found.file, found.file_bytes);
    const auto tail = look_behind(found, view, kGenerationHeaderBytes, 0);
    return tail.ok() && tail->end == kGenerationHeaderBytes;
  }

  // A sealed generation that is still there must be in the catalog wholly: streams born in it are
  // older than the highest life, and its last bytes are before their streams' tails.
  void check_sealed() {
    for (const GenerationFile& found : log_.sealed) {
      report_.note("log/" + generation_name(found.generation) +
                   ": sealed, to be removed by the server");
      if (found.state != HeaderState::kValid) continue;
      std::optional<std::string> lost;
      const auto walked = for_each_frame(found, std::nullopt, [&](const auto& frame) {
        return for_each_record(found.generation, frame, [&](std::string_view record, LogPosition) {
          if (!lost) lost = not_sealed(record);
          return true;
        });
      });
      if (!walked.ok() || !lost) continue;
      fail(generation_name(found.generation) + ": " + *lost +
           " is not in the catalog, which says that it is sealed through " +
           generation_name(log_.sealed.back().generation));
    }
  }

  std::optional<std::string> not_sealed(std::string_view record) {
    const Incarnation id{stream::record_stream(record)};
    if (highest_life_ < id) return stream_text(id);
    const std::optional<Op> op = stream::decode_record(record);
    if (!op || op->payload.empty()) return std::nullopt;
    const StreamState* state = load(id);
    if (state == nullptr || op->end() <= state->writer.tail) return std::nullopt;
    return stream_text(id, state->path) + " at " + range_text(op->position, op->end());
  }

  void check_generation(size_t i, size_t count) {
    const GenerationFile& found = log_.unsealed[i];
    ++report_.counts.generations;
    if (found.state != HeaderState::kValid) return fail(not_a_generation(found).message);
    const GenerationFile* next = i + 1 < count ? &log_.unsealed[i + 1] : nullptr;
    const bool joined = next != nullptr && next->generation == found.generation + 1 &&
                        next->state == HeaderState::kValid;
    if (found.generation == 1 && found.header.first_sequence != 1) {
      fail(corrupt_log(1, 0, "begins with frame " + std::to_string(found.header.first_sequence))
               .message);
    }
    std::optional<uint64_t> end;
    if (joined) end = next->header.first_sequence;
    const auto walked =
        for_each_frame(found, end, [&](const FrameScanner::Frame& frame) -> Problem {
          report_.counts.last_frame = frame.header.sequence;
          return for_each_record(found.generation, frame,
                                 [&](std::string_view record, LogPosition at) {
                                   ++report_.counts.records;
                                   return take(record, at);
                                 });
        });
    if (!failed_.ok()) return;
    if (!walked.ok()) {
      std::string text = walked.error().message;
      if (!refused_.empty()) text += " (" + std::exchange(refused_, "") + ")";
      fail(text);
    }
  }

  // False if the record does not follow. Behind a gap nothing can be said about that.
  bool take(std::string_view record, LogPosition at) {
    if (!replayed_.whole) return true;
    const std::optional<Op> op = stream::decode_record(record);
    if (!op) {
      refused_ = "of a kind that this program does not know";
      return false;
    }
    auto known = replayed_.states.find(op->stream);
    if (op->type == OpType::kCreate) {
      if (known != replayed_.states.end() || load(op->stream) != nullptr) {
        refused_ = stream_text(op->stream) + " is there already";
        return false;
      }
      if (!path_is_free(op->create->path)) return false;
      paths_[std::string(op->create->path)] = op->stream;
      known = replayed_.states.emplace(op->stream, stream::new_state(*op, {})).first;
    } else if (known == replayed_.states.end()) {
      const StreamState* state = load(op->stream);
      if (state == nullptr) {
        refused_ = stream_text(op->stream) + " is not in the catalog";
        return false;
      }
      known = replayed_.states.emplace(op->stream, *state).first;
    }
    if (stream::apply(known->second, *op, at)) return true;
    refused_ = stream_text(op->stream, known->second.path) + ", whose tail is " +
               std::to_string(known->second.writer.tail.value) + ", gets an op at " +
               std::to_string(op->position.value);
    return false;
  }

  bool path_is_free(std::string_view path) {
    std::optional<Incarnation> owner;
    const auto made = paths_.find(std::string(path));
    if (made != paths_.end()) {
      owner = made->second;
    } else {
      const auto row = catalog_.find(path);
      if (!row.ok()) return give_up(row.error());
      if (*row) owner = (*row)->id;
    }
    if (!owner) return true;
    const auto state = replayed_.states.find(*owner);
    if (state != replayed_.states.end() && state->second.gone) return true;
    refused_ = "its path " + std::string(path) + " belongs to " + stream_text(*owner);
    return false;
  }

  // The stream as it was sealed; null if there is none. Valid until the next call.
  const StreamState* load(Incarnation id) {
    const auto row = catalog_.find(id);
    if (!row.ok()) {
      (void)give_up(row.error());
      return nullptr;
    }
    if (!*row) return nullptr;
    loaded_ = stream::decode_snapshot((*row)->snapshot);
    return loaded_ ? &*loaded_ : nullptr;
  }

  bool give_up(const CatalogError& error) {
    failed_ = error;
    return false;
  }

  const OpenLog& log_;
  CatalogRows& catalog_;
  CheckReport& report_;
  ReplayedLog& replayed_;
  CatalogStatus failed_ = true;
  Incarnation highest_life_;
  std::map<std::string, Incarnation> paths_;  // of streams that the records create
  std::optional<StreamState> loaded_;
  std::string refused_;  // why a record does not follow
};

}  // namespace

OpenLog open_log(ports::Directory& log, uint32_t sealed_through) {
  OpenLog opened;
  const auto names = log.list();
  if (!names.ok()) {
    opened.problems.push_back(log_io_problem("the directory cannot be listed", names.error()));
    return opened;
  }
  std::vector<uint32_t> generations;
  for (const std::string& name : *names) {
    if (name == kLockName) continue;
    if (name == kUnfinishedName) {
      opened.unfinished_file = true;
    } else if (const std::optional<uint32_t> generation = parse_generation_name(name)) {
      generations.push_back(*generation);
    } else {
      opened.problems.push_back({LogProblem::Kind::kForeign,
                                 name + " does not belong to a log: no server starts with it"});
    }
  }
  std::sort(generations.begin(), generations.end());
  uint32_t expected = sealed_through + 1;
  for (const uint32_t generation : generations) {
    for (; expected < generation; ++expected) opened.missing.push_back(expected);
    auto file = open_generation(log, generation);
    if (generation >= expected) expected = generation + 1;
    if (file.ok()) {
      (generation <= sealed_through ? opened.sealed : opened.unsealed)
          .push_back(std::move(file).value());
    } else if (generation > sealed_through) {
      opened.problems.push_back(file.error());
    }
  }
  if (expected == sealed_through + 1 && sealed_through > 0) opened.missing.push_back(expected);
  return opened;
}

CatalogStatus check_log(const OpenLog& log, CatalogRows& catalog, CheckReport& report,
                        ReplayedLog& replayed) {
  return LogCheck(log, catalog, report, replayed).run();
}

}  // namespace ds::store
