// The chunked transfer coding (RFC 9112 §7.1), byte by byte, so that how the bytes were cut cannot
// matter. Extensions and trailers are checked for their characters, bounded, and ignored.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/wire/errors.h"
#include "server/http/byte_buffer.h"

namespace ds::server {

class ChunkDecoder {
 public:
  enum class [[nodiscard]] Status : uint8_t{kNeedMore, kDone, kFailed};

  static constexpr uint32_t kLineBytesMax = 4096;  // of a chunk's size and extensions
  static constexpr uint32_t kTrailerBytesMax = 16 << 10;

  explicit ChunkDecoder(uint64_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

  // Takes bytes from the front of `input` until it is used up, the body has ended, or something is
  // wrong; content is appended to `body`.
  Status decode(std::string_view& input, ByteBuffer& body);
  wire::ErrorCode problem() const { return problem_; }

 private:
  enum class State : uint8_t {
    kSizeFirst,
    kSize,
    kSpace,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kLineStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  // False if `c` may not stand here.
  bool step(char c);
  bool size_ended();
  Status fail(wire::ErrorCode code);

  uint64_t body_bytes_max_;
  uint64_t received_ = 0;   // content announced so far
  uint64_t remaining_ = 0;  // of the current chunk's content
  uint64_t overhead_ = 0;   // bytes that are not content
  uint32_t digits_ = 0;
  uint32_t line_bytes_ = 0;
  State state_ = State::kSizeFirst;
  wire::ErrorCode problem_ = wire::ErrorCode::kMalformedRequest;
};

}  // namespace ds::server
