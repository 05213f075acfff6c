// A read of sealed messages: what an engine asks its host for, and what comes back.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/slice.h"
#include "core/base/types.h"

namespace ds::segment {

// Messages of `owner`: those that end after `from`; the one that reaches past `to` is cut there (a
// fork may begin inside a message of its source).
struct SealedPiece {
  Incarnation owner;
  Position from;
  Position to;  // > from
};

// Pieces lie back to back: each begins where the one before ends. The answer begins with the first
// message that ends after pieces[0].from and ends with the first message end at or after
// `boundary`, or else where the pieces end.
struct SealedRead {
  std::vector<SealedPiece> pieces;
  uint64_t max_chunk_bytes = 0;
  // 0: the next multiple of max_chunk_bytes after the place where the answer begins (the convergent
  // boundary); otherwise as given, for an answer that has begun already.
  Position boundary;
};

struct SealedChunk {
  Position begin;
  Position end;
  uint64_t newest_ms = 0;      // of its last message
  std::vector<Position> ends;  // of its messages
  SharedBytes bytes;           // end - begin of them
};

// The first message end that may end a chunk which begins at `begin`.
constexpr Position chunk_boundary(Position begin, uint64_t max_chunk_bytes) {
  return Position{(begin.value / max_chunk_bytes + 1) * max_chunk_bytes};
}

}  // namespace ds::segment
