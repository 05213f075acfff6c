#include "server/commands/check.h"

#include <filesystem>
#include <memory>
#include <system_error>

#include "server/posix_file.h"
#include "store/check/catalog_rows.h"
#include "store/check/check_data.h"
#include "store/recovery.h"

namespace ds::server {
namespace {

using ports::IoError;
using store::CatalogRows;
using store::CheckFinding;

std::string count(uint64_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

void print_summary(const store::CheckCounts& counts, bool online, bool quick, const Print& out) {
  if (online) {
    out("a server has the directory: its log was checked up to frame " +
        std::to_string(counts.last_frame) + ", the newest one that was whole\n");
  }
  if (quick) out("quick: of the segments, trailers and heads only\n");
  out(count(counts.streams, "stream") + ", " + count(counts.segments, "segment") + " of " +
      count(counts.segment_bytes, "byte") + ", " +
      count(counts.generations, "unsealed generation") + " with " +
      count(counts.records, "record") + ": " +
      (counts.problems == 0 ? "intact" : count(counts.problems, "problem")) + "\n");
}

}  // namespace

int check_data_directory(const std::string& path, bool quick, const Print& out,
                         const Print& error) {
  const auto fail = [&](const std::string& problem) {
    error("durable-streams: " + path + ": " + problem + "\n");
    return 1;
  };
  const auto directory = open_posix_directory_read_only(path);
  if (!directory.ok()) return fail(store::io_error_text(directory.error()));
  const ports::IoStatus locked = (*directory)->lock("LOCK");
  const bool online = !locked.ok() && locked.error() == IoError::kLocked;
  // Without a lock's file no server has ever been here, and perhaps a copy of its data has.
  if (!online && !locked.ok() && locked.error() != IoError::kNotFound) {
    return fail(std::string("cannot be locked: ") + store::io_error_text(locked.error()));
  }
  const std::string catalog_path = path + "/catalog.db";
  std::error_code none;
  if (!std::filesystem::exists(catalog_path, none)) {
    return fail("is not a data directory: there is no catalog.db in it");
  }
  const auto log = (*directory)->subdirectory("log");
  const auto segments = (*directory)->subdirectory("segments");
  if (!log.ok()) return fail(std::string("log: ") + store::io_error_text(log.error()));
  if (!segments.ok())
    return fail(std::string("segments: ") + store::io_error_text(segments.error()));
  const auto catalog = CatalogRows::open(
      catalog_path, online ? CatalogRows::Others::kMayWrite : CatalogRows::Others::kNone);
  if (!catalog.ok()) {
    out("problem: catalog.db: " + catalog.error().message + "\n");
    out("the catalog cannot be opened: nothing else was checked: 1 problem\n");
    return 1;
  }
  store::CheckReport report([&out](const CheckFinding& finding) {
    out((finding.kind == CheckFinding::Kind::kProblem ? "problem: " : "note: ") + finding.text +
        "\n");
  });
  store::check_data({**log, **segments, **catalog, quick, online}, report);
  print_summary(report.counts, online, quick, out);
  return report.counts.problems == 0 ? 0 : 1;
}

}  // namespace ds::server
