#include "store/sqlite.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace ds::store {
namespace {

using Kind = CatalogError::Kind;

// How long a call waits for another connection, mostly for the end of a transaction.
constexpr int kBusyMs = 10000;

Kind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Kind::kNoSpace;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    // A row that must not be there twice: the catalog contradicts itself or the log.
    case SQLITE_CONSTRAINT:
      return Kind::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Kind::kBusy;
    default:
      return Kind::kIo;
  }
}

// Data of a string without bytes may be null, and would bind NULL.
const char* data_of(std::string_view value) { return value.data() != nullptr ? value.data() : ""; }

// As part of a URI.
std::string uri_path(const std::string& path) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string uri;
  for (const char c : path) {
    if (c != '%' && c != '?' && c != '#') {
      uri += c;
      continue;
    }
    uri += '%';
    uri += kHex[static_cast<unsigned char>(c) >> 4];
    uri += kHex[static_cast<unsigned char>(c) & 15];
  }
  return uri;
}

int write_and_sync_again(sqlite3_file& file) {
  constexpr sqlite3_int64 kChunkBytes = 64 * 1024;
  const auto& calls = *file.pMethods;
  sqlite3_int64 size = 0;
  int code = calls.xFileSize(&file, &size);
  std::string chunk;
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += kChunkBytes) {
    const auto bytes = static_cast<int>(std::min(kChunkBytes, size - at));
    chunk.resize(static_cast<size_t>(bytes));
    code = calls.xRead(&file, chunk.data(), bytes, at);
    if (code == SQLITE_OK) code = calls.xWrite(&file, chunk.data(), bytes, at);
  }
  return code == SQLITE_OK ? calls.xSync(&file, SQLITE_SYNC_NORMAL) : code;
}

std::string_view bytes_of(const void* data, int size) {
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

}  // namespace

Result<Database, CatalogError> Database::open_with(const std::string& path, const std::string& name,
                                                   int flags) {
  // SQLite would count every allocation of the process under one lock. Nobody asks for the count.
  // Refused once SQLite is in use, as in a program that has registered a file system with it.
  [[maybe_unused]] static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(path, handle);
  if (handle == nullptr) return CatalogError{Kind::kIo, path + ": out of memory"};
  sqlite3_extended_result_codes(handle, 1);
  if (code != SQLITE_OK) return database.error();
  sqlite3_busy_timeout(handle, kBusyMs);
  return database;
}

Result<Database, CatalogError> Database::open(const std::string& path, Catalog::Mode mode) {
  const int flags = mode == Catalog::Mode::kReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                                      : SQLITE_OPEN_READONLY;
  return open_with(path, path, flags);
}

Result<Database, CatalogError> Database::open_alone(const std::string& path) {
  std::error_code none;
  const auto wal_bytes = std::filesystem::file_size(path + "-wal", none);
  if (none || wal_bytes == 0) {
    return open_with(path, "file:" + uri_path(path) + "?immutable=1",
                     SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  }
  // Reading the log needs its index. Exclusive, it is in memory and not in a file; and that takes
  // the right to write, though nothing is.
  auto database = open_with(path, path, SQLITE_OPEN_READWRITE);
  if (!database.ok()) return database;
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  const CatalogStatus set =
      database->execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON");
  if (!set.ok()) return set.error();
  return database;
}

CatalogError Database::error() const {
  return {kind_of(sqlite3_extended_errcode(handle_.get())),
          path_ + ": " + sqlite3_errmsg(handle_.get())};
}

CatalogStatus Database::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  return true;
}

CatalogStatus Database::write_log_again() {
  sqlite3_vfs* vfs = nullptr;
  sqlite3_file_control(handle_.get(), nullptr, SQLITE_FCNTL_VFS_POINTER, &vfs);
  const char* name = sqlite3_filename_wal(sqlite3_db_filename(handle_.get(), "main"));
  int exists = 0;
  int code = vfs->xAccess(vfs, name, SQLITE_ACCESS_EXISTS, &exists);
  if (code == SQLITE_OK && exists == 0) return true;
  const auto memory = std::make_unique<std::max_align_t[]>(
      static_cast<size_t>(vfs->szOsFile) / sizeof(std::max_align_t) + 1);
  auto* const log = reinterpret_cast<sqlite3_file*>(memory.get());
  if (code == SQLITE_OK) {
    code = vfs->xOpen(vfs, name, log, SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, nullptr);
  }
  if (code == SQLITE_OK) code = write_and_sync_again(*log);
  if (log->pMethods != nullptr) log->pMethods->xClose(log);
  // A full disk that refuses even this must not keep a server from starting: it is what makes room.
  if (code == SQLITE_OK || kind_of(code) == Kind::kNoSpace) return true;
  return CatalogError{kind_of(code), path_ + ": cannot write the write-ahead log again"};
}

CatalogStatus Database::settle_log() {
  // Copied and emptied, as after a failed sync the system may believe that the log is written when
  // only a part of it is: that part would hide what has been copied.
  const int code = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                             nullptr, nullptr);
  if (code != SQLITE_OK && kind_of(code) != Kind::kBusy && kind_of(code) != Kind::kNoSpace) {
    return error();
  }
  // If somebody reads it, or the disk is full, it stays as it is.
  sqlite3_file* log = nullptr;
  sqlite3_file_control(handle_.get(), nullptr, SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (log == nullptr || log->pMethods == nullptr) return true;
  if (log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK) return true;
  return CatalogError{Kind::kIo, path_ + ": cannot sync the write-ahead log"};
}

Result<int64_t, CatalogError> Database::integer(const char* sql) {
  Statement statement;
  const CatalogStatus prepared = statement.prepare(*this, sql);
  if (!prepared.ok()) return prepared.error();
  Query query(statement);
  const auto row = query.next();
  if (!row.ok()) return row.error();
  return *row ? static_cast<int64_t>(query.integer_at(0)) : int64_t{0};
}

CatalogStatus Statement::prepare(const Database& database, const char* sql) {
  sqlite3_stmt* handle = nullptr;
  const int code =
      sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  database_ = &database;
  handle_.reset(handle);
  if (code != SQLITE_OK) return database.error();
  return true;
}

Query& Query::integer(uint64_t value) {
  sqlite3_bind_int64(handle_, ++bound_, static_cast<int64_t>(value));
  return *this;
}

Query& Query::null() {
  sqlite3_bind_null(handle_, ++bound_);
  return *this;
}

Query& Query::text(std::string_view value) {
  sqlite3_bind_text64(handle_, ++bound_, data_of(value), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Query& Query::blob(std::string_view value) {
  sqlite3_bind_blob64(handle_, ++bound_, data_of(value), value.size(), SQLITE_STATIC);
  return *this;
}

Result<bool, CatalogError> Query::next() {
  switch (sqlite3_step(handle_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return database_.error();
  }
}

CatalogStatus Query::run() {
  const auto row = next();
  if (!row.ok()) return row.error();
  return true;
}

std::string_view Query::text_at(int column) const {
  const unsigned char* data = sqlite3_column_text(handle_, column);
  return bytes_of(data, sqlite3_column_bytes(handle_, column));
}

std::string_view Query::blob_at(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  return bytes_of(data, sqlite3_column_bytes(handle_, column));
}

}  // namespace ds::store
