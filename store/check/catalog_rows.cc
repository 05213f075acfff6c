#include "store/check/catalog_rows.h"

namespace ds::store {

using Kind = CatalogError::Kind;

Result<std::unique_ptr<CatalogRows>, CatalogError> CatalogRows::open(const std::string& path,
                                                                     Others others) {
  auto database = others == Others::kNone ? Database::open_alone(path)
                                          : Database::open(path, Catalog::Mode::kReadOnly);
  if (!database.ok()) return database.error();
  std::unique_ptr<CatalogRows> rows(new CatalogRows(std::move(database).value()));
  const CatalogStatus started = rows->start();
  if (!started.ok()) return started.error();
  return rows;
}

CatalogStatus CatalogRows::start() {
  const CatalogStatus set = database_.execute("PRAGMA query_only = ON");
  if (!set.ok()) return set;
  const auto application = database_.integer("PRAGMA application_id");
  if (!application.ok()) return application.error();
  if (*application != kCatalogApplicationId) {
    return CatalogError{Kind::kCorrupt, "it is not a catalog"};
  }
  const auto version = database_.integer("PRAGMA user_version");
  if (!version.ok()) return version.error();
  if (*version != kCatalogVersion) {
    return CatalogError{Kind::kOtherVersion, "it was written by another version of this program (" +
                                                 std::to_string(*version) + ")"};
  }
  return read_.prepare(database_);
}

CatalogStatus CatalogRows::begin() {
  if (sqlite3_get_autocommit(database_.handle()) == 0) {
    const CatalogStatus ended = database_.execute("ROLLBACK");
    if (!ended.ok()) return ended;
  }
  const CatalogStatus begun = database_.execute("BEGIN");
  if (!begun.ok()) return begun;
  // The first read is what fixes the moment.
  const auto read = state();
  if (!read.ok()) return read.error();
  return true;
}

Result<CatalogState, CatalogError> CatalogRows::state() {
  Query query(read_.state);
  const auto row = query.next();
  if (!row.ok()) return row.error();
  if (!*row) return CatalogError{Kind::kCorrupt, "it has lost its state"};
  CatalogState state;
  state.sealed_through = static_cast<uint32_t>(query.integer_at(0));
  state.highest_life.value = query.integer_at(1);
  state.lost_life.value = query.integer_at(2);
  state.next_segment = query.integer_at(3);
  return state;
}

Result<uint64_t, CatalogError> CatalogRows::stream_count() {
  Query query(read_.stream_count);
  const auto row = query.next();
  if (!row.ok()) return row.error();
  return *row ? query.integer_at(0) : uint64_t{0};
}

Result<std::optional<CatalogStream>, CatalogError> CatalogRows::find(Incarnation id) {
  Query query(read_.by_id);
  const auto row = query.integer(id.value).next();
  if (!row.ok()) return row.error();
  return *row ? std::optional(stream_in(query)) : std::nullopt;
}

Result<std::optional<CatalogStream>, CatalogError> CatalogRows::find(std::string_view path) {
  Query query(read_.by_path);
  const auto row = query.text(path).next();
  if (!row.ok()) return row.error();
  return *row ? std::optional(stream_in(query)) : std::nullopt;
}

Result<std::optional<CatalogExtent>, CatalogError> CatalogRows::extent_at(Incarnation owner,
                                                                          Position at) {
  Query query(read_.extent_at);
  const auto row = query.integer(owner.value).integer(at.value).next();
  if (!row.ok()) return row.error();
  return *row ? std::optional(extent_in(query)) : std::nullopt;
}

Result<std::vector<CatalogExtent>, CatalogError> CatalogRows::extents_of(Incarnation owner) {
  Query query(read_.extents_of);
  query.integer(owner.value);
  std::vector<CatalogExtent> found;
  for (;;) {
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return found;
    found.push_back(extent_in(query));
  }
}

Result<std::vector<CatalogSegment>, CatalogError> CatalogRows::segments() {
  Query query(read_.segments);
  std::vector<CatalogSegment> found;
  for (;;) {
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return found;
    found.push_back(segment_in(query));
  }
}

Result<std::vector<std::pair<Incarnation, Incarnation>>, CatalogError> CatalogRows::open_pins() {
  Query query(read_.open_pins);
  std::vector<std::pair<Incarnation, Incarnation>> found;
  for (;;) {
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return found;
    found.emplace_back(Incarnation{query.integer_at(0)}, Incarnation{query.integer_at(1)});
  }
}

CatalogStatus CatalogRows::for_each_stream(const std::function<void(const CatalogStream&)>& take) {
  return for_each("SELECT id, path, due, pinned, snapshot FROM streams ORDER BY id",
                  [&take](const Query& row) { take(stream_in(row)); });
}

CatalogStatus CatalogRows::for_each(const char* sql,
                                    const std::function<void(const Query&)>& take) {
  Statement statement;
  const CatalogStatus prepared = statement.prepare(database_, sql);
  if (!prepared.ok()) return prepared;
  Query query(statement);
  for (;;) {
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return true;
    take(query);
  }
}

CatalogStatus CatalogRows::for_each(const char* sql, uint64_t parameter,
                                    const std::function<void(const Query&)>& take) {
  Statement statement;
  const CatalogStatus prepared = statement.prepare(database_, sql);
  if (!prepared.ok()) return prepared;
  Query query(statement);
  query.integer(parameter);
  for (;;) {
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return true;
    take(query);
  }
}

}  // namespace ds::store
