// The text behind a component of a query.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ds::wire {

// The text that a query component stands for. Most hold no escape and are returned as they are,
// others are decoded into `buffer`. Nothing if an escape is broken.
std::optional<std::string_view> decode_query_component(std::string_view text, std::string& buffer);

}  // namespace ds::wire
