// Reads as plans: which messages an answer holds and what it says about them (PROTOCOL §5.6,
// §10.1). A plan names positions and index entries; the bytes are the host's to find.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/types.h"
#include "core/segment/sealed_read.h"
#include "core/stream/state.h"
#include "core/wire/request.h"
#include "core/wire/response.h"

namespace ds::stream {

// The messages [first, last) of the index, which hold the bytes [begin, end). Messages that have
// been sealed have no numbers: then both are 0.
struct ReadPlan {
  Position begin;
  Position end;
  size_t first = 0;
  size_t last = 0;
  uint64_t newest_ms = 0;  // when the last of them was written, ms since the Unix epoch
  bool at_tail = false;    // end is the committed tail

  uint64_t bytes() const { return end - begin; }
};

// The position where a client's offset points in the committed state; nothing means 410. The
// beginning is the earliest message that is still there.
std::optional<Position> resolve(const StreamState& state, const wire::OffsetParam& offset);

// From the message that ends after `from` to a convergent boundary: the first message end at or
// after the next multiple of `max_chunk_bytes`, whatever position the reader came from, so that
// readers who began differently soon ask for the same URLs. REQUIRES: from >= index.begin().
ReadPlan plan_read(const StreamState& state, Position from, uint64_t max_chunk_bytes);
// The same up to a boundary that is known already.
ReadPlan plan_read_to(const StreamState& state, Position from, Position boundary);

// Whose bytes those from `from` up to the beginning of the index are: its own, or those of what it
// was forked from. REQUIRES: from < index.begin().
std::vector<segment::SealedPiece> sealed_pieces(const StreamState& state, Position from);

struct CacheLimits {
  uint32_t max_age_seconds = 60;
  uint32_t stale_seconds = 300;
  uint32_t start_max_age_seconds = 5;
};

// How long a read's answer may be kept. `names_life`: its URL names a life. Full chunks and the end
// of a closed stream never change; a chunk that reaches the tail must be revalidated. Never longer
// than the stream lives.
wire::CachePolicy cache_policy(const StreamState& state, const ReadPlan& plan, bool names_life,
                               Instant expires, Instant now, const CacheLimits& limits);

}  // namespace ds::stream
