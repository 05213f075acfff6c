// A catalog's rows as a check reads them: all of one moment, and without changing anything.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/types.h"
#include "store/catalog.h"
#include "store/catalog_sql.h"
#include "store/sqlite.h"

namespace ds::store {

// Used by one thread.
class CatalogRows {
 public:
  enum class Others : uint8_t {
    kNone,     // nobody else has the catalog open, nor opens it
    kMayWrite  // a server has it open
  };
  static Result<std::unique_ptr<CatalogRows>, CatalogError> open(const std::string& path,
                                                                 Others others);

  // From here on everything is as it is now, until the next call.
  CatalogStatus begin();

  Result<CatalogState, CatalogError> state();
  Result<uint64_t, CatalogError> stream_count();
  Result<std::optional<CatalogStream>, CatalogError> find(Incarnation id);
  Result<std::optional<CatalogStream>, CatalogError> find(std::string_view path);
  // The last extent of `owner` that begins at or before `at`.
  Result<std::optional<CatalogExtent>, CatalogError> extent_at(Incarnation owner, Position at);
  Result<std::vector<CatalogExtent>, CatalogError> extents_of(Incarnation owner);
  Result<std::vector<CatalogSegment>, CatalogError> segments();
  Result<std::vector<std::pair<Incarnation, Incarnation>>, CatalogError> open_pins();
  // All of them, by identity. Other calls may be made meanwhile.
  CatalogStatus for_each_stream(const std::function<void(const CatalogStream&)>& take);
  // For each row of a statement.
  CatalogStatus for_each(const char* sql, const std::function<void(const Query&)>& take);
  CatalogStatus for_each(const char* sql, uint64_t parameter,
                         const std::function<void(const Query&)>& take);

 private:
  explicit CatalogRows(Database database) : database_(std::move(database)) {}
  CatalogStatus start();

  Database database_;
  ReadStatements read_;
};

}  // namespace ds::store
