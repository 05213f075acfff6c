#include "core/wire/stream_path.h"

#include <optional>

namespace ds::wire {
namespace {

constexpr std::string_view kReservedSegment = "__ds";

// What every spelling of a URL agrees on (RFC 3986 §2.3). All else is escaped in a canonical path.
bool unreserved(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

void append_escape(std::string& out, unsigned char c) {
  constexpr char kHex[] = "0123456789ABCDEF";
  out += '%';
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

// Appends characters of a segment in canonical spelling. False if they cannot be part of a path.
bool append_characters(std::string& out, std::string_view segment) {
  for (size_t i = 0; i < segment.size(); ++i) {
    auto c = static_cast<unsigned char>(segment[i]);
    // Left over from a query or a fragment: the caller meant something else.
    if (c == '?' || c == '#') return false;
    if (c == '%') {
      if (segment.size() - i < 3) return false;
      const auto high = hex_value(segment[i + 1]);
      const auto low = hex_value(segment[i + 2]);
      if (!high || !low) return false;
      c = static_cast<unsigned char>(*high << 4 | *low);
      i += 2;
    }
    if (c < 0x20 || c == 0x7f || c == '\\') return false;
    if (unreserved(c)) {
      out += static_cast<char>(c);
    } else {
      append_escape(out, c);
    }
  }
  return true;
}

// Appends one segment in canonical spelling. False if it cannot be part of a path.
bool append_segment(std::string& out, std::string_view segment) {
  const size_t begin = out.size();
  if (!append_characters(out, segment)) return false;
  const std::string_view made = std::string_view(out).substr(begin);
  return !made.empty() && made != "." && made != "..";
}

}  // namespace

Result<std::string_view, ErrorCode> parse_stream_path(std::string_view target_path,
                                                      std::string& scratch) {
  if (target_path.substr(0, kStreamRoot.size()) != kStreamRoot) return ErrorCode::kNotFound;
  std::string_view left = target_path.substr(kStreamRoot.size());
  // Escapes only make a path shorter by two thirds, and this keeps the work bounded.
  if (left.size() > 3 * kStreamPathBytesMax) return ErrorCode::kInvalidPath;

  scratch.clear();
  if (left.find('/') == std::string_view::npos) {
    scratch += kDefaultProject;
    scratch += '/';
  }
  size_t last_begin = 0;
  for (bool first = true;; first = false) {
    if (!first) scratch += '/';
    last_begin = scratch.size();
    const size_t slash = left.find('/');
    if (!append_segment(scratch, left.substr(0, slash))) return ErrorCode::kInvalidPath;
    const bool reserved = std::string_view(scratch).substr(last_begin) == kReservedSegment;
    // The first segment is that of the root, the one after it that of a project.
    const size_t project_end = scratch.find('/');
    if (reserved && (first || last_begin == project_end + 1)) return ErrorCode::kReservedPath;
    if (slash == std::string_view::npos) break;
    left.remove_prefix(slash + 1);
  }
  if (scratch.size() > kStreamPathBytesMax) return ErrorCode::kInvalidPath;
  return std::string_view(scratch);
}

bool append_path_start(std::string& out, std::string_view text) {
  if (text.size() > 3 * kStreamPathBytesMax) return false;
  for (;;) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) break;
    if (!append_segment(out, text.substr(0, slash))) return false;
    out += '/';
    text.remove_prefix(slash + 1);
  }
  return append_characters(out, text) && out.size() <= kStreamPathBytesMax;
}

}  // namespace ds::wire
