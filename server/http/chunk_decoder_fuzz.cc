// The decoder of chunked bodies against a plain reading of the grammar (RFC 9112 §7.1): both accept
// the same bytes, find the same content, and end at the same place, however the bytes are cut.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "server/http/chunk_decoder.h"

namespace {

using ds::server::ByteBuffer;
using ds::server::ChunkDecoder;
using Status = ChunkDecoder::Status;

constexpr uint64_t kBodyBytesMax = 300;

struct Outcome {
  Status status = Status::kNeedMore;
  ds::wire::ErrorCode problem = ds::wire::ErrorCode::kNone;
  std::string body;
  size_t used = 0;
};

// `step` bytes at a time; 0: all at once. Each part lies in memory of its own.
Outcome decode(std::string_view bytes, size_t step) {
  Outcome outcome;
  ChunkDecoder decoder(kBodyBytesMax);
  ByteBuffer body;
  while (outcome.status == Status::kNeedMore && outcome.used < bytes.size()) {
    const std::string part(bytes.substr(outcome.used, step == 0 ? std::string_view::npos : step));
    std::string_view rest = part;
    outcome.status = decoder.decode(rest, body);
    DS_ASSERT(outcome.status != Status::kNeedMore || rest.empty());
    outcome.used += part.size() - rest.size();
  }
  outcome.body = body.view();
  DS_ASSERT(outcome.body.size() <= kBodyBytesMax);
  DS_ASSERT(body.capacity() <= 2 * kBodyBytesMax);
  if (outcome.status == Status::kFailed) outcome.problem = decoder.problem();
  return outcome;
}

// --- The grammar, read line by line -------------------------------------------------------------

constexpr std::string_view kHex = "0123456789abcdefABCDEF";
constexpr std::string_view kToken =
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool all_text(std::string_view text) {
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c != '\t' && (u < 0x20 || u == 0x7f)) return false;
  }
  return true;
}

// The line at the front, which is taken off; nothing if it does not end.
std::optional<std::string_view> take_line(std::string_view& bytes) {
  const size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

// The size that a chunk's first line tells; nothing if it is not one.
std::optional<uint64_t> chunk_size(std::string_view line) {
  const size_t digits = std::min(line.find_first_not_of(kHex), line.size());
  if (digits == 0 || digits > 16) return std::nullopt;
  uint64_t size = 0;
  for (const char c : line.substr(0, digits)) {
    const size_t value = kHex.find(c);
    size = size * 16 + (value < 16 ? value : value - 6);
  }
  line.remove_prefix(digits);
  const size_t blanks = std::min(line.find_first_not_of(" \t"), line.size());
  line.remove_prefix(blanks);
  if (line.empty()) return blanks == 0 ? std::optional(size) : std::nullopt;
  return line[0] == ';' && all_text(line) ? std::optional(size) : std::nullopt;
}

// The whole body and what is left behind it; nothing unless it is valid and complete.
std::optional<std::string> read_body(std::string_view& bytes) {
  std::string body;
  for (;;) {
    const auto line = take_line(bytes);
    if (!line) return std::nullopt;
    const auto size = chunk_size(*line);
    if (!size || *size > kBodyBytesMax - body.size()) return std::nullopt;
    if (*size == 0) break;
    if (bytes.size() < *size + 2 || bytes.substr(static_cast<size_t>(*size), 2) != "\r\n") {
      return std::nullopt;
    }
    body += bytes.substr(0, static_cast<size_t>(*size));
    bytes.remove_prefix(static_cast<size_t>(*size) + 2);
  }
  for (;;) {
    const auto line = take_line(bytes);
    if (!line) return std::nullopt;
    if (line->empty()) return body;
    const size_t colon = line->find(':');
    if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
    if (line->substr(0, colon).find_first_not_of(kToken) != std::string_view::npos) {
      return std::nullopt;
    }
    if (!all_text(line->substr(colon))) return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = decode(bytes, 0);
  for (const size_t step : {1u, 2u, 7u}) {
    const Outcome cut = decode(bytes, step);
    DS_ASSERT(cut.status == whole.status);
    DS_ASSERT(cut.problem == whole.problem);
    DS_ASSERT(cut.body == whole.body);
    DS_ASSERT(cut.used == whole.used);
  }
  // Beyond this size, bounds of lines and trailers that the grammar does not have may matter.
  if (size > ChunkDecoder::kLineBytesMax) return 0;
  std::string_view rest = bytes;
  const auto expected = read_body(rest);
  DS_ASSERT(expected.has_value() == (whole.status == Status::kDone));
  if (!expected) return 0;
  DS_ASSERT(*expected == whole.body);
  DS_ASSERT(bytes.size() - rest.size() == whole.used);
  return 0;
}
