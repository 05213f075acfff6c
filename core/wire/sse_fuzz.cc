// What is encoded as server-sent events is what a reader of the WHATWG's grammar takes from them:
// the same events in the same order, whatever bytes a stream holds.
//
// Input: a byte that says how the frames follow each other, 24 bytes of a control event, payload.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/wire/offset_text.h"
#include "core/wire/sse.h"
#include "core/wire/text.h"
#include "core/wire/utf8.h"

namespace {

using ds::wire::ContentKind;
using ds::wire::SseControl;

constexpr uint64_t kSixteenDigits = 10000000000000000;

struct Event {
  std::string type;
  std::string data;
};

// --- A reader (HTML, §9.2.6) --------------------------------------------------------------------

// The lines of `text`, each of which must end.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::string line;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      line += text[i];
      continue;
    }
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    lines.push_back(line);
    line.clear();
  }
  DS_ASSERT(line.empty());
  return lines;
}

std::vector<Event> read_events(std::string_view text) {
  std::vector<Event> events;
  Event event;
  for (const std::string& line : lines_of(text)) {
    if (line.empty()) {
      if (!event.data.empty()) {
        event.data.pop_back();
        events.push_back(event);
      }
      event = {};
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == 0) continue;  // a comment
    const std::string field = line.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    if (field == "event") {
      event.type = value;
    } else {
      DS_ASSERT(field == "data");  // nothing else is ever sent: no id, no retry
      event.data += value + '\n';
    }
  }
  DS_ASSERT(event.data.empty());
  return events;
}

std::string with_plain_line_ends(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && text.substr(i, 2) == "\r\n") continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return out;
}

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  DS_ASSERT(text.size() % 4 == 0);
  std::string bytes;
  uint32_t bits = 0;
  uint32_t count = 0;
  size_t padding = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) {
      DS_ASSERT(c == '=');
      ++padding;
      continue;
    }
    DS_ASSERT(padding == 0);
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  DS_ASSERT(padding <= 2);
  DS_ASSERT((bits & ((1u << count) - 1)) == 0);
  return bytes;
}

// --- What was encoded ---------------------------------------------------------------------------

void check_data(ContentKind kind, std::string_view payload, const Event& event) {
  DS_ASSERT(event.type == "data");
  if (kind == ContentKind::kBinary) {
    DS_ASSERT(from_base64(event.data) == payload);
  } else if (kind == ContentKind::kText) {
    std::string clean;
    ds::wire::append_utf8_lossy(clean, payload);
    DS_ASSERT(event.data == with_plain_line_ends(clean));
  } else {
    if (!payload.empty()) payload.remove_suffix(1);
    DS_ASSERT(event.data == with_plain_line_ends("[" + std::string(payload) + "]"));
  }
}

// The string behind `name` in flat JSON.
std::optional<std::string> text_member(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":\"";
  const size_t at = json.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = json.substr(at + key.size());
  return std::string(rest.substr(0, rest.find('"')));
}

void check_control(const SseControl& control, const Event& event) {
  DS_ASSERT(event.type == "control");
  const std::string_view json = event.data;
  DS_ASSERT(json.front() == '{');
  DS_ASSERT(json.back() == '}');
  std::string offset;
  ds::wire::append_offset(offset, control.next_offset);
  DS_ASSERT(text_member(json, "streamNextOffset") == offset);
  const auto cursor = text_member(json, "streamCursor");
  DS_ASSERT(cursor.has_value() == (control.cursor.has_value() && !control.closed));
  if (cursor) DS_ASSERT(ds::wire::parse_decimal(*cursor, UINT64_MAX) == control.cursor);
  const auto has = [json](std::string_view text) { return json.find(text) != std::string::npos; };
  DS_ASSERT(has("\"upToDate\":true") == (control.up_to_date || control.closed));
  DS_ASSERT(has("\"streamClosed\":true") == control.closed);
  DS_ASSERT(!has("false"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ds::ByteReader in({reinterpret_cast<const char*>(data), size});
  const auto how = in.take<uint8_t>();
  SseControl control;
  control.next_offset.life = ds::Incarnation{in.take<uint64_t>() % kSixteenDigits};
  control.next_offset.position = ds::Position{in.take<uint64_t>() % kSixteenDigits};
  const auto cursor = in.take<uint64_t>();
  if ((how & 1) != 0) control.cursor = cursor;
  control.up_to_date = (how & 2) != 0;
  control.closed = (how & 4) != 0;
  const std::string_view payload = in.take_bytes(in.left());

  constexpr ContentKind kKinds[] = {ContentKind::kText, ContentKind::kBinary, ContentKind::kJson};
  std::string text;
  for (const ContentKind kind : kKinds) {
    const size_t before = text.size();
    ds::wire::append_sse_data(text, kind, payload);
    // At most seven bytes for each line end, or three for each byte that is not UTF-8.
    DS_ASSERT(text.size() - before <= 7 * payload.size() + 32);
    if ((how & 8) != 0) text += ds::wire::kSseHeartbeat;
    ds::wire::append_sse_control(text, control);
  }
  const std::vector<Event> events = read_events(text);
  DS_ASSERT(events.size() == 6);
  for (size_t i = 0; i < 3; ++i) {
    check_data(kKinds[i], payload, events[2 * i]);
    check_control(control, events[2 * i + 1]);
  }
  return 0;
}
