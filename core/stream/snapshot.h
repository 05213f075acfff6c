// A stream's state as bytes: what a catalog keeps, so that recovery applies only the ops after it.
//
// The message index is not part of it: sealed messages are found in segments. Format: magic "DSS1",
// the fields below in order, CRC-32C of everything before. docs/op-log-format.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/stream/state.h"

namespace ds::stream {

void append_snapshot(std::string& out, const StreamState& state);

// Nothing if `bytes` is not one whole intact snapshot. Its index is empty and
// begins at the tail.
std::optional<StreamState> decode_snapshot(std::string_view bytes);

}  // namespace ds::stream
