// The catalog's statements and rows: its schema in SQL, and the values of ours that rows are.
// docs/catalog-format.md.
#pragma once

#include <cstdint>

#include "store/catalog.h"
#include "store/sqlite.h"

namespace ds::store {

// The bytes "DSCT", at byte 68 of the file.
inline constexpr int64_t kCatalogApplicationId = 0x44534354;
inline constexpr int64_t kCatalogVersion = 1;

// Makes the tables of an empty catalog.
extern const char* const kCatalogSchema;
// What a connection that writes is set to.
extern const char* const kCatalogWriterSettings;

struct ReadStatements {
  Statement state;
  Statement stream_count;
  Statement by_path;
  Statement by_id;
  Statement due;
  Statement trims_due;
  Statement list;
  Statement list_below;
  Statement open_pins;
  Statement extent_at;
  Statement extents_of;
  Statement segments;

  CatalogStatus prepare(const Database& database);
};

struct WriteStatements {
  Statement set_state;
  Statement add_streams;
  Statement update_stream;
  Statement insert_stream;
  Statement set_trim_due;
  Statement set_all_trims_due;
  Statement put_path;
  Statement remove_path;
  Statement remove_stream;
  Statement put_extent;
  Statement extent_live;
  Statement remove_extent;
  Statement extents_live;
  Statement remove_extents;
  Statement put_segment;
  Statement remove_segment;
  Statement add_live;
  Statement put_pin;
  Statement remove_pin;

  CatalogStatus prepare(const Database& database);
};

// What the current row of a query holds, in the order of the columns in the statements above.
CatalogStream stream_in(const Query& row);
CatalogExtent extent_in(const Query& row);
CatalogSegment segment_in(const Query& row);

}  // namespace ds::store
