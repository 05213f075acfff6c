#include "core/wire/query_text.h"

namespace ds::wire {

namespace {

std::optional<char> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<char>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<char>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<char>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> decode_query_component(std::string_view text, std::string& buffer) {
  bool plain = true;
  for (const char c : text) plain = plain && c != '%' && c != '+';
  if (plain) return text;
  buffer.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      buffer += ' ';
    } else if (text[i] != '%') {
      buffer += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const auto high = hex_value(text[i + 1]);
      const auto low = hex_value(text[i + 2]);
      if (!high || !low) return std::nullopt;
      buffer += static_cast<char>(*high << 4 | *low);
      i += 2;
    }
  }
  return std::string_view(buffer);
}

}  // namespace ds::wire
