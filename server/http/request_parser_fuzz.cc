// A head is refused or taken apart the same way however much of it, and of what follows, has come
// so far; what is accepted leaves no doubt about where the request ends.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "server/http/host_name.h"
#include "server/http/request_parser.h"
#include "server/http/target.h"

namespace {

using namespace ds::server;
using Status = RequestParser::Status;

constexpr ParserLimits kLimits{2048, 512, 20};

struct Outcome {
  Status status = Status::kNeedMore;
  ds::wire::ErrorCode problem = ds::wire::ErrorCode::kNone;
  size_t head_bytes = 0;
  std::vector<std::string> texts;
};

void check_target(const RequestHead& head) {
  const auto target = split_target(head.text.method, head.target);
  if (!target) return;
  DS_ASSERT(!target->path.empty());
  DS_ASSERT(target->path[0] == '/' || target->path == "*");
  DS_ASSERT(target->path.find_first_of("?# ") == std::string_view::npos);
  DS_ASSERT(is_host(target->authority));
  std::string origin;
  for (const bool trusted : {false, true}) {
    build_origin(origin, head, target->authority, trusted);
    // It begins a URL in Location: nothing in it can end its host.
    if (origin.empty()) continue;
    const size_t host = origin.find("://") + 3;
    DS_ASSERT(origin.find_first_of("/?#\\\" \r\n", host) == std::string::npos);
  }
}

void check_head(std::string_view input, const RequestParser& parser, const RequestHead& head) {
  const std::string_view text = input.substr(0, parser.head_bytes());
  DS_ASSERT(text.ends_with("\r\n\r\n"));
  DS_ASSERT(text.find("\r\n\r\n") == text.size() - 4);
  DS_ASSERT(text.size() <= kLimits.head_bytes_max);
  DS_ASSERT(!head.target.empty());
  DS_ASSERT(head.target.size() <= kLimits.uri_bytes_max);
  DS_ASSERT(
      text.starts_with(std::string(head.method) + " " + std::string(head.target) + " HTTP/1"));
  DS_ASSERT(!(head.chunked && head.content_length));
  DS_ASSERT(head.http11 || !head.keep_alive);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto u = static_cast<unsigned char>(text[i]);
    DS_ASSERT(u >= 0x20 || u == '\r' || u == '\n' || u == '\t');
    DS_ASSERT(text[i] != '\n' || text[i - 1] == '\r');
    DS_ASSERT(text[i] != '\r' || text[i + 1] == '\n');
  }
  check_target(head);
}

std::string shown(const std::optional<std::string_view>& text) {
  return text ? "+" + std::string(*text) : "-";
}

Outcome outcome_of(RequestParser& parser, Status status, std::string_view input) {
  Outcome outcome;
  outcome.status = status;
  if (status == Status::kFailed) {
    outcome.problem = parser.problem();
    DS_ASSERT(ds::wire::error_info(outcome.problem).status >= 400);
  }
  if (status != Status::kDone) return outcome;
  const RequestHead& head = parser.head();
  check_head(input, parser, head);
  outcome.head_bytes = parser.head_bytes();
  outcome.texts = {std::string(head.method),         std::string(head.target),
                   std::string(head.host),           std::string(head.request_id),
                   std::string(head.forwarded_host), std::string(head.forwarded_proto)};
  outcome.texts.push_back(std::to_string(head.content_length.value_or(UINT64_MAX)));
  std::string flags;
  for (const bool flag : {head.chunked, head.http11, head.keep_alive, head.expects_continue,
                          head.text.repeated_header, head.content_length.has_value()}) {
    flags += flag ? '1' : '0';
  }
  outcome.texts.push_back(flags);
  for (const auto& header : head.text.headers) outcome.texts.push_back(shown(header));
  return outcome;
}

// `step` bytes more each time; 0: all at once. Each time in other memory, of exactly that size.
Outcome parse(RequestParser& parser, std::string_view bytes, size_t step) {
  parser.reset();
  Outcome outcome;
  for (size_t size = step == 0 ? bytes.size() : step; outcome.status == Status::kNeedMore;
       size += step) {
    const std::vector<char> copy(
        bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(std::min(size, bytes.size())));
    const std::string_view input(copy.data(), copy.size());
    outcome = outcome_of(parser, parser.parse_head(input), input);
    if (size >= bytes.size()) break;
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t step = data[0] % 40 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  static RequestParser parser(kLimits);
  const Outcome whole = parse(parser, bytes, 0);
  const Outcome cut = parse(parser, bytes, size < 200 ? 1 : step);
  DS_ASSERT(cut.status == whole.status);
  DS_ASSERT(cut.problem == whole.problem);
  DS_ASSERT(cut.head_bytes == whole.head_bytes);
  DS_ASSERT(cut.texts == whole.texts);
  return 0;
}
