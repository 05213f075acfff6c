#include "store/catalog.h"

#include <algorithm>
#include <map>
#include <utility>

#include "store/catalog_sql.h"
#include "store/sqlite.h"

namespace ds::store {
namespace {

using Kind = CatalogError::Kind;
using Mode = Catalog::Mode;

template <typename T, typename Read>
Result<std::vector<T>, CatalogError> rows(Query& query, const Read& read) {
  std::vector<T> found;
  while (true) {
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return found;
    found.push_back(read(query));
  }
}

template <typename T, typename Read>
Result<std::optional<T>, CatalogError> one_row(Query& query, const Read& read) {
  const auto row = query.next();
  if (!row.ok()) return row.error();
  if (!*row) return std::optional<T>();
  return std::optional<T>(read(query));
}

// The first string behind all that begin with `prefix`; nothing if there is none.
std::optional<std::string> behind_prefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(end.back() + 1);
  return end;
}

class SqliteCatalog final : public Catalog {
 public:
  explicit SqliteCatalog(Database database) : database_(std::move(database)) {}

  CatalogStatus start(Mode mode) {
    CatalogStatus status =
        mode == Mode::kReadWrite ? database_.write_log_again() : CatalogStatus(true);
    if (status.ok()) {
      status = database_.execute(mode == Mode::kReadWrite ? "PRAGMA journal_mode = WAL"
                                                          : "PRAGMA query_only = ON");
    }
    if (status.ok()) status = check_format(mode);
    if (status.ok()) status = read_.prepare(database_);
    if (mode == Mode::kReadOnly || !status.ok()) return status;
    status = database_.execute(kCatalogWriterSettings);
    // Whoever reads here that something is sealed may remove what it was sealed from.
    if (status.ok()) status = database_.settle_log();
    return status.ok() ? write_.prepare(database_) : status;
  }

  Result<CatalogState, CatalogError> state() override {
    Query query(read_.state);
    const auto row = query.next();
    if (!row.ok()) return row.error();
    if (!*row) return CatalogError{Kind::kCorrupt, "the catalog has lost its state"};
    CatalogState state;
    state.sealed_through = static_cast<uint32_t>(query.integer_at(0));
    state.highest_life.value = query.integer_at(1);
    state.lost_life.value = query.integer_at(2);
    state.next_segment = query.integer_at(3);
    return state;
  }

  Result<std::optional<CatalogStream>, CatalogError> find(std::string_view path) override {
    Query query(read_.by_path);
    return one_row<CatalogStream>(query.text(path), stream_in);
  }

  Result<std::optional<CatalogStream>, CatalogError> find(Incarnation id) override {
    Query query(read_.by_id);
    return one_row<CatalogStream>(query.integer(id.value), stream_in);
  }

  Result<std::vector<Due>, CatalogError> due(Due after, Instant until, size_t limit) override {
    Query query(read_.due);
    query.integer(static_cast<uint64_t>(after.due.us)).integer(after.id.value);
    query.integer(static_cast<uint64_t>(until.us)).integer(limit);
    return rows<Due>(query, due_in);
  }

  Result<std::vector<Due>, CatalogError> trims_due(Instant until, size_t limit) override {
    Query query(read_.trims_due);
    query.integer(static_cast<uint64_t>(until.us)).integer(limit);
    return rows<Due>(query, due_in);
  }

  Result<std::vector<CatalogStream>, CatalogError> list(std::string_view prefix,
                                                        std::string_view after,
                                                        size_t limit) override {
    const std::optional<std::string> end = behind_prefix(prefix);
    Query query(end ? read_.list_below : read_.list);
    query.text(std::max(prefix, after)).text(after);
    if (end) query.text(*end);
    return rows<CatalogStream>(query.integer(limit), stream_in);
  }

  Result<uint64_t, CatalogError> stream_count() override {
    Query query(read_.stream_count);
    const auto row = query.next();
    if (!row.ok()) return row.error();
    return *row ? query.integer_at(0) : uint64_t{0};
  }

  Result<std::vector<std::pair<Incarnation, Incarnation>>, CatalogError> open_pins() override {
    Query query(read_.open_pins);
    return rows<std::pair<Incarnation, Incarnation>>(query, [](const Query& row) {
      return std::pair(Incarnation{row.integer_at(0)}, Incarnation{row.integer_at(1)});
    });
  }

  Result<std::optional<CatalogExtent>, CatalogError> extent_at(Incarnation owner,
                                                               Position at) override {
    Query query(read_.extent_at);
    auto found = one_row<CatalogExtent>(query.integer(owner.value).integer(at.value), extent_in);
    if (found.ok() && *found && (*found)->extent.end <= at) return std::optional<CatalogExtent>();
    return found;
  }

  Result<std::vector<CatalogExtent>, CatalogError> extents_of(Incarnation owner) override {
    Query query(read_.extents_of);
    return rows<CatalogExtent>(query.integer(owner.value), extent_in);
  }

  Result<std::vector<CatalogSegment>, CatalogError> segments() override {
    Query query(read_.segments);
    return rows<CatalogSegment>(query, segment_in);
  }

  Result<bool, CatalogError> commit(const CatalogChange& change) override {
    CatalogStatus status = begin();
    if (status.ok()) status = apply(change);
    return status.ok() ? finish() : status;
  }

  Result<bool, CatalogError> begin() override { return database_.execute("BEGIN IMMEDIATE"); }

  Result<bool, CatalogError> apply(const CatalogChange& change) override {
    CatalogStatus status = change_rows(change);
    if (!status.ok()) abandon();
    return status;
  }

  Result<bool, CatalogError> finish() override {
    CatalogStatus status = database_.execute("COMMIT");
    if (!status.ok()) abandon();
    sqlite3_db_release_memory(database_.handle());
    return status;
  }

  void abandon() override {
    if (sqlite3_get_autocommit(database_.handle()) != 0) return;
    // Fails only if SQLite has done it already.
    (void)database_.execute("ROLLBACK");
    sqlite3_db_release_memory(database_.handle());
  }

  Result<std::vector<std::string>, CatalogError> check() override {
    Statement statement;
    const CatalogStatus prepared = statement.prepare(database_, "PRAGMA integrity_check");
    if (!prepared.ok()) return prepared.error();
    Query query(statement);
    auto found =
        rows<std::string>(query, [](const Query& row) { return std::string(row.text_at(0)); });
    if (!found.ok() && found.error().kind == Kind::kCorrupt) {
      return std::vector<std::string>{found.error().message};
    }
    if (found.ok()) std::erase(*found, "ok");
    return found;
  }

 private:
  // Makes a new catalog, or refuses one that is not ours or newer.
  CatalogStatus check_format(Mode mode) {
    if (mode == Mode::kReadWrite) {
      const CatalogStatus made = make_if_empty();
      if (!made.ok()) return made;
    }
    const auto application = database_.integer("PRAGMA application_id");
    if (!application.ok()) return application.error();
    if (*application != kCatalogApplicationId) {
      return CatalogError{Kind::kCorrupt, "the catalog's file is something else's"};
    }
    const auto version = database_.integer("PRAGMA user_version");
    if (!version.ok()) return version.error();
    if (*version != kCatalogVersion) {
      return CatalogError{Kind::kOtherVersion,
                          "the catalog was written by another version of this program (" +
                              std::to_string(*version) + ")"};
    }
    return true;
  }

  CatalogStatus make_if_empty() {
    CatalogStatus status = database_.execute("BEGIN IMMEDIATE");
    if (!status.ok()) return status;
    const auto tables = database_.integer("SELECT count(*) FROM sqlite_schema");
    const auto application = database_.integer("PRAGMA application_id");
    if (!tables.ok()) status = tables.error();
    if (!application.ok()) status = application.error();
    if (status.ok() && *tables == 0 && *application == 0)
      status = database_.execute(kCatalogSchema);
    if (status.ok()) status = database_.execute("COMMIT");
    if (!status.ok()) abandon();
    return status;
  }

  // --- One change, inside a transaction: removals before additions -----------------------------

  CatalogStatus change_rows(const CatalogChange& change) {
    streams_added_ = 0;
    new_paths_.clear();
    live_.clear();
    CatalogStatus status = true;
    for (const Incarnation id : change.removed_streams) {
      if (status = remove_stream(id); !status.ok()) return status;
    }
    for (const CatalogExtent& removed : change.removed_extents) {
      if (status = remove_extent(removed.extent); !status.ok()) return status;
    }
    for (const uint64_t id : change.removed_segments) {
      if (status = Query(write_.remove_segment).integer(id).run(); !status.ok()) return status;
    }
    for (const Incarnation fork : change.settled_pins) {
      if (status = Query(write_.remove_pin).integer(fork.value).run(); !status.ok()) return status;
    }
    for (const CatalogSegment& segment : change.segments) {
      if (status = put_segment(segment); !status.ok()) return status;
    }
    for (const CatalogStream& stream : change.streams) {
      if (status = put_stream(stream); !status.ok()) return status;
    }
    if (status = put_paths(); !status.ok()) return status;
    for (const CatalogExtent& extent : change.extents) {
      if (status = put_extent(extent); !status.ok()) return status;
    }
    if (change.all_trims_due) {
      if (status = Query(write_.set_all_trims_due).run(); !status.ok()) return status;
    }
    for (const auto& [id, due] : change.trims_due) {
      Query query(write_.set_trim_due);
      if (status = instant(query, due).integer(id.value).run(); !status.ok()) return status;
    }
    for (const auto& [source, fork] : change.open_pins) {
      status = Query(write_.put_pin).integer(fork.value).integer(source.value).run();
      if (!status.ok()) return status;
    }
    return put_sums(change.state);
  }

  // What was counted on the way, and the state.
  CatalogStatus put_sums(const CatalogState& state) {
    for (const auto& [segment, bytes] : live_) {
      const CatalogStatus status =
          Query(write_.add_live).integer(static_cast<uint64_t>(bytes)).integer(segment).run();
      if (!status.ok()) return status;
    }
    if (streams_added_ != 0) {
      const CatalogStatus status =
          Query(write_.add_streams).integer(static_cast<uint64_t>(streams_added_)).run();
      if (!status.ok()) return status;
    }
    Query query(write_.set_state);
    query.integer(state.sealed_through).integer(state.highest_life.value);
    return query.integer(state.lost_life.value).integer(state.next_segment).run();
  }

  static Due due_in(const Query& row) {
    return {Instant{static_cast<int64_t>(row.integer_at(0))}, Incarnation{row.integer_at(1)}};
  }

  static Query& instant(Query& query, Instant at) {
    return at == kNever ? query.null() : query.integer(static_cast<uint64_t>(at.us));
  }

  CatalogStatus put_stream(const CatalogStream& stream) {
    if (!stream.known) {
      ++streams_added_;
      new_paths_.emplace_back(stream.path, stream.id);
      Query query(write_.insert_stream);
      return stream_facts(query, stream).integer(stream.id.value).text(stream.path).run();
    }
    Query query(write_.update_stream);
    const CatalogStatus status = stream_facts(query, stream).integer(stream.id.value).run();
    if (!status.ok() || sqlite3_changes(database_.handle()) == 1) return status;
    return CatalogError{Kind::kCorrupt,
                        "the catalog has lost stream " + std::to_string(stream.id.value)};
  }

  static Query& stream_facts(Query& query, const CatalogStream& stream) {
    instant(query, stream.due).integer(stream.pinned ? 1 : 0).blob(stream.snapshot);
    return instant(query, stream.trim_due);
  }

  // In their order, whatever that of the streams is: neighbours share pages.
  CatalogStatus put_paths() {
    std::sort(new_paths_.begin(), new_paths_.end());
    for (const auto& [path, id] : new_paths_) {
      const CatalogStatus status = Query(write_.put_path).text(path).integer(id.value).run();
      if (!status.ok()) return status;
    }
    return true;
  }

  CatalogStatus remove_stream(Incarnation id) {
    CatalogStatus status = true;
    {
      Query query(write_.extents_live);
      status = take_from_segments(query.integer(id.value));
    }
    if (status.ok()) status = Query(write_.remove_extents).integer(id.value).run();
    if (status.ok()) status = Query(write_.remove_path).integer(id.value).run();
    if (status.ok()) status = Query(write_.remove_stream).integer(id.value).run();
    if (status.ok()) streams_added_ -= sqlite3_changes(database_.handle());
    return status;
  }

  CatalogStatus remove_extent(const segment::Extent& extent) {
    CatalogStatus status = true;
    {
      Query query(write_.extent_live);
      status = take_from_segments(query.integer(extent.stream.value).integer(extent.begin.value));
    }
    if (!status.ok()) return status;
    Query query(write_.remove_extent);
    return query.integer(extent.stream.value).integer(extent.begin.value).run();
  }

  // Of rows (segment, bytes).
  CatalogStatus take_from_segments(Query& query) {
    while (true) {
      const auto row = query.next();
      if (!row.ok()) return row.error();
      if (!*row) return true;
      live_[query.integer_at(0)] -= static_cast<int64_t>(query.integer_at(1));
    }
  }

  CatalogStatus put_extent(const CatalogExtent& added) {
    const segment::Extent& extent = added.extent;
    Query query(write_.put_extent);
    query.integer(extent.stream.value).integer(extent.begin.value).integer(extent.end.value);
    query.integer(added.segment).integer(extent.data_offset).integer(extent.head_offset);
    query.integer(extent.head_bytes).integer(extent.newest_ms).integer(extent.messages);
    live_[added.segment] += static_cast<int64_t>(extent.end - extent.begin);
    return query.run();
  }

  CatalogStatus put_segment(const CatalogSegment& segment) {
    Query query(write_.put_segment);
    query.integer(segment.id).integer(segment.level).integer(segment.single ? 1 : 0);
    return query.integer(segment.bytes).integer(segment.data_bytes).integer(segment.extents).run();
  }

  Database database_;
  ReadStatements read_;
  WriteStatements write_;
  // Of the change being applied.
  int64_t streams_added_ = 0;
  std::vector<std::pair<std::string_view, Incarnation>> new_paths_;
  std::map<uint64_t, int64_t> live_;  // bytes to add, by segment
};

}  // namespace

Result<std::unique_ptr<Catalog>, CatalogError> Catalog::open(const std::string& path, Mode mode) {
  auto database = Database::open(path, mode);
  if (!database.ok()) return database.error();
  auto catalog = std::make_unique<SqliteCatalog>(std::move(database).value());
  const CatalogStatus started = catalog->start(mode);
  if (!started.ok()) return started.error();
  return std::unique_ptr<Catalog>(std::move(catalog));
}

}  // namespace ds::store
