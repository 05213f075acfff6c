// Headers of the log's files: what is accepted is written again as the same bytes, and names of
// generations are their numbers.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "store/log_format.h"

namespace {

using namespace ds::store;

// A header with the checksum that belongs there.
std::string with_crc(std::string_view bytes, size_t size, size_t crc_at) {
  std::string header(bytes.substr(0, size));
  header.resize(size);
  const std::string_view all = header;
  ds::put_at(header, crc_at, ds::crc32c(all.substr(crc_at + 4), ds::crc32c(all.substr(0, crc_at))));
  return header;
}

void check_generation(const std::string& header) {
  GenerationHeader decoded;
  if (decode_generation_header(header, &decoded) != HeaderState::kValid) return;
  char again[kGenerationHeaderBytes];
  encode_generation_header(decoded, again);
  GenerationHeader same;
  DS_ASSERT(decode_generation_header({again, sizeof again}, &same) == HeaderState::kValid);
  DS_ASSERT(same.generation == decoded.generation);
  DS_ASSERT(same.first_sequence == decoded.first_sequence);
  DS_ASSERT(same.salt == decoded.salt);
  DS_ASSERT(same.file_bytes == decoded.file_bytes);
  const std::string name = generation_name(decoded.generation);
  DS_ASSERT(parse_generation_name(name).has_value() == (decoded.generation > 0));
  if (decoded.generation > 0) DS_ASSERT(parse_generation_name(name) == decoded.generation);
}

void check_frame(const std::string& header) {
  const auto decoded = decode_frame_header(header);
  if (!decoded) return;
  DS_ASSERT(decoded->salt != 0);
  char again[kFrameHeaderBytes];
  encode_frame_header(*decoded, again);
  const auto same = decode_frame_header({again, sizeof again});
  DS_ASSERT(same.has_value());
  DS_ASSERT(same->payload_crc == decoded->payload_crc);
  DS_ASSERT(same->payload_bytes == decoded->payload_bytes);
  DS_ASSERT(same->flags == decoded->flags);
  DS_ASSERT(same->sequence == decoded->sequence);
  DS_ASSERT(same->synced_through == decoded->synced_through);
  DS_ASSERT(same->generation == decoded->generation);
  const uint64_t room = frame_bytes(decoded->payload_bytes);
  DS_ASSERT(room % kFrameAlignment == 0);
  DS_ASSERT(room == uint64_t{kFrameHeaderBytes} + decoded->payload_bytes +
                        frame_padding(decoded->payload_bytes).size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_generation(std::string(bytes));
  check_frame(std::string(bytes));
  std::string generation = with_crc(bytes, kGenerationHeaderBytes, 12);
  generation.replace(0, kGenerationMagic.size(), kGenerationMagic);
  check_generation(with_crc(generation, kGenerationHeaderBytes, 12));
  check_frame(with_crc(bytes, kFrameHeaderBytes, 8));
  if (const auto number = parse_generation_name(bytes)) {
    DS_ASSERT(generation_name(*number) == bytes);
  }
  return 0;
}
