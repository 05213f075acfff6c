#include "server/http/chunk_decoder.h"

#include <algorithm>

namespace ds::server {

namespace {

// Framing may outweigh content by this much: one-byte chunks cost five bytes of it.
constexpr uint64_t kOverheadPerByteMax = 8;
constexpr uint64_t kOverheadBytesMin = 64 << 10;
constexpr uint32_t kSizeDigitsMax = 16;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_token(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_text(char c) {
  const auto u = static_cast<unsigned char>(c);
  return c == '\t' || (u >= 0x20 && u != 0x7f);
}

}  // namespace

ChunkDecoder::Status ChunkDecoder::fail(wire::ErrorCode code) {
  problem_ = code;
  return Status::kFailed;
}

ChunkDecoder::Status ChunkDecoder::decode(std::string_view& input, ByteBuffer& body) {
  while (!input.empty()) {
    if (state_ == State::kData) {
      const size_t taken = static_cast<size_t>(std::min<uint64_t>(remaining_, input.size()));
      body.append(input.substr(0, taken));
      input.remove_prefix(taken);
      remaining_ -= taken;
      if (remaining_ == 0) state_ = State::kDataCr;
      continue;
    }
    const char c = input.front();
    input.remove_prefix(1);
    if (++overhead_ > kOverheadBytesMin + kOverheadPerByteMax * body_bytes_max_) {
      return fail(wire::ErrorCode::kMalformedRequest);
    }
    if (!step(c)) return fail(problem_);
    if (state_ == State::kDone) return Status::kDone;
  }
  return Status::kNeedMore;
}

bool ChunkDecoder::size_ended() {
  line_bytes_ = 0;
  if (remaining_ == 0) {
    state_ = State::kLineStart;
    return true;
  }
  if (remaining_ > body_bytes_max_ - received_) {
    problem_ = wire::ErrorCode::kBodyTooLarge;
    return false;
  }
  received_ += remaining_;
  state_ = State::kData;
  return true;
}

bool ChunkDecoder::step(char c) {
  const bool trailer = state_ >= State::kLineStart;
  if (++line_bytes_ > (trailer ? kTrailerBytesMax : kLineBytesMax)) {
    if (trailer) problem_ = wire::ErrorCode::kHeadersTooLarge;
    return false;
  }
  switch (state_) {
    case State::kSizeFirst:
      if (hex_value(c) < 0) return false;
      remaining_ = static_cast<uint64_t>(hex_value(c));
      digits_ = 1;
      state_ = State::kSize;
      return true;
    case State::kSize:
      if (hex_value(c) >= 0) {
        remaining_ = remaining_ * 16 + static_cast<uint64_t>(hex_value(c));
        return ++digits_ <= kSizeDigitsMax;
      }
      [[fallthrough]];
    case State::kSpace:
      if (c == ';') {
        state_ = State::kExtension;
      } else if (c == ' ' || c == '\t') {
        state_ = State::kSpace;
      } else if (c == '\r' && state_ == State::kSize) {
        state_ = State::kSizeLf;
      } else {
        return false;
      }
      return true;
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
        return true;
      }
      return is_text(c);
    case State::kSizeLf:
      return c == '\n' && size_ended();
    case State::kDataCr:
      line_bytes_ = 0;
      state_ = State::kDataLf;
      return c == '\r';
    case State::kDataLf:
      line_bytes_ = 0;
      state_ = State::kSizeFirst;
      return c == '\n';
    case State::kLineStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return true;
      }
      state_ = State::kTrailerName;
      return is_token(c);
    case State::kTrailerName:
      if (c == ':') {
        state_ = State::kTrailerValue;
        return true;
      }
      return is_token(c);
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerLf;
        return true;
      }
      return is_text(c);
    case State::kTrailerLf:
      state_ = State::kLineStart;
      return c == '\n';
    case State::kEndLf:
      state_ = State::kDone;
      return c == '\n';
    case State::kData:
    case State::kDone:
      break;
  }
  return false;
}

}  // namespace ds::server
