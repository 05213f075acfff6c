// For the engine's tests: server-sent events as a client reads them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/wire/content_type.h"

namespace ds::engine::test {

struct SseEvent {
  std::string type;  // "data" or "control"; "" for a comment
  std::string data;
};

// The events of `bytes`, which must be whole.
inline std::vector<SseEvent> parse_sse(std::string_view bytes) {
  std::vector<SseEvent> events;
  SseEvent event;
  bool has_data = false;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      ADD_FAILURE() << "a line without an end";
      break;
    }
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (line.empty()) {
      events.push_back(event);
      event = SseEvent();
      has_data = false;
    } else if (line.substr(0, 7) == "event: ") {
      event.type = line.substr(7);
    } else if (line.substr(0, 5) == "data:") {
      line.remove_prefix(5);
      if (line.substr(0, 1) == " ") line.remove_prefix(1);
      if (has_data) event.data += '\n';
      event.data += line;
      has_data = true;
    } else {
      EXPECT_EQ(line.substr(0, 1), ":") << line;
    }
  }
  EXPECT_TRUE(event.type.empty() && !has_data) << "an event without an end";
  return events;
}

inline std::string from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  EXPECT_EQ(text.size() % 4, 0u);
  std::string out;
  for (size_t i = 0; i + 4 <= text.size(); i += 4) {
    uint32_t group = 0;
    size_t count = 3;
    for (size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      if (c == '=') {
        count = std::min(count, k - 1);
        group <<= 6;
        continue;
      }
      const size_t value = kAlphabet.find(c);
      EXPECT_NE(value, std::string_view::npos);
      group = group << 6 | static_cast<uint32_t>(value);
    }
    for (size_t k = 0; k < count; ++k) out += static_cast<char>(group >> (16 - 8 * k));
  }
  return out;
}

// The stored bytes that a data event shows.
inline std::string stored(wire::ContentKind kind, const std::string& data) {
  switch (kind) {
    case wire::ContentKind::kText:
      return data;
    case wire::ContentKind::kBinary:
      return from_base64(data);
    case wire::ContentKind::kJson:
      break;
  }
  EXPECT_GE(data.size(), 2u);
  EXPECT_EQ(data.front(), '[');
  EXPECT_EQ(data.back(), ']');
  return data.substr(1, data.size() - 2) + ",";
}

// The value of a field of a control event, "" if there is none.
inline std::string field(const SseEvent& control, const std::string& name) {
  EXPECT_EQ(control.type, "control");
  const std::string key = "\"" + name + "\":";
  const size_t at = control.data.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  if (control.data[begin] != '"') {
    return control.data.substr(begin, control.data.find_first_of(",}", begin) - begin);
  }
  return control.data.substr(begin + 1, control.data.find('"', begin + 1) - begin - 1);
}

}  // namespace ds::engine::test
