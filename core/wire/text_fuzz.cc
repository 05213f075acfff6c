// Numbers and timestamps that are accepted are written back as the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/content_type.h"
#include "core/wire/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string out;
  if (const auto number = ds::wire::parse_decimal(text, UINT64_MAX)) {
    ds::wire::append_decimal(out, *number);
    DS_ASSERT(out == text);
  }
  if (const auto instant = ds::wire::parse_rfc3339(text)) {
    out.clear();
    ds::wire::append_rfc3339(out, *instant);
    const auto again = ds::wire::parse_rfc3339(out);
    DS_ASSERT(again.has_value());
    const int64_t lost_us = instant->us - again->us;
    DS_ASSERT(lost_us >= 0);
    DS_ASSERT(lost_us < 1000);
  }
  out.clear();
  ds::wire::append_json_escaped(out, text);
  for (size_t i = 0; i < out.size(); ++i) {
    DS_ASSERT(static_cast<unsigned char>(out[i]) >= 0x20);
    DS_ASSERT(out[i] != '"' || (i > 0 && out[i - 1] == '\\'));
  }
  if (ds::wire::content_type_valid(text)) {
    DS_ASSERT(ds::wire::same_media_type(text, text));
    DS_ASSERT(text.find_first_of("\r\n\t") == std::string_view::npos);
  }
  return 0;
}
