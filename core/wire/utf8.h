// UTF-8 over message borders.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ds::wire {

// The number of bytes (0 to 3) at the end of `bytes` that begin a character which more bytes could
// complete. Bytes that can no longer become valid do not count.
size_t utf8_incomplete_suffix(std::string_view bytes);

bool utf8_valid(std::string_view bytes);

// The length (1 to 4) of the valid character that `bytes` begins with; 0 if there is none.
size_t utf8_character_bytes(std::string_view bytes);

// Appends `bytes` with every maximal invalid part replaced by U+FFFD, as browsers decode it.
void append_utf8_lossy(std::string& out, std::string_view bytes);

}  // namespace ds::wire
