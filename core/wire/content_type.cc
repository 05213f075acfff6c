#include "core/wire/content_type.h"

#include "core/wire/text.h"

namespace ds::wire {
namespace {

// tchar of RFC 9110 §5.6.2.
bool token_char(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool printable(char c) { return c >= 0x20 && c <= 0x7e; }

// Removes the token at the front of `text`. False if there is none.
bool take_token(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && token_char(text[length])) ++length;
  text.remove_prefix(length);
  return length > 0;
}

// Removes the quoted string at the front of `text`. False if there is none.
bool take_quoted(std::string_view& text) {
  if (text.empty() || text[0] != '"') return false;
  for (size_t i = 1; i < text.size() && printable(text[i]); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\' && (++i == text.size() || !printable(text[i]))) return false;
  }
  return false;
}

void skip_spaces(std::string_view& text) {
  while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text[0] != expected) return false;
  text.remove_prefix(1);
  return true;
}

std::string_view media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  while (!type.empty() && (type.front() == ' ' || type.front() == '\t')) type.remove_prefix(1);
  return type;
}

}  // namespace

ContentKind content_kind(std::string_view content_type) {
  const std::string_view type = media_type(content_type);
  if (equals_ignoring_case(type, "application/json")) return ContentKind::kJson;
  if (equals_ignoring_case(type.substr(0, 5), "text/")) return ContentKind::kText;
  return ContentKind::kBinary;
}

bool content_type_valid(std::string_view content_type) {
  std::string_view left = content_type;
  if (!take_token(left) || !take(left, '/') || !take_token(left)) return false;
  while (true) {
    skip_spaces(left);
    if (left.empty()) return true;
    if (!take(left, ';')) return false;
    skip_spaces(left);
    if (left.empty() || left[0] == ';') continue;  // an empty parameter (RFC 9110 §5.6.6)
    if (!take_token(left) || !take(left, '=')) return false;
    if (!take_quoted(left) && !take_token(left)) return false;
  }
}

bool same_media_type(std::string_view a, std::string_view b) {
  return a == b || equals_ignoring_case(media_type(a), media_type(b));
}

}  // namespace ds::wire
