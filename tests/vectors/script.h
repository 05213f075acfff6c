// Runs a vector file: a transcript in which lines that begin with '<' are what must come out and
// all others are what goes in. tests/vectors/README.md describes the lines.
#pragma once

#include <string>
#include <string_view>

namespace ds::vectors {

// The transcript that results from the input lines of `text`: equal to `text` if all is well.
std::string replay_script(std::string_view text);

}  // namespace ds::vectors
