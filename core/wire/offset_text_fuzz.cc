// Offsets: what is accepted is exactly what is written, every offset is accepted back, and their
// texts sort as they do (PROTOCOL §8).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/wire/offset_text.h"

namespace {

using ds::Offset;
using ds::wire::OffsetParam;

constexpr uint64_t kSixteenDigits = 10000000000000000;

std::string text_of(Offset offset) {
  std::string text;
  ds::wire::append_offset(text, offset);
  return text;
}

void check_text(std::string_view text) {
  const auto parsed = ds::wire::parse_offset(text);
  const bool well_formed = text.size() == ds::wire::kOffsetTextBytes && text[16] == '_' &&
                           std::all_of(text.begin(), text.end(),
                                       [](char c) { return c == '_' || (c >= '0' && c <= '9'); }) &&
                           std::count(text.begin(), text.end(), '_') == 1;
  DS_ASSERT(parsed.has_value() == (well_formed || text == "-1" || text == "now"));
  if (!parsed) return;
  DS_ASSERT((parsed->kind == OffsetParam::Kind::kNow) == (text == "now"));
  if (parsed->kind != OffsetParam::Kind::kAt) {
    DS_ASSERT(!parsed->names_life);
    DS_ASSERT(text == "now" || text == "-1" || text == text_of({}));
    return;
  }
  DS_ASSERT(text_of(parsed->at) == text);
}

void check_offset(Offset offset) {
  const auto parsed = ds::wire::parse_offset(text_of(offset));
  DS_ASSERT(parsed.has_value());
  if (offset == Offset{}) {
    DS_ASSERT(parsed->kind == OffsetParam::Kind::kBeginning);
  } else {
    DS_ASSERT(parsed->kind == OffsetParam::Kind::kAt);
    DS_ASSERT(parsed->at == offset);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_text(bytes);
  ds::ByteReader in(bytes);
  Offset offsets[2];
  for (Offset& offset : offsets) {
    offset.life = ds::Incarnation{in.take<uint64_t>() % kSixteenDigits};
    offset.position = ds::Position{in.take<uint64_t>() % kSixteenDigits};
    check_offset(offset);
  }
  DS_ASSERT((text_of(offsets[0]) < text_of(offsets[1])) == (offsets[0] < offsets[1]));
  return 0;
}
