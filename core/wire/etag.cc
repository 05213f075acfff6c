#include "core/wire/etag.h"

#include "core/wire/text.h"

namespace ds::wire {
namespace {

std::string_view skip_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
}

}  // namespace

void append_etag(std::string& out, const ETag& tag) {
  out += '"';
  append_decimal(out, tag.life.value);
  out += ':';
  append_decimal(out, tag.begin.value);
  out += ':';
  append_decimal(out, tag.end.value);
  if (tag.up_to_date) out += ":t";
  if (tag.closed) out += ":c";
  out += '"';
}

bool if_none_match_matches(std::string_view header, const ETag& tag) {
  std::string current;
  append_etag(current, tag);
  return if_none_match_names(header, current);
}

bool if_none_match_names(std::string_view header, std::string_view current) {
  std::string_view left = skip_blanks(header);
  if (left.substr(0, 1) == "*") return skip_blanks(left.substr(1)).empty();
  // One list member per turn. What is malformed ends the list: it cannot match anything after it.
  while (!left.empty()) {
    if (left[0] == ',') {  // empty members are allowed (RFC 9110 §5.6.1)
      left = skip_blanks(left.substr(1));
      continue;
    }
    if (left.substr(0, 2) == "W/") left.remove_prefix(2);
    if (left.empty() || left[0] != '"') return false;
    const size_t close = left.find('"', 1);
    if (close == std::string_view::npos) return false;
    if (left.substr(0, close + 1) == current) return true;
    left = skip_blanks(left.substr(close + 1));
    if (!left.empty() && left[0] != ',') return false;
  }
  return false;
}

}  // namespace ds::wire
