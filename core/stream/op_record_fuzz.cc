// Records of the log, their checksums made right so that the rest is looked at: whatever they hold
// is refused or decoded to an op that can be written again, once and for all the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"

namespace {

using namespace ds::stream;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_op(const Op& op, std::string_view record) {
  DS_ASSERT(inside(op.payload, record));
  DS_ASSERT(op.payload == record_payload(record));
  DS_ASSERT(op.stream.value == record_stream(record));
  DS_ASSERT(op.path_hash == record_path_hash(record));
  if (op.producer) DS_ASSERT(inside(op.producer->id, record));
  if (op.stream_seq) DS_ASSERT(inside(*op.stream_seq, record));
  if (op.create) {
    DS_ASSERT(inside(op.create->path, record));
    DS_ASSERT(inside(op.create->content_type, record));
    DS_ASSERT(op.create->lives.size() <= record.size() / 17);
  }
}

void check_record(std::string_view record) {
  const auto op = decode_record_unchecked(record);
  DS_ASSERT(op.has_value() == decode_record(record).has_value());
  if (!op) return;
  check_op(*op, record);
  std::string again = "before";
  const size_t at = append_record(again, *op);
  DS_ASSERT(at == 6);
  const std::string_view written = std::string_view(again).substr(at);
  DS_ASSERT(record_intact(written));
  DS_ASSERT(peek_record_size(written) == written.size());
  const auto same = decode_record(written);
  DS_ASSERT(same.has_value());
  check_op(*same, written);
  std::string third;
  append_record(third, *same);
  DS_ASSERT(third == written);
  // What it was made of takes no more room than what it was decoded from, unless that said things
  // twice.
  DS_ASSERT(written.size() <= record.size() + 64);
  // One bit more or less, and it is not this record any more.
  std::string changed(written);
  const size_t bit = record.size() * 7 % (changed.size() * 8);
  changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
  DS_ASSERT(!decode_record(changed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string record(reinterpret_cast<const char*>(data), size);
  (void)decode_record(record);
  (void)peek_record_size(record);
  if (size < kRecordHeaderBytes) return 0;
  ds::put_at(record, layout::kSize, static_cast<uint32_t>(size));
  ds::put_at(record, layout::kCrc, ds::crc32c(std::string_view(record).substr(layout::kSize)));
  check_record(record);
  return 0;
}
