// What the scanner accepts it must split into messages that it accepts alone, that lie in order,
// and whose stored form can be counted off again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "core/wire/json_scan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using ds::wire::JsonElement;
  using ds::wire::JsonVerdict;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<JsonElement> elements;
  const JsonVerdict verdict = ds::wire::scan_json(text, elements);
  DS_ASSERT(!elements.empty() ==
            (verdict == JsonVerdict::kValue || verdict == JsonVerdict::kArray));
  DS_ASSERT(verdict != JsonVerdict::kValue || elements.size() == 1);

  std::string stored;
  std::vector<JsonElement> inner;
  uint32_t end = 0;
  for (const JsonElement& element : elements) {
    DS_ASSERT(end <= element.begin);
    DS_ASSERT(element.begin < element.end);
    DS_ASSERT(element.end <= size);
    end = element.end;
    const std::string_view message = text.substr(element.begin, element.end - element.begin);
    const JsonVerdict alone = ds::wire::scan_json(message, inner);
    DS_ASSERT(alone != JsonVerdict::kInvalid);
    DS_ASSERT(alone != JsonVerdict::kTooDeep);
    stored += message;
    stored += ',';
    DS_ASSERT(inner.empty() || message[0] == '[' || inner[0].end == message.size());
  }
  DS_ASSERT(ds::wire::stored_json_prefix(stored, elements.size()) == stored.size());
  DS_ASSERT(!ds::wire::stored_json_prefix(stored, elements.size() + 1));
  // Counting in text that is not well-formed gives a wrong number, and nothing worse.
  const auto prefix = ds::wire::stored_json_prefix(text, 2);
  DS_ASSERT(!prefix || *prefix <= size);
  return 0;
}
