#include "store/backup.h"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "store/check/catalog_rows.h"
#include "store/log_tail.h"
#include "store/recovery.h"
#include "store/sqlite.h"

namespace ds::store {
namespace {

using ports::IoStatus;

constexpr uint64_t kCopyBytes = 1 << 20;

// One call copies everything under one read lock, hence as of one moment.
CatalogStatus copy_database(const Database& from, const Database& to) {
  sqlite3_backup* backup = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (backup == nullptr) return to.error();
  (void)sqlite3_backup_step(backup, -1);
  if (sqlite3_backup_finish(backup) != SQLITE_OK) return to.error();
  return true;
}

// The first `bytes` of a file, and zeros up to `file_bytes`.
Result<bool, LogProblem> copy_file(const GenerationFile& from, uint64_t bytes, ports::File& to) {
  std::string step;
  for (uint64_t at = 0; at < bytes;) {
    step.resize(std::min(kCopyBytes, bytes - at));
    const auto got = from.file->read_at(at, step.data(), step.size());
    if (!got.ok()) return generation_read_problem(from.generation, got.error());
    if (*got != step.size()) return corrupt_log(from.generation, at, "the end is missing");
    const std::string_view part = step;
    const IoStatus written = to.write_at(at, {&part, 1});
    if (!written.ok()) return log_io_problem("cannot write the copy", written.error());
    at += step.size();
  }
  IoStatus status = to.truncate(from.header.file_bytes);
  if (status.ok()) status = to.sync();
  if (!status.ok()) return log_io_problem("cannot write the copy", status.error());
  return true;
}

// Whether all these generations are still listed.
bool all_there(ports::Directory& log, std::span<const uint32_t> generations) {
  const auto names = log.list();
  if (!names.ok()) return false;
  return std::all_of(generations.begin(), generations.end(), [&names](uint32_t generation) {
    return std::find(names->begin(), names->end(), generation_name(generation)) != names->end();
  });
}

}  // namespace

Result<CatalogCopy, CatalogError> copy_catalog(const std::string& from, bool alone,
                                               const std::string& to) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::error_code ignored;
    std::filesystem::remove(to + suffix, ignored);
  }
  {
    const auto source =
        alone ? Database::open_alone(from) : Database::open(from, Catalog::Mode::kReadOnly);
    if (!source.ok()) return source.error();
    const auto target = Database::open(to, Catalog::Mode::kReadWrite);
    if (!target.ok()) return target.error();
    const CatalogStatus copied = copy_database(*source, *target);
    if (!copied.ok()) return copied.error();
  }
  const auto rows = CatalogRows::open(to, CatalogRows::Others::kNone);
  if (!rows.ok()) return rows.error();
  const auto state = (*rows)->state();
  if (!state.ok()) return state.error();
  auto segments = (*rows)->segments();
  if (!segments.ok()) return segments.error();
  return CatalogCopy{state->sealed_through, std::move(segments).value()};
}

Result<std::optional<std::vector<GenerationCopy>>, LogProblem> copy_log(ports::Directory& from,
                                                                        uint32_t sealed_through,
                                                                        ports::Directory& to) {
  using Copies = std::vector<GenerationCopy>;
  const auto names = from.list();
  if (!names.ok()) return log_io_problem("cannot list the log's directory", names.error());
  std::vector<uint32_t> generations;
  for (const std::string& name : *names) {
    const std::optional<uint32_t> generation = parse_generation_name(name);
    if (generation && *generation > sealed_through) generations.push_back(*generation);
  }
  std::sort(generations.begin(), generations.end());
  // All are opened first: whatever is removed meanwhile can still be read.
  std::vector<GenerationFile> found;
  for (const uint32_t generation : generations) {
    const bool follows = generation == sealed_through + 1 + found.size();
    const auto there = from.open(generation_name(generation), ports::Directory::Open::kExisting);
    if (!follows || (!there.ok() && there.error() == ports::IoError::kNotFound)) {
      return std::optional<Copies>();
    }
    auto opened = open_generation(from, generation);
    if (!opened.ok()) {
      if (!all_there(from, generations)) return std::optional<Copies>();
      return opened.error();
    }
    found.push_back(std::move(opened).value());
  }
  // What is held here is not reused; what was being reused before has lost its name.
  if (!all_there(from, generations)) return std::optional<Copies>();
  // The last one has perhaps not begun.
  if (!found.empty() && found.back().state != HeaderState::kValid) found.pop_back();
  if (found.empty() && sealed_through > 0) return std::optional<Copies>();
  Copies copies;
  for (size_t i = 0; i < found.size(); ++i) {
    const GenerationFile& each = found[i];
    if (each.state != HeaderState::kValid) return not_a_generation(each);
    std::optional<uint64_t> end;
    if (i + 1 < found.size()) end = found[i + 1].header.first_sequence;
    if (end && found[i + 1].state != HeaderState::kValid) return not_a_generation(found[i + 1]);
    const auto bytes =
        for_each_frame(each, end, [](const FrameScanner::Frame&) { return Problem(); });
    if (!bytes.ok()) return bytes.error();
    auto file = to.open(generation_name(each.generation), ports::Directory::Open::kCreateNew);
    if (!file.ok()) return log_io_problem("cannot make the copy", file.error());
    const auto copied = copy_file(each, *bytes, **file);
    if (!copied.ok()) return copied.error();
    copies.push_back({each.generation, each.header.file_bytes});
  }
  const IoStatus synced = to.sync();
  if (!synced.ok()) return log_io_problem("cannot sync the copy", synced.error());
  return std::optional(std::move(copies));
}

}  // namespace ds::store
