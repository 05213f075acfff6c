// A frame is one event whatever is in it: its first line names it, every other begins with "data:",
// and only its end is an empty line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/sse.h"
#include "core/wire/utf8.h"

namespace {

// The payload that a reader takes from `frame`, lines joined by '\n'.
std::string read_frame(std::string_view frame) {
  constexpr std::string_view kHead = "event: data\n";
  DS_ASSERT(frame.substr(0, kHead.size()) == kHead);
  DS_ASSERT(frame.find('\r') == std::string_view::npos);
  frame.remove_prefix(kHead.size());
  std::string payload;
  for (bool first = true; frame != "\n"; first = false) {
    DS_ASSERT(frame.substr(0, 5) == "data:");
    const size_t end = frame.find('\n');
    DS_ASSERT(end != std::string_view::npos);
    std::string_view line = frame.substr(5, end - 5);
    if (line.substr(0, 1) == " ") line.remove_prefix(1);
    if (!first) payload += '\n';
    payload += line;
    frame.remove_prefix(end + 1);
  }
  return payload;
}

std::string with_plain_line_ends(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && text.substr(i, 2) == "\r\n") continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using ds::wire::ContentKind;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string frame;
  ds::wire::append_sse_data(frame, ContentKind::kText, bytes);
  std::string clean;
  ds::wire::append_utf8_lossy(clean, bytes);
  DS_ASSERT(read_frame(frame) == with_plain_line_ends(clean));

  frame.clear();
  ds::wire::append_sse_data(frame, ContentKind::kBinary, bytes);
  DS_ASSERT(read_frame(frame).size() == (size + 2) / 3 * 4);

  frame.clear();
  ds::wire::append_sse_data(frame, ContentKind::kJson, bytes);
  const std::string json = read_frame(frame);
  DS_ASSERT(json.front() == '[');
  DS_ASSERT(json.back() == ']');
  return 0;
}
