// Whatever path a URL spells, its canonical form has a project and a name, no dot segments, and is
// its own canonical form.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/stream_path.h"

namespace {

void check(std::string_view target) {
  std::string scratch;
  const auto path = ds::wire::parse_stream_path(target, scratch);
  if (!path) return;
  DS_ASSERT(path->size() <= ds::wire::kStreamPathBytesMax);
  const size_t slash = path->find('/');
  DS_ASSERT(slash != std::string_view::npos);
  DS_ASSERT(slash > 0);
  const std::string bounded = "/" + std::string(*path) + "/";
  for (const std::string_view refused : {"//", "/./", "/../", "\\", "?", "#"}) {
    DS_ASSERT(bounded.find(refused) == std::string::npos);
  }
  DS_ASSERT(path->substr(slash + 1, 5) != "__ds/");
  DS_ASSERT(path->substr(slash + 1) != "__ds");

  std::string again;
  const auto same = ds::wire::parse_stream_path("/v1/stream/" + std::string(*path), again);
  DS_ASSERT(same.ok());
  DS_ASSERT(*same == *path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check("/v1/stream/" + std::string(text));
  return 0;
}
