// The scanner's verdicts for json_differential.mjs. Input: texts, each after its length (four
// bytes, little-endian). Output: a line for each: the verdict and the ranges of its messages.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/wire/json_scan.h"
#include "core/wire/text.h"

namespace {

std::string_view name_of(ds::wire::JsonVerdict verdict) {
  switch (verdict) {
    case ds::wire::JsonVerdict::kValue:
      return "value";
    case ds::wire::JsonVerdict::kArray:
      return "array";
    case ds::wire::JsonVerdict::kEmptyArray:
      return "empty";
    case ds::wire::JsonVerdict::kTooDeep:
      return "deep";
    case ds::wire::JsonVerdict::kInvalid:
      break;
  }
  return "invalid";
}

}  // namespace

int main() {
  char length[4];
  std::string out;
  std::vector<ds::wire::JsonElement> elements;
  while (std::fread(length, 1, sizeof length, stdin) == sizeof length) {
    // Exactly its size on the heap, so that a sanitizer sees one byte read too many.
    std::vector<char> text(ds::load_le32(length));
    if (std::fread(text.data(), 1, text.size(), stdin) != text.size()) return 1;
    out = name_of(ds::wire::scan_json({text.data(), text.size()}, elements));
    for (const ds::wire::JsonElement& element : elements) {
      out += ' ';
      ds::wire::append_decimal(out, element.begin);
      out += '-';
      ds::wire::append_decimal(out, element.end);
    }
    out += '\n';
    std::fwrite(out.data(), 1, out.size(), stdout);
  }
  return 0;
}
