#include "store/check/check_data.h"

#include <string>
#include <vector>

#include "store/check/check_catalog.h"
#include "store/check/check_log.h"
#include "store/check/check_segments.h"
#include "store/check/check_streams.h"

namespace ds::store {
namespace {

// A server may seal and remove a generation between the looks at the catalog and at the log.
constexpr int kTriesMax = 100;

CatalogStatus open_both(const CheckedData& data, OpenLog& log) {
  for (int tries = 1;; ++tries) {
    const CatalogStatus begun = data.catalog.begin();
    if (!begun.ok()) return begun;
    const auto state = data.catalog.state();
    if (!state.ok()) return state.error();
    log = open_log(data.log, state->sealed_through);
    if (!data.online || (log.missing.empty() && log.problems.empty())) return true;
    if (tries == kTriesMax) return true;
  }
}

CatalogStatus check_all(const CheckedData& data, CheckReport& report) {
  OpenLog log;
  CatalogStatus status = open_both(data, log);
  if (status.ok()) status = check_catalog(data.catalog, data.quick, report);
  ReplayedLog replayed;
  if (status.ok()) status = check_log(log, data.catalog, report, replayed);
  if (status.ok()) status = check_streams(data.catalog, replayed, report);
  if (!status.ok()) return status;
  std::vector<uint64_t> gone;
  status = check_segments(data.segments, data.catalog, {data.quick, data.online}, report, gone);
  if (!status.ok() || gone.empty()) return status;
  status = data.catalog.begin();
  return status.ok() ? check_gone_segments(data.segments, data.catalog, gone, report) : status;
}

}  // namespace

void check_data(const CheckedData& data, CheckReport& report) {
  const CatalogStatus checked = check_all(data, report);
  if (!checked.ok()) {
    report.problem("catalog.db: cannot be read: " + checked.error().message +
                   "; what follows from it was not checked");
  }
}

}  // namespace ds::store
