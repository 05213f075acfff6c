// How heads and trailers are spelled: shared by the writer and the decoders of a segment, and used
// by nobody else (docs/segment-format.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/segment/format.h"

namespace ds::segment {

// The least that these take, which bounds the memory that a count of them can ask for.
inline constexpr uint64_t kMessageInListBytesMin = 2;
inline constexpr uint64_t kBlockInHeadBytesMin = 3 + 4 + 4;
inline constexpr uint64_t kHeadBytesMin = 4 + 6 + kBlockInHeadBytesMin;

// The offsets of all data and lists follow from those of the first block.
void append_head(std::string& out, const Head& head);
// The head at the beginning of `bytes`, which may go on behind it; nothing if it does not check.
std::optional<Head> take_head(std::string_view bytes);

void append_trailer(std::string& out, const Trailer& trailer);

}  // namespace ds::segment
