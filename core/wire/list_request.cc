#include "core/wire/list_request.h"

#include <optional>
#include <utility>

#include "core/wire/query_text.h"
#include "core/wire/stream_path.h"
#include "core/wire/text.h"

namespace ds::wire {

Result<ListRequest, ErrorCode> parse_list_request(std::string_view target_path,
                                                  std::string_view query) {
  if (target_path.substr(0, kListRoot.size()) != kListRoot) return ErrorCode::kNotFound;
  const std::string_view segment = target_path.substr(kListRoot.size());
  if (segment.find('/') != std::string_view::npos) return ErrorCode::kNotFound;
  // A project is what a stream in it says it is.
  std::string stream_url(kStreamRoot);
  stream_url.append(segment).append("/-");
  ListRequest request;
  const auto path = parse_stream_path(stream_url, request.project);
  if (!path.ok()) return path.error();
  request.project.pop_back();
  request.prefix = request.after = request.project;

  bool prefix_present = false;
  bool after_present = false;
  bool limit_present = false;
  std::string name_buffer;
  std::string value_buffer;
  while (!query.empty()) {
    const size_t separator = query.find('&');
    const std::string_view parameter = query.substr(0, separator);
    query = separator == std::string_view::npos ? std::string_view{} : query.substr(separator + 1);
    const size_t equals = parameter.find('=');
    const auto name = decode_query_component(parameter.substr(0, equals), name_buffer);
    if (!name || (*name != "prefix" && *name != "after" && *name != "limit")) continue;
    const auto value = decode_query_component(
        equals == std::string_view::npos ? std::string_view{} : parameter.substr(equals + 1),
        value_buffer);
    if (!value) return ErrorCode::kInvalidListing;
    bool& present = *name == "limit"    ? limit_present
                    : *name == "prefix" ? prefix_present
                                        : after_present;
    if (std::exchange(present, true)) return ErrorCode::kInvalidListing;
    if (*name == "limit") {
      const auto limit = parse_decimal(*value, kListLimitMax);
      if (!limit || *limit == 0) return ErrorCode::kInvalidListing;
      request.limit = static_cast<uint32_t>(*limit);
    } else if (!append_path_start(*name == "prefix" ? request.prefix : request.after, *value)) {
      return ErrorCode::kInvalidListing;
    }
  }
  return request;
}

}  // namespace ds::wire
