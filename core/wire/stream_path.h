// URLs to stream paths: /v1/stream/<project>/<stream...>; a single segment is a stream of the
// project "_default". Traversal and ambiguity are refused here, before anything else is looked at.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/wire/errors.h"

namespace ds::wire {

inline constexpr std::string_view kStreamRoot = "/v1/stream/";
inline constexpr std::string_view kDefaultProject = "_default";
inline constexpr size_t kStreamPathBytesMax = 1024;

// From the path component of a request target (no query) to the canonical "<project>/<stream...>",
// which lies in `scratch`. Two spellings of one URL name one stream: RFC 3986's unreserved
// characters stand for themselves, all others are upper-case escapes whether they came escaped or
// not ("a!" is "a%21"); an escaped slash stays escaped.
// Errors: kNotFound outside of kStreamRoot; kInvalidPath for empty, "." and ".." segments (escaped
// or not), control characters, backslashes, '?', '#', bad escapes and canonical paths over
// kStreamPathBytesMax; kReservedPath for "__ds" as first segment of the root or of a project.
Result<std::string_view, ErrorCode> parse_stream_path(std::string_view target_path,
                                                      std::string& scratch);

// Appends, in canonical spelling, what the path of a stream below its project may begin with: whole
// segments, and a last one that may be cut off anywhere but inside an escape. False, with something
// of it appended perhaps, if no path begins like that.
bool append_path_start(std::string& out, std::string_view text);

}  // namespace ds::wire
