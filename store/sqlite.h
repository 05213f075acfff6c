// The little of SQLite that the catalog needs, with errors as values. A Database and its
// statements are used by one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "store/catalog.h"

namespace ds::store {

// Nothing, or an error.
using CatalogStatus = Result<bool, CatalogError>;

class Database {
 public:
  static Result<Database, CatalogError> open(const std::string& path, Catalog::Mode mode);
  // For reading a file that nobody else has open, without changing it or what lies beside it: what
  // a crash has left in its write-ahead log is read and stays there.
  static Result<Database, CatalogError> open_alone(const std::string& path);

  // What the last call on this connection failed with.
  CatalogError error() const;
  // Runs statements that return no rows.
  CatalogStatus execute(const char* sql);
  // The one integer that a statement returns.
  Result<int64_t, CatalogError> integer(const char* sql);

  // Before anything is read: makes the write-ahead log on the medium what this process is about to
  // read. After a sync that failed, the system may take pages for written that the medium never
  // got; a checkpoint of them, cut short by a power loss, would leave a part of a transaction.
  CatalogStatus write_log_again();
  // Makes durable what the write-ahead log holds. A process that was killed may have left
  // transactions there that were never synced, or whose sync failed: they count as soon as somebody
  // has read them, but a power loss could undo them.
  CatalogStatus settle_log();

  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  // `name` is a path or, with SQLITE_OPEN_URI, a URI. Errors name `path`.
  static Result<Database, CatalogError> open_with(const std::string& path, const std::string& name,
                                                  int flags);

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// A prepared statement, kept for the life of its connection.
class Statement {
 public:
  // Borrows `database`, which it must not outlive.
  CatalogStatus prepare(const Database& database, const char* sql);

 private:
  friend class Query;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  const Database* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// One execution of a statement: parameters in order, then its rows. Frees the statement at its end.
class Query {
 public:
  explicit Query(Statement& statement)
      : database_(*statement.database_), handle_(statement.handle_.get()) {}
  ~Query() {
    sqlite3_reset(handle_);
    sqlite3_clear_bindings(handle_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Integers keep their 64 bits; they sort as long as they are below 2^63.
  Query& integer(uint64_t value);
  Query& null();
  // Borrowed until the end of the query.
  Query& text(std::string_view value);
  Query& blob(std::string_view value);

  // True: there is a row. False: there are no more.
  Result<bool, CatalogError> next();
  // For statements without rows.
  CatalogStatus run();

  // Of the current row; strings until the next call of next().
  uint64_t integer_at(int column) const {
    return static_cast<uint64_t>(sqlite3_column_int64(handle_, column));
  }
  bool null_at(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  std::string_view text_at(int column) const;
  std::string_view blob_at(int column) const;

 private:
  const Database& database_;
  sqlite3_stmt* handle_;
  int bound_ = 0;
};

}  // namespace ds::store
