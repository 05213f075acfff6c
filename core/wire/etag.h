// Entity tags of reads (PROTOCOL §5.6, §10.1): the life that was read, the range, and whether it
// reached the tail and the end of the stream, so that the tag changes when any header does.
#pragma once

#include <string>
#include <string_view>

#include "core/base/types.h"

namespace ds::wire {

struct ETag {
  Incarnation life;
  Position begin;
  Position end;
  bool up_to_date = false;
  bool closed = false;
};

// Appends `"<life>:<begin>:<end>"`, quotes included, with ":t" before the closing quote at the tail
// and ":c" at the end of a closed stream.
void append_etag(std::string& out, const ETag& tag);

// If-None-Match (RFC 9110 §13.1.2): "*", or a list of tags compared weakly.
bool if_none_match_matches(std::string_view header, const ETag& tag);
// The same for a tag of ours as text.
bool if_none_match_names(std::string_view header, std::string_view tag);

}  // namespace ds::wire
