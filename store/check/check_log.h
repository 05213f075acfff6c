// The generations that have not been sealed: files, headers, frames, records, and whether the
// records follow from the catalog's snapshots.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/stream/state.h"
#include "ports/file.h"
#include "store/check/catalog_rows.h"
#include "store/check/report.h"
#include "store/generation_scan.h"

namespace ds::store {

// The log's files as they are at one moment. They are open: a server may remove them meanwhile.
struct OpenLog {
  std::vector<GenerationFile> unsealed;  // ascending; the last may not have begun
  std::vector<GenerationFile> sealed;    // whose file is still there
  std::vector<uint32_t> missing;         // numbers
  // What could not be opened, or does not belong here: reported by check_log.
  std::vector<LogProblem> problems;
  bool unfinished_file = false;
};

OpenLog open_log(ports::Directory& log, uint32_t sealed_through);

// Streams as the unsealed records leave them, those that are gone included.
struct ReplayedLog {
  std::map<Incarnation, stream::StreamState> states;
  bool whole = true;  // false: not all records could be applied
};

CatalogStatus check_log(const OpenLog& log, CatalogRows& catalog, CheckReport& report,
                        ReplayedLog& replayed);

}  // namespace ds::store
