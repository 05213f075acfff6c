// Streams: their rows and snapshots, the extents that hold what they need, and the links between
// forks and their sources.
#pragma once

#include "store/check/catalog_rows.h"
#include "store/check/check_log.h"
#include "store/check/report.h"

namespace ds::store {

CatalogStatus check_streams(CatalogRows& catalog, const ReplayedLog& log, CheckReport& report);

}  // namespace ds::store
