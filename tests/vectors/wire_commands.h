// Vectors of the wire codecs alone: one line in, one answer out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ds::vectors {

// What `command` with `argument` (escapes resolved) answers, or nothing if it is no wire command.
std::optional<std::string> run_wire_command(std::string_view command, std::string_view argument);

}  // namespace ds::vectors
