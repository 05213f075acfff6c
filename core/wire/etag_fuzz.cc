// If-None-Match never matches a header that does not hold the tag or a star.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/etag.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view header(reinterpret_cast<const char*>(data), size);
  const ds::wire::ETag tag{ds::Incarnation{1}, ds::Position{2}, ds::Position{3}, true, false};
  std::string text;
  ds::wire::append_etag(text, tag);
  if (ds::wire::if_none_match_matches(header, tag)) {
    DS_ASSERT(header.find(text) != std::string_view::npos ||
              header.find('*') != std::string_view::npos);
  }
  // Behind a list that is well-formed the tag is found; before anything at all it is too.
  DS_ASSERT(ds::wire::if_none_match_matches(text + ", " + std::string(header), tag));
  return 0;
}
