// durable-streams segment inspect FILE [--messages]: what a segment holds, and whether every byte
// of it is as it was written.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace ds::server {

// Takes text for the standard output or the standard error, line ends included.
using Print = std::function<void(std::string_view)>;

// Goes through the file without changing it. Returns the exit code: 0 if it is intact; 1 if
// anything is damaged, which is named with its place, or if it is not a segment that this program
// can read.
int inspect_segment(const std::string& path, bool with_messages, const Print& out,
                    const Print& error);

}  // namespace ds::server
