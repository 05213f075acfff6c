// Retention: which sealed messages of a stream are older, or more, than it keeps. Planned here from
// the catalog, decided by the stream's engine as an op (kTrim), carried out when that is sealed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "core/base/types.h"
#include "core/stream/op.h"
#include "store/catalog.h"

namespace ds::store {

// A stream is to forget what it has before `earliest`, which is the end of an extent: whole extents
// go.
struct Trim {
  Incarnation stream;
  uint64_t path_hash = 0;
  Position earliest;
};

// Looks at the streams that are due, at most `limit`, and notes when each is to be looked at again.
// `server` is what every stream keeps at most. `looked_at`, if not null, is how many there were:
// the limit means that there are more.
Result<std::vector<Trim>, CatalogError> plan_trims(Catalog& catalog,
                                                   const stream::Retention& server, Instant now,
                                                   size_t limit, size_t* looked_at);

}  // namespace ds::store
