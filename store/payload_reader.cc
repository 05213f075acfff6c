#include "store/payload_reader.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"

namespace ds::store {
namespace {

using ports::IoError;
using ports::IoStatus;
using Piece = OpLog::Piece;

constexpr uint64_t kGapBytesMax = 64 << 10;  // read and thrown away rather than skipped
constexpr uint64_t kReadBytesMax = 1 << 20;  // one read
constexpr uint64_t kExtrasGuessBytes = 256;  // what follows a payload, mostly

// Reading one run of pieces that lie close together in one file.
class RunReader {
 public:
  RunReader(const ports::File& file, std::string& out, bool* corrupt)
      : file_(file), out_(out), corrupt_(corrupt) {}

  // Takes pieces from the front of `pieces`, at least one, and returns how many.
  static size_t plan(std::span<const Piece> pieces, uint64_t* begin, uint64_t* end) {
    *begin = pieces[0].record.byte_offset();
    *end = likely_end(pieces[0]);
    size_t count = 1;
    while (count < pieces.size()) {
      const Piece& next = pieces[count];
      if (next.record.generation() != pieces[0].record.generation()) break;
      if (next.record < pieces[count - 1].record) break;
      if (next.record.byte_offset() > *end + kGapBytesMax) break;
      if (likely_end(next) > *begin + kReadBytesMax) break;
      *end = std::max(*end, likely_end(next));
      ++count;
    }
    *end = std::min(*end, *begin + kReadBytesMax);
    return count;
  }

  IoStatus read(std::span<const Piece> pieces, uint64_t begin, uint64_t end) {
    buffer_.resize(end - begin);
    const auto got = file_.read_at(begin, buffer_.data(), buffer_.size());
    if (!got.ok()) return got.error();
    buffer_.resize(got.value());
    for (const Piece& piece : pieces) {
      const uint64_t at = piece.record.byte_offset() - begin;
      std::string_view bytes;
      if (at < buffer_.size()) bytes = std::string_view(buffer_).substr(at);
      const std::optional<uint32_t> size = bytes.size() < stream::kRecordHeaderBytes
                                               ? std::nullopt
                                               : stream::peek_record_size(bytes);
      if (!size) return corrupt();
      const IoStatus status =
          *size <= bytes.size() ? take(bytes.substr(0, *size), piece) : take_long(*size, piece);
      if (!status.ok()) return status;
    }
    return {};
  }

 private:
  static uint64_t likely_end(const Piece& piece) {
    return piece.record.byte_offset() + uint64_t{stream::kRecordHeaderBytes} + piece.skip +
           piece.bytes + kExtrasGuessBytes;
  }

  IoStatus corrupt() {
    *corrupt_ = true;
    return IoError::kFailed;
  }

  IoStatus take(std::string_view record, const Piece& piece) {
    if (!stream::record_intact(record)) return corrupt();
    const std::string_view payload = stream::record_payload(record);
    if (uint64_t{piece.skip} + piece.bytes > payload.size()) return corrupt();
    out_.append(payload.substr(piece.skip, piece.bytes));
    return {};
  }

  // A record that did not fit the read: in steps, so that memory does not grow with it.
  IoStatus take_long(uint32_t size, const Piece& piece) {
    const uint64_t wanted_begin = uint64_t{stream::kRecordPayloadOffset} + piece.skip;
    const uint64_t wanted_end = wanted_begin + piece.bytes;
    std::string step;
    std::string header;
    uint32_t crc = 0;
    for (uint64_t at = 0; at < size; at += step.size()) {
      step.resize(std::min<uint64_t>(kReadBytesMax, size - at));
      const auto got = file_.read_at(piece.record.byte_offset() + at, step.data(), step.size());
      if (!got.ok()) return got.error();
      if (got.value() != step.size()) return corrupt();
      const std::string_view bytes = step;
      if (at == 0) {
        header = bytes.substr(0, stream::kRecordHeaderBytes);
        if (stream::peek_record_size(header) != size) return corrupt();
      }
      crc = crc32c(at == 0 ? bytes.substr(stream::layout::kSize) : bytes, crc);
      const uint64_t from = std::max(wanted_begin, at);
      const uint64_t to = std::min(wanted_end, at + bytes.size());
      if (from < to) out_.append(bytes.substr(from - at, to - from));
    }
    if (crc != get_at<uint32_t>(header, stream::layout::kCrc)) return corrupt();
    const uint64_t payload = get_at<uint32_t>(header, stream::layout::kPayloadSize);
    if (uint64_t{piece.skip} + piece.bytes > payload) return corrupt();
    return {};
  }

  const ports::File& file_;
  std::string& out_;
  bool* corrupt_;
  std::string buffer_;
};

IoStatus read_all(GenerationFiles& files, std::span<const Piece> pieces, std::string& out,
                  bool* corrupt) {
  while (!pieces.empty()) {
    const uint32_t generation = pieces[0].record.generation();
    const auto file = files.get(generation);
    if (!file.ok()) {
      *corrupt = file.error() == IoError::kNotFound && !files.given_up(generation);
      return file.error();
    }
    uint64_t begin = 0;
    uint64_t end = 0;
    const size_t count = RunReader::plan(pieces, &begin, &end);
    const IoStatus status =
        RunReader(**file, out, corrupt).read(pieces.subspan(0, count), begin, end);
    if (!status.ok()) return status;
    pieces = pieces.subspan(count);
  }
  return {};
}

}  // namespace

IoStatus read_payloads(GenerationFiles& files, std::span<const Piece> pieces, std::string& out,
                       bool* corrupt) {
  *corrupt = false;
  const size_t before = out.size();
  // At once: growing step by step would hold the bytes twice, and keep up to as much unused.
  uint64_t bytes = 0;
  for (const Piece& piece : pieces) bytes += piece.bytes;
  out.reserve(before + bytes);
  const IoStatus status = read_all(files, pieces, out, corrupt);
  if (!status.ok()) out.resize(before);
  return status;
}

}  // namespace ds::store
