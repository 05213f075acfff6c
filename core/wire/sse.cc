#include "core/wire/sse.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/wire/offset_text.h"
#include "core/wire/text.h"
#include "core/wire/utf8.h"

namespace ds::wire {
namespace {

constexpr std::string_view kDataEvent = "event: data\n";
constexpr std::string_view kControlEvent = "event: control\n";

// The first `byte` in [p, end), or end.
const char* find_byte(const char* p, const char* end, char byte) {
  if (p == end) return end;
  const void* found = std::memchr(p, byte, static_cast<size_t>(end - p));
  return found == nullptr ? end : static_cast<const char*>(found);
}

// Appends one line's bytes. A reader strips one space after the colon, so that a line of its own
// begins with one needs another.
void append_line_start(std::string& out, std::string_view line) {
  out += "data:";
  if (!line.empty() && line[0] == ' ') out += ' ';
}

// Appends `payload` as data lines, without the end of the last one. `prefix` goes before its first
// byte.
void append_lines(std::string& out, std::string_view prefix, std::string_view payload) {
  const char* p = payload.data();
  const char* const end = p + payload.size();
  // Each end of line is looked for once: both searches only ever move forward.
  const char* cr = find_byte(p, end, '\r');
  const char* lf = find_byte(p, end, '\n');
  append_line_start(out, prefix.empty() ? payload : prefix);
  out += prefix;
  while (true) {
    const char* stop = std::min(cr, lf);
    out.append(p, static_cast<size_t>(stop - p));
    if (stop == end) return;
    out += '\n';
    p = stop + 1;
    if (*stop == '\r' && p != end && *p == '\n') ++p;
    if (cr < p) cr = find_byte(p, end, '\r');
    if (lf < p) lf = find_byte(p, end, '\n');
    append_line_start(out, {p, static_cast<size_t>(end - p)});
  }
}

void append_json(std::string& out, std::string_view stored) {
  if (!stored.empty()) stored.remove_suffix(1);  // the comma after the last message
  append_lines(out, "[", stored);
  out += ']';
}

void append_text(std::string& out, std::string_view stored) {
  if (utf8_valid(stored)) {
    append_lines(out, {}, stored);
    return;
  }
  std::string clean;
  append_utf8_lossy(clean, stored);
  append_lines(out, {}, clean);
}

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The two digits of every 12 bits.
using DigitPairs = std::array<std::array<char, 2>, 4096>;
constexpr DigitPairs make_pairs() {
  DigitPairs pairs{};
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}
constexpr DigitPairs kPairs = make_pairs();

void append_base64(std::string& out, std::string_view bytes) {
  const size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + start;
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 3; from += 3, to += 4, left -= 3) {
    const uint32_t group = static_cast<uint32_t>(from[0]) << 16 |
                           static_cast<uint32_t>(from[1]) << 8 | static_cast<uint32_t>(from[2]);
    std::memcpy(to, kPairs[group >> 12].data(), 2);
    std::memcpy(to + 2, kPairs[group & 4095].data(), 2);
  }
  if (left == 0) return;
  const uint32_t group =
      static_cast<uint32_t>(from[0]) << 16 | (left == 2 ? static_cast<uint32_t>(from[1]) << 8 : 0);
  to[0] = kAlphabet[group >> 18];
  to[1] = kAlphabet[group >> 12 & 63];
  to[2] = left == 2 ? kAlphabet[group >> 6 & 63] : '=';
  to[3] = '=';
}

}  // namespace

void append_sse_data(std::string& out, ContentKind kind, std::string_view stored) {
  out += kDataEvent;
  switch (kind) {
    case ContentKind::kJson:
      append_json(out, stored);
      break;
    case ContentKind::kText:
      append_text(out, stored);
      break;
    case ContentKind::kBinary:
      out += "data:";
      append_base64(out, stored);
      break;
  }
  out += "\n\n";
}

void append_sse_control(std::string& out, const SseControl& control) {
  out += kControlEvent;
  out += "data:{\"streamNextOffset\":\"";
  append_offset(out, control.next_offset);
  out += '"';
  if (control.cursor && !control.closed) {
    out += ",\"streamCursor\":\"";
    append_decimal(out, *control.cursor);
    out += '"';
  }
  if (control.up_to_date || control.closed) out += ",\"upToDate\":true";
  if (control.closed) out += ",\"streamClosed\":true";
  out += "}\n\n";
}

}  // namespace ds::wire
