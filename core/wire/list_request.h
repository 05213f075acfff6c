// What a listing of a project's streams asks for:
// /v1/streams/<project>?prefix=<path>&after=<path>&limit=<n>
//
// `prefix` and `after` are parts of a stream's path below its project. They are spelt as in a
// stream's URL (two spellings of one path are one), and then escaped as any query value is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/wire/errors.h"

namespace ds::wire {

inline constexpr std::string_view kListRoot = "/v1/streams/";
inline constexpr uint32_t kListLimitDefault = 100;
inline constexpr uint32_t kListLimitMax = 1000;

struct ListRequest {
  std::string project;  // canonical, with the slash behind it
  std::string prefix;   // canonical, the project before it
  std::string after;    // the same; the project alone: from the beginning
  uint32_t limit = kListLimitDefault;
};

// From the path and the query of a request target. Parameters of other names are ignored. Errors:
// kNotFound outside of kListRoot and below a project; kInvalidPath and kReservedPath for a project
// that no stream can be in; kInvalidListing for a parameter that is repeated or malformed.
Result<ListRequest, ErrorCode> parse_list_request(std::string_view target_path,
                                                  std::string_view query);

}  // namespace ds::wire
