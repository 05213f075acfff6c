#include "core/wire/utf8.h"

#include <cstdint>

#include "core/base/bytes.h"

namespace ds::wire {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

enum class Form : uint8_t {
  kValid,    // a whole character
  kCut,      // the bytes end inside of what may become one
  kInvalid,  // no character begins like this
};

// What a text begins with: a character, or the longest part of one ("maximal subpart", Unicode
// §3.9), which is what one U+FFFD stands for.
struct Head {
  Form form;
  uint8_t length;
};

// Table 3-7 of the Unicode standard. REQUIRES: p < end.
Head read_head(const unsigned char* p, const unsigned char* end) {
  const unsigned char lead = *p;
  if (lead < 0x80) return {Form::kValid, 1};
  unsigned char low = 0x80;  // the bounds of the second byte
  unsigned char high = 0xbf;
  uint8_t length = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;   // no overlong forms
    if (lead == 0xed) high = 0x9f;  // no surrogates
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;   // no overlong forms
    if (lead == 0xf4) high = 0x8f;  // nothing above U+10FFFF
  } else {
    return {Form::kInvalid, 1};
  }
  for (uint8_t i = 1; i < length; ++i) {
    if (p + i == end) return {Form::kCut, i};
    if (p[i] < low || p[i] > high) return {Form::kInvalid, i};
    low = 0x80;
    high = 0xbf;
  }
  return {Form::kValid, length};
}

const unsigned char* bytes_of(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// The first byte from `p` on that is not part of a valid character.
const unsigned char* skip_valid(const unsigned char* p, const unsigned char* end) {
  while (p != end) {
    if (*p < 0x80) {
      while (end - p >= 8 && (load_le64(p) & 0x8080808080808080) == 0) p += 8;
      while (p != end && *p < 0x80) ++p;
      continue;
    }
    const Head head = read_head(p, end);
    if (head.form != Form::kValid) break;
    p += head.length;
  }
  return p;
}

}  // namespace

size_t utf8_incomplete_suffix(std::string_view bytes) {
  const unsigned char* begin = bytes_of(bytes);
  const unsigned char* end = begin + bytes.size();
  for (size_t length = 1; length <= 3 && length <= bytes.size(); ++length) {
    const unsigned char* p = end - length;
    const bool continuation = (*p & 0xc0) == 0x80;
    if (continuation) continue;
    const Head head = read_head(p, end);
    return head.form == Form::kCut ? length : 0;
  }
  return 0;
}

bool utf8_valid(std::string_view bytes) {
  const unsigned char* end = bytes_of(bytes) + bytes.size();
  return skip_valid(bytes_of(bytes), end) == end;
}

size_t utf8_character_bytes(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const Head head = read_head(bytes_of(bytes), bytes_of(bytes) + bytes.size());
  return head.form == Form::kValid ? head.length : 0;
}

void append_utf8_lossy(std::string& out, std::string_view bytes) {
  const unsigned char* p = bytes_of(bytes);
  const unsigned char* end = p + bytes.size();
  while (p != end) {
    const unsigned char* stop = skip_valid(p, end);
    out.append(reinterpret_cast<const char*>(p), static_cast<size_t>(stop - p));
    p = stop;
    if (p == end) break;
    out += kReplacement;
    p += read_head(p, end).length;
  }
}

}  // namespace ds::wire
