// The catalog on its own: SQLite's check of the file, and rows that contradict each other.
#pragma once

#include "store/check/catalog_rows.h"
#include "store/check/report.h"

namespace ds::store {

// `quick` leaves out the comparison of SQLite's indexes with their tables.
CatalogStatus check_catalog(CatalogRows& catalog, bool quick, CheckReport& report);

}  // namespace ds::store
