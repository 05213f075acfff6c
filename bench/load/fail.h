// What the generator cannot go on after: its own machine's or command line's trouble, never a wrong
// answer of the server (those are counted).
#pragma once

#include <string_view>

namespace ds::bench {

// Prints "ds-load: <what>" and exits with status 2.
[[noreturn]] void fail(std::string_view what);
// The same, with errno's text.
[[noreturn]] void fail_errno(std::string_view what);

}  // namespace ds::bench
