#include "tests/vectors/wire_commands.h"

#include <cstdint>
#include <vector>

#include "core/base/crc32c.h"
#include "core/base/hash.h"
#include "core/wire/content_type.h"
#include "core/wire/cursor.h"
#include "core/wire/errors.h"
#include "core/wire/etag.h"
#include "core/wire/json_scan.h"
#include "core/wire/offset_text.h"
#include "core/wire/sse.h"
#include "core/wire/stream_path.h"
#include "core/wire/text.h"
#include "core/wire/utf8.h"

namespace ds::vectors {
namespace {

std::string decimal(uint64_t value) {
  std::string out;
  wire::append_decimal(out, value);
  return out;
}

std::string hex(uint64_t value, int digits) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "0x";
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHex[(value >> shift) & 15];
  return out;
}

// Cuts the text before the first `separator` off `rest`.
std::string_view cut(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return head;
}

std::string path(std::string_view target) {
  std::string scratch;
  const auto parsed = wire::parse_stream_path(target, scratch);
  if (!parsed.ok()) return "error " + std::string(wire::error_info(parsed.error()).code);
  return std::string(*parsed);
}

std::string offset(std::string_view text) {
  const auto parsed = wire::parse_offset(text);
  if (!parsed) return "invalid";
  if (parsed->kind == wire::OffsetParam::Kind::kBeginning) return "beginning";
  if (parsed->kind == wire::OffsetParam::Kind::kNow) return "now";
  std::string again;
  wire::append_offset(again, parsed->at);
  return "life " + decimal(parsed->at.life.value) + " position " +
         decimal(parsed->at.position.value) + (again == text ? "" : " but written " + again);
}

std::string json(std::string_view text) {
  std::vector<wire::JsonElement> elements;
  switch (wire::scan_json(text, elements)) {
    case wire::JsonVerdict::kInvalid:
      return "invalid";
    case wire::JsonVerdict::kTooDeep:
      return "too deep";
    case wire::JsonVerdict::kEmptyArray:
      return "empty array";
    case wire::JsonVerdict::kValue:
    case wire::JsonVerdict::kArray:
      break;
  }
  std::string out = decimal(elements.size()) + " stored as ";
  std::string stored;
  for (const wire::JsonElement& element : elements) {
    stored += text.substr(element.begin, element.end - element.begin);
    stored += ',';
  }
  out += stored;
  // Each element must be found again where it was put.
  for (uint64_t n = 0, length = 0; n <= elements.size(); ++n) {
    const auto prefix = wire::stored_json_prefix(stored, n);
    if (!prefix || *prefix != length) return out + " but cut wrongly at " + decimal(n);
    if (n < elements.size()) {
      const wire::JsonElement& element = elements[static_cast<size_t>(n)];
      length += uint64_t{element.end} - element.begin + 1;
    }
  }
  if (wire::stored_json_prefix(stored, elements.size() + 1)) return out + " but cut past the end";
  return out;
}

// nested N: N arrays around nothing.
std::string nested(std::string_view count) {
  const uint64_t depth = wire::parse_decimal(count, 100000).value_or(0);
  const std::string text =
      std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
  std::vector<wire::JsonElement> elements;
  const wire::JsonVerdict verdict = wire::scan_json(text, elements);
  return verdict == wire::JsonVerdict::kTooDeep   ? "too deep"
         : verdict == wire::JsonVerdict::kInvalid ? "invalid"
                                                  : "valid";
}

std::string content_type(std::string_view text) {
  if (!wire::content_type_valid(text)) return "invalid";
  switch (wire::content_kind(text)) {
    case wire::ContentKind::kJson:
      return "json";
    case wire::ContentKind::kText:
      return "text";
    case wire::ContentKind::kBinary:
      return "binary";
  }
  return "";
}

// sse-data KIND BYTES
std::string sse_data(std::string_view argument) {
  const std::string_view kind = cut(argument, ' ');
  std::string out;
  wire::append_sse_data(out,
                        kind == "json"   ? wire::ContentKind::kJson
                        : kind == "text" ? wire::ContentKind::kText
                                         : wire::ContentKind::kBinary,
                        argument);
  return out;
}

// LIFE BEGIN END [tail] [closed]
wire::ETag read_etag(std::string_view argument) {
  wire::ETag tag;
  tag.life = Incarnation{wire::parse_decimal(cut(argument, ' '), UINT64_MAX).value_or(0)};
  tag.begin = Position{wire::parse_decimal(cut(argument, ' '), UINT64_MAX).value_or(0)};
  tag.end = Position{wire::parse_decimal(cut(argument, ' '), UINT64_MAX).value_or(0)};
  tag.up_to_date = argument.find("tail") != std::string_view::npos;
  tag.closed = argument.find("closed") != std::string_view::npos;
  return tag;
}

std::string etag(std::string_view argument) {
  std::string out;
  wire::append_etag(out, read_etag(argument));
  return out;
}

// none-match HEADER | LIFE BEGIN END [tail] [closed]
std::string none_match(std::string_view argument) {
  const std::string_view header = cut(argument, '|');
  const size_t end = header.find_last_not_of(' ');
  const wire::ETag tag = read_etag(argument.substr(argument.find_first_not_of(' ')));
  return wire::if_none_match_matches(header.substr(0, end + 1), tag) ? "matches" : "differs";
}

std::string utf8(std::string_view bytes) {
  std::string out = wire::utf8_valid(bytes) ? "valid" : "invalid";
  out += ", held back " + decimal(wire::utf8_incomplete_suffix(bytes)) + ", shown as ";
  wire::append_utf8_lossy(out, bytes);
  return out;
}

std::string rfc3339(std::string_view text) {
  const auto instant = wire::parse_rfc3339(text);
  if (!instant) return "invalid";
  std::string out = instant->us < 0 ? "-" + decimal(static_cast<uint64_t>(-instant->us))
                                    : decimal(static_cast<uint64_t>(instant->us));
  out += " us, ";
  wire::append_rfc3339(out, *instant);
  return out;
}

// cursor TIMESTAMP [CLIENT'S]
std::string cursor(std::string_view argument) {
  const auto now = wire::parse_rfc3339(cut(argument, ' '));
  return decimal(
      wire::cursor_at(now.value_or(Instant{}), wire::parse_decimal(argument, UINT64_MAX)));
}

std::string number(std::string_view text) {
  const auto value = wire::parse_decimal(text, (uint64_t{1} << 53) - 1);
  return value ? decimal(*value) : "invalid";
}

std::string json_escaped(std::string_view text) {
  std::string out;
  wire::append_json_escaped(out, text);
  return out;
}

struct WireCommand {
  std::string_view name;
  std::string (*run)(std::string_view argument);
};

constexpr WireCommand kCommands[] = {
    {"path", path},
    {"offset", offset},
    {"json", json},
    {"nested", nested},
    {"content-type", content_type},
    {"sse-data", sse_data},
    {"etag", etag},
    {"none-match", none_match},
    {"utf8", utf8},
    {"rfc3339", rfc3339},
    {"cursor", cursor},
    {"number", number},
    {"json-escaped", json_escaped},
    {"crc32c", [](std::string_view bytes) { return hex(crc32c(bytes), 8); }},
    {"path-hash", [](std::string_view bytes) { return hex(path_hash(bytes), 16); }},
};

}  // namespace

std::optional<std::string> run_wire_command(std::string_view command, std::string_view argument) {
  for (const WireCommand& known : kCommands) {
    if (known.name == command) return known.run(argument);
  }
  return std::nullopt;
}

}  // namespace ds::vectors
