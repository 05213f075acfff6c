// The lives of a stream's positions: which incarnation an offset at a position shows, and what
// position an offset means.
//
// A stream begins with one life. A fork shows inherited positions with its source's lives and its
// own appends with its own. After a restart that may have lost answered writes (relaxed durability)
// a stream goes on under a new life, so that no position is ever issued twice.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/types.h"

namespace ds::stream {

// Offsets at positions after `start` show this life, until the next span starts: an offset at a
// border shows the earlier life, so that a fork's offsets equal its source's up to the fork point.
// The first span starts at position 0 and holds it too.
struct LifeSpan {
  Position start;
  Incarnation life;
  // What the life before had after `start` was lost, rather than left to the source of a fork.
  bool after_loss = false;
};

// REQUIRES for all: `lives` is not empty, begins at position 0, and starts never decrease.

// The offset to show for position `p`.
Offset offset_at(const std::vector<LifeSpan>& lives, Position p);

// The position that a client's offset means, at most `tail`: beyond the tail means the tail, beyond
// a fork point with the source's life means the fork point. Nothing if the offset belongs to
// another life, or to writes that were lost: those readers have seen what is not here.
std::optional<Position> resolve_offset(const std::vector<LifeSpan>& lives, Offset offset,
                                       Position tail);

// The spans that matter up to `p`.
std::vector<LifeSpan> lives_until(const std::vector<LifeSpan>& lives, Position p);

}  // namespace ds::stream
