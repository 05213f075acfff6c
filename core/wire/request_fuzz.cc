// A request made of arbitrary bytes is refused with a 400 or parsed into values within their
// limits, the same way each time.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/wire/request.h"

namespace {

using namespace ds::wire;

void check(const RequestText& text, ParseScratch& scratch) {
  const auto result = parse_request(text, scratch);
  if (!result) {
    DS_ASSERT(error_info(result.error()).status == 400);
    return;
  }
  if (const auto* append = std::get_if<AppendRequest>(&*result)) {
    DS_ASSERT(append->close || !append->body.bytes.empty());
    DS_ASSERT(append->content_type.size() <= kContentTypeBytesMax);
    DS_ASSERT(!append->producer || append->producer->seq <= kIntegerMax);
    std::string stored;
    append->body.append_stored(stored);
    DS_ASSERT(stored.size() == append->body.stored_bytes());
  } else if (const auto* create = std::get_if<CreateRequest>(&*result)) {
    DS_ASSERT(!create->ttl_seconds || !create->expires_at);
    DS_ASSERT(!create->fork || create->fork->path.substr(0, 5) == "shop/");
  } else if (const auto* read = std::get_if<ReadRequest>(&*result)) {
    DS_ASSERT(read->live == LiveMode::kCatchUp || read->offset_present);
  }
}

}  // namespace

// Input: a byte that chooses the method, one that chooses the headers, and lines: query, body,
// header values.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  constexpr Method kMethods[] = {Method::kGet, Method::kHead, Method::kPut, Method::kPost,
                                 Method::kDelete};
  std::string_view left(reinterpret_cast<const char*>(data + 3), size - 3);
  const auto next_line = [&left] {
    const size_t end = left.find('\n');
    const std::string_view line = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    return line;
  };
  RequestText text;
  text.method = kMethods[data[0] % 5];
  text.path = "shop/orders";
  text.query = next_line();
  text.body = next_line();
  const unsigned present = data[1] | static_cast<unsigned>(data[2]) << 8;
  for (size_t i = 0; i < kHeaderCount; ++i) {
    if ((present >> i & 1) != 0) text.headers[i] = next_line();
  }
  ParseScratch scratch;
  check(text, scratch);
  check(text, scratch);  // with buffers that hold something
  return 0;
}
