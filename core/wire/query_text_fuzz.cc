// Query components: decoding never makes more of them, undoes escaping, and leaves plain ones where
// they are. And what a listing asks for, whatever its target says, lies within its project.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/list_request.h"
#include "core/wire/query_text.h"

namespace {

std::string escaped(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    text += '%';
    text += kHex[u >> 4];
    text += kHex[u & 15];
  }
  return text;
}

void check_component(std::string_view text) {
  std::string buffer = "old";
  const auto decoded = ds::wire::decode_query_component(text, buffer);
  if (decoded) {
    DS_ASSERT(decoded->size() <= text.size());
    if (text.find_first_of("%+") == std::string_view::npos)
      DS_ASSERT(decoded->data() == text.data());
  } else {
    DS_ASSERT(text.find('%') != std::string_view::npos);
  }
  const std::string spelt = escaped(text);
  std::string again;
  const auto undone = ds::wire::decode_query_component(spelt, again);
  DS_ASSERT(undone.has_value());
  DS_ASSERT(*undone == text);
}

void check_listing(std::string_view path, std::string_view query) {
  const auto request = ds::wire::parse_list_request(path, query);
  if (!request.ok()) {
    const uint16_t status = ds::wire::error_info(request.error()).status;
    DS_ASSERT(status >= 400);
    DS_ASSERT(status < 500);
    return;
  }
  DS_ASSERT(request->limit >= 1);
  DS_ASSERT(request->limit <= ds::wire::kListLimitMax);
  DS_ASSERT(request->project.size() >= 2);
  DS_ASSERT(request->project.find('/') == request->project.size() - 1);
  DS_ASSERT(request->prefix.starts_with(request->project));
  DS_ASSERT(request->after.starts_with(request->project));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_component(text);
  const size_t question = text.find('?');
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : text.substr(question + 1);
  check_listing(text.substr(0, question), query);
  check_listing(std::string(ds::wire::kListRoot) + std::string(text.substr(0, question)), query);
  return 0;
}
