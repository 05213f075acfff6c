// Records for tests that only store them: the layout of core/stream/op_record.h, filled in without
// an engine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"

namespace ds::fakes {

// A whole record with `payload`, recognisable by `number` (its stream). `extras` follow as they
// are.
inline std::string make_record(uint64_t number, std::string_view payload,
                               std::string_view extras = {}) {
  std::string record(48, '\0');
  const auto size = static_cast<uint32_t>(record.size() + payload.size() + extras.size());
  put_at<uint32_t>(record, stream::layout::kSize, size);
  record[stream::layout::kType] = 1;
  put_at<uint32_t>(record, stream::layout::kPayloadSize, static_cast<uint32_t>(payload.size()));
  put_at<uint64_t>(record, stream::layout::kStream, number);
  record.append(payload);
  record.append(extras);
  put_at<uint32_t>(record, stream::layout::kCrc,
                   crc32c(std::string_view(record).substr(stream::layout::kSize)));
  return record;
}

}  // namespace ds::fakes
