#include "core/stream/op_record.h"

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op_record_layout.h"

namespace ds::stream {

std::optional<uint32_t> peek_record_size(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  const uint32_t size = get_at<uint32_t>(bytes, layout::kSize);
  const uint32_t payload = get_at<uint32_t>(bytes, layout::kPayloadSize);
  if (size < kRecordHeaderBytes || payload > size - kRecordHeaderBytes) return std::nullopt;
  return size;
}

bool record_intact(std::string_view record) {
  const std::optional<uint32_t> size = peek_record_size(record);
  if (!size || *size != record.size()) return false;
  return get_at<uint32_t>(record, layout::kCrc) == crc32c(record.substr(layout::kSize));
}

std::string_view record_payload(std::string_view record) {
  return record.substr(kRecordPayloadOffset, get_at<uint32_t>(record, layout::kPayloadSize));
}

uint64_t record_path_hash(std::string_view record) {
  return get_at<uint64_t>(record, layout::kPathHash);
}

uint64_t record_stream(std::string_view record) {
  return get_at<uint64_t>(record, layout::kStream);
}

}  // namespace ds::stream
