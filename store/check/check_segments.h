// The segments' files: there, intact, and what the catalog says of them.
#pragma once

#include <cstdint>
#include <vector>

#include "ports/file.h"
#include "store/check/catalog_rows.h"
#include "store/check/report.h"

namespace ds::store {

struct SegmentsCheckOptions {
  bool quick = false;  // trailers and heads only
  // A server works on the directory: files come and go.
  bool online = false;
};

// `gone` gets the segments whose files are missing, which are reported at once unless a server may
// have merged them meanwhile.
CatalogStatus check_segments(ports::Directory& segments, CatalogRows& catalog,
                             const SegmentsCheckOptions& options, CheckReport& report,
                             std::vector<uint64_t>& gone);

// Those of them that the catalog of now still names are missing.
CatalogStatus check_gone_segments(ports::Directory& segments, CatalogRows& catalog,
                                  const std::vector<uint64_t>& gone, CheckReport& report);

}  // namespace ds::store
