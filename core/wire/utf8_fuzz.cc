// Lossy decoding gives valid text, leaves valid text alone, and may be done in two parts if the
// first one's incomplete suffix goes with the second.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string whole;
  ds::wire::append_utf8_lossy(whole, bytes);
  DS_ASSERT(ds::wire::utf8_valid(whole));
  DS_ASSERT(ds::wire::utf8_valid(bytes) == (whole == bytes));
  DS_ASSERT(ds::wire::utf8_incomplete_suffix(whole) == 0);

  for (size_t cut = 0; cut <= size && cut <= 12; ++cut) {
    const size_t held = ds::wire::utf8_incomplete_suffix(bytes.substr(0, cut));
    DS_ASSERT(held <= 3);
    DS_ASSERT(held <= cut);
    std::string parts;
    ds::wire::append_utf8_lossy(parts, bytes.substr(0, cut - held));
    ds::wire::append_utf8_lossy(parts, bytes.substr(cut - held));
    DS_ASSERT(parts == whole);
  }
  return 0;
}
