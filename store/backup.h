// The parts of a backup that know the formats: a copy of the catalog as it is at one moment, and of
// the log's generations that this catalog does not cover. docs/operations.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/op_log.h"

namespace ds::store {

struct CatalogCopy {
  uint32_t sealed_through = 0;
  std::vector<CatalogSegment> segments;
};

// Writes a copy of the catalog at `from` to `to`, which is replaced, and says what is in it. A
// server may be writing to `from` unless `alone`.
Result<CatalogCopy, CatalogError> copy_catalog(const std::string& from, bool alone,
                                               const std::string& to);

struct GenerationCopy {
  uint32_t generation = 0;
  uint64_t bytes = 0;  // of the file
};

// Copies the generations behind `sealed_through` with all the frames that are whole by now, checked
// on the way, and syncs files and directory. A torn or unfinished end is left out. `to` is empty.
// Nothing if a server has sealed and removed one of them meanwhile, or one is missing: the
// catalog is to be looked at again.
Result<std::optional<std::vector<GenerationCopy>>, LogProblem> copy_log(ports::Directory& from,
                                                                        uint32_t sealed_through,
                                                                        ports::Directory& to);

}  // namespace ds::store
