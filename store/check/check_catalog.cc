#include "store/check/check_catalog.h"

#include <string>

#include "store/sealed_reader.h"

namespace ds::store {
namespace {

struct Contradiction {
  const char* sql;
  std::string (*text)(const Query& row);
};

std::string path_in(const Query& row, int column) { return std::string(row.text_at(column)); }

constexpr Contradiction kContradictions[] = {
    {"SELECT paths.path, stream FROM paths LEFT JOIN streams ON id = stream WHERE id IS NULL",
     [](const Query& row) {
       return "path " + path_in(row, 0) + " leads to " +
              stream_text(Incarnation{row.integer_at(1)}) + ", which is not there";
     }},
    {"SELECT paths.path, stream, streams.path FROM paths JOIN streams ON id = stream "
     "WHERE paths.path != streams.path",
     [](const Query& row) {
       return "path " + path_in(row, 0) + " leads to " +
              stream_text(Incarnation{row.integer_at(1)}, row.text_at(2));
     }},
    {"SELECT id, path FROM streams WHERE id IS NOT (SELECT stream FROM paths "
     "WHERE paths.path = streams.path)",
     [](const Query& row) {
       return "the path of " + stream_text(Incarnation{row.integer_at(0)}, row.text_at(1)) +
              " does not lead to it";
     }},
    {"SELECT stream, begin_at, end_at, segment FROM extents "
     "WHERE segment NOT IN (SELECT id FROM segments)",
     [](const Query& row) {
       return stream_text(Incarnation{row.integer_at(0)}) + " at " +
              range_text(Position{row.integer_at(1)}, Position{row.integer_at(2)}) + " is in " +
              segment_name(row.integer_at(3)) + ", which is not among the segments";
     }},
    {"SELECT stream, begin_at, end_at FROM extents WHERE stream NOT IN (SELECT id FROM streams)",
     [](const Query& row) {
       return "an extent at " +
              range_text(Position{row.integer_at(1)}, Position{row.integer_at(2)}) + " is of " +
              stream_text(Incarnation{row.integer_at(0)}) + ", which is not there";
     }},
    {"SELECT state.streams, count(*) FROM state, (SELECT 1 FROM streams) "
     "HAVING state.streams != count(*)",
     [](const Query& row) {
       return "it counts " + std::to_string(row.integer_at(0)) + " streams and has " +
              std::to_string(row.integer_at(1));
     }},
    {"SELECT max(id), next_segment FROM segments, state HAVING max(id) >= next_segment",
     [](const Query& row) {
       return segment_name(row.integer_at(0)) + " is there, and the next one would be " +
              segment_name(row.integer_at(1));
     }},
};

}  // namespace

CatalogStatus check_catalog(CatalogRows& catalog, bool quick, CheckReport& report) {
  const CatalogStatus checked = catalog.for_each(
      quick ? "PRAGMA quick_check" : "PRAGMA integrity_check", [&report](const Query& row) {
        if (row.text_at(0) == "ok") return;
        report.problem("catalog.db: SQLite: " + std::string(row.text_at(0)));
      });
  if (!checked.ok()) return checked;
  for (const Contradiction& each : kContradictions) {
    const CatalogStatus looked = catalog.for_each(
        each.sql, [&](const Query& row) { report.problem("catalog.db: " + each.text(row)); });
    if (!looked.ok()) return looked;
  }
  return true;
}

}  // namespace ds::store
