#include "core/stream/lives.h"

#include "core/base/assert.h"

namespace ds::stream {

Offset offset_at(const std::vector<LifeSpan>& lives, Position p) {
  DS_ASSERT(!lives.empty());
  size_t i = lives.size() - 1;
  while (i > 0 && lives[i].start >= p) --i;
  return Offset{lives[i].life, p};
}

std::optional<Position> resolve_offset(const std::vector<LifeSpan>& lives, Offset offset,
                                       Position tail) {
  for (size_t i = lives.size(); i-- > 0;) {
    if (lives[i].life != offset.life) continue;
    const bool newest = i + 1 == lives.size();
    const Position end = newest ? tail : lives[i + 1].start;
    if (offset.position <= end) return offset.position;
    if (!newest && lives[i + 1].after_loss) return std::nullopt;
    return end;
  }
  return std::nullopt;
}

std::vector<LifeSpan> lives_until(const std::vector<LifeSpan>& lives, Position p) {
  std::vector<LifeSpan> kept;
  for (const LifeSpan& span : lives) {
    if (kept.empty() || span.start < p) kept.push_back(span);
  }
  return kept;
}

}  // namespace ds::stream
