// Checks a whole data directory: catalog, segments, unsealed log, and that they fit each other
// (docs/operations.md). Changes nothing, whether a server works on the directory or not.
#pragma once

#include "ports/file.h"
#include "store/check/catalog_rows.h"
#include "store/check/report.h"

namespace ds::store {

struct CheckedData {
  ports::Directory& log;
  ports::Directory& segments;
  CatalogRows& catalog;
  bool quick = false;   // of segments, trailers and heads only
  bool online = false;  // a server works on it
};

// Everything is of one moment, but for segments that a server merges meanwhile.
void check_data(const CheckedData& data, CheckReport& report);

}  // namespace ds::store
