// The first look at a generation that is to be sealed: what each stream has in it, and what the
// catalog must know beside the streams.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "core/base/types.h"
#include "store/catalog.h"
#include "store/generation_scan.h"
#include "store/seal_error.h"

namespace ds::store {

struct StreamSurvey {
  Incarnation id;
  uint64_t records = 0;
  uint64_t record_bytes = 0;   // its records, whole
  uint64_t payload_bytes = 0;  // of those, the messages
};

struct GenerationSurvey {
  std::vector<StreamSurvey> streams;  // by identity
  Incarnation highest_life;
  // Pins of forks that are neither in the catalog nor in this generation, by fork; and pins that
  // are not open any more.
  std::map<Incarnation, Incarnation> open_pins;
  std::vector<Incarnation> settled_pins;
  std::set<Incarnation> released_pins;  // by an op in this generation, by fork
};

// Looks at the frames up to, and without, sequence `end`.
Result<GenerationSurvey, SealError> survey_generation(const GenerationFile& found, uint64_t end,
                                                      Catalog& catalog);

}  // namespace ds::store
