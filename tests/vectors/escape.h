// Bytes as one readable line, and back.
#pragma once

#include <string>
#include <string_view>

namespace ds::vectors {

// \n, \r, \t, \\ and \xHH stand for bytes; a backslash before anything else stands for itself, so
// that JSON escapes can be written as they are.
std::string unescape(std::string_view text);

// The inverse for what is printed: printable ASCII as it is, everything else escaped.
std::string escape(std::string_view bytes);

}  // namespace ds::vectors
