#include "store/catalog_sql.h"

#include <utility>

namespace ds::store {

const char* const kCatalogSchema = R"sql(
CREATE TABLE state(
  one INTEGER PRIMARY KEY CHECK(one = 1),
  sealed_through INTEGER NOT NULL,
  highest_life INTEGER NOT NULL,
  lost_life INTEGER NOT NULL,
  next_segment INTEGER NOT NULL,
  streams INTEGER NOT NULL);
INSERT INTO state VALUES(1, 0, 0, 0, 1, 0);
CREATE TABLE streams(
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL,
  due INTEGER,
  pinned INTEGER NOT NULL,
  snapshot BLOB NOT NULL,
  trim_due INTEGER);
CREATE TABLE paths(
  path TEXT PRIMARY KEY,
  stream INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX streams_due ON streams(due) WHERE due IS NOT NULL;
CREATE INDEX streams_trim_due ON streams(trim_due) WHERE trim_due IS NOT NULL;
CREATE TABLE segments(
  id INTEGER PRIMARY KEY,
  level INTEGER NOT NULL,
  single INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  data_bytes INTEGER NOT NULL,
  extents INTEGER NOT NULL,
  live_bytes INTEGER NOT NULL);
CREATE TABLE extents(
  stream INTEGER NOT NULL,
  begin_at INTEGER NOT NULL,
  end_at INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  data_offset INTEGER NOT NULL,
  head_offset INTEGER NOT NULL,
  head_bytes INTEGER NOT NULL,
  newest_ms INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  PRIMARY KEY(stream, begin_at)) WITHOUT ROWID;
CREATE TABLE open_pins(
  fork INTEGER PRIMARY KEY,
  source INTEGER NOT NULL);
PRAGMA application_id = 1146307412;
PRAGMA user_version = 1;
)sql";
static_assert(kCatalogApplicationId == 1146307412 && kCatalogVersion == 1);

// Readers keep what SQLite gives them. The writer gives its pages back after every transaction.
const char* const kCatalogWriterSettings = R"sql(
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -32768;
PRAGMA journal_size_limit = 16777216;
)sql";

#define DS_STREAM_COLUMNS "id, path, due, pinned, snapshot"
#define DS_LIST                                   \
  "SELECT id, paths.path, due, pinned, snapshot " \
  "FROM paths CROSS JOIN streams ON id = stream " \
  "WHERE paths.path >= ? AND paths.path != ?"
#define DS_EXTENT_COLUMNS \
  "stream, begin_at, end_at, segment, data_offset, head_offset, head_bytes, newest_ms, messages"
#define DS_SEGMENT_COLUMNS "id, level, single, bytes, data_bytes, extents, live_bytes"

CatalogStatus ReadStatements::prepare(const Database& database) {
  const std::pair<Statement*, const char*> all[] = {
      {&state, "SELECT sealed_through, highest_life, lost_life, next_segment FROM state"},
      {&stream_count, "SELECT streams FROM state"},
      {&by_path, "SELECT " DS_STREAM_COLUMNS
                 " FROM streams WHERE id = (SELECT stream FROM paths WHERE path = ?)"},
      {&by_id, "SELECT " DS_STREAM_COLUMNS " FROM streams WHERE id = ?"},
      {&due,
       "SELECT due, id FROM streams WHERE due IS NOT NULL AND (due, id) > (?, ?) AND due <= ? "
       "ORDER BY due, id LIMIT ?"},
      {&trims_due,
       "SELECT trim_due, id FROM streams WHERE trim_due IS NOT NULL AND trim_due <= ? "
       "ORDER BY trim_due, id LIMIT ?"},
      {&list, DS_LIST " ORDER BY paths.path LIMIT ?"},
      {&list_below, DS_LIST " AND paths.path < ? ORDER BY paths.path LIMIT ?"},
      {&open_pins, "SELECT source, fork FROM open_pins ORDER BY fork"},
      {&extent_at,
       "SELECT " DS_EXTENT_COLUMNS
       " FROM extents WHERE stream = ? AND begin_at <= ? ORDER BY begin_at DESC LIMIT 1"},
      {&extents_of, "SELECT " DS_EXTENT_COLUMNS " FROM extents WHERE stream = ? ORDER BY begin_at"},
      {&segments, "SELECT " DS_SEGMENT_COLUMNS " FROM segments ORDER BY id"},
  };
  for (const auto& [statement, sql] : all) {
    const CatalogStatus prepared = statement->prepare(database, sql);
    if (!prepared.ok()) return prepared;
  }
  return true;
}

CatalogStatus WriteStatements::prepare(const Database& database) {
  const std::pair<Statement*, const char*> all[] = {
      {&set_state,
       "UPDATE state SET sealed_through = ?, highest_life = ?, lost_life = ?, next_segment = ?"},
      {&add_streams, "UPDATE state SET streams = streams + ?"},
      {&update_stream,
       "UPDATE streams SET due = ?, pinned = ?, snapshot = ?, trim_due = ? WHERE id = ?"},
      {&insert_stream,
       "INSERT INTO streams(due, pinned, snapshot, trim_due, id, path) "
       "VALUES(?, ?, ?, ?, ?, ?)"},
      {&set_all_trims_due, "UPDATE streams SET trim_due = 0 WHERE trim_due IS NOT 0"},
      {&set_trim_due, "UPDATE streams SET trim_due = ? WHERE id = ?"},
      {&put_path, "INSERT INTO paths(path, stream) VALUES(?, ?)"},
      {&remove_path, "DELETE FROM paths WHERE path = (SELECT path FROM streams WHERE id = ?)"},
      {&remove_stream, "DELETE FROM streams WHERE id = ?"},
      {&put_extent, "INSERT INTO extents(" DS_EXTENT_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&extent_live,
       "SELECT segment, end_at - begin_at FROM extents WHERE stream = ? AND begin_at = ?"},
      {&remove_extent, "DELETE FROM extents WHERE stream = ? AND begin_at = ?"},
      {&extents_live, "SELECT segment, end_at - begin_at FROM extents WHERE stream = ?"},
      {&remove_extents, "DELETE FROM extents WHERE stream = ?"},
      {&put_segment, "INSERT INTO segments(" DS_SEGMENT_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, 0)"},
      {&remove_segment, "DELETE FROM segments WHERE id = ?"},
      {&add_live, "UPDATE segments SET live_bytes = live_bytes + ? WHERE id = ?"},
      {&put_pin, "INSERT INTO open_pins(fork, source) VALUES(?, ?) ON CONFLICT(fork) DO NOTHING"},
      {&remove_pin, "DELETE FROM open_pins WHERE fork = ?"},
  };
  for (const auto& [statement, sql] : all) {
    const CatalogStatus prepared = statement->prepare(database, sql);
    if (!prepared.ok()) return prepared;
  }
  return true;
}

CatalogStream stream_in(const Query& row) {
  CatalogStream stream;
  stream.id.value = row.integer_at(0);
  stream.path = row.text_at(1);
  if (!row.null_at(2)) stream.due.us = static_cast<int64_t>(row.integer_at(2));
  stream.pinned = row.integer_at(3) != 0;
  stream.snapshot = row.blob_at(4);
  return stream;
}

CatalogExtent extent_in(const Query& row) {
  CatalogExtent found;
  found.extent.stream.value = row.integer_at(0);
  found.extent.begin.value = row.integer_at(1);
  found.extent.end.value = row.integer_at(2);
  found.segment = row.integer_at(3);
  found.extent.data_offset = row.integer_at(4);
  found.extent.head_offset = row.integer_at(5);
  found.extent.head_bytes = static_cast<uint32_t>(row.integer_at(6));
  found.extent.newest_ms = row.integer_at(7);
  found.extent.messages = row.integer_at(8);
  return found;
}

CatalogSegment segment_in(const Query& row) {
  CatalogSegment segment;
  segment.id = row.integer_at(0);
  segment.level = static_cast<uint32_t>(row.integer_at(1));
  segment.single = row.integer_at(2) != 0;
  segment.bytes = row.integer_at(3);
  segment.data_bytes = row.integer_at(4);
  segment.extents = row.integer_at(5);
  segment.live_bytes = row.integer_at(6);
  return segment;
}

}  // namespace ds::store
