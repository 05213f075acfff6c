#include "store/generation_scan.h"

#include <algorithm>
#include <utility>

#include "core/base/crc32c.h"
#include "core/stream/op_record.h"
#include "store/recovery.h"

namespace ds::store {

using ports::IoError;
using Kind = LogProblem::Kind;

LogProblem corrupt_log(uint32_t generation, uint64_t position, const std::string& what) {
  return {Kind::kCorrupt,
          generation_name(generation) + " at byte " + std::to_string(position) + ": " + what};
}

LogProblem log_io_problem(const std::string& what, IoError error) {
  return {error == IoError::kLocked ? Kind::kLocked : Kind::kIo,
          what + ": " + io_error_text(error)};
}

LogProblem generation_read_problem(uint32_t generation, IoError error) {
  return log_io_problem("cannot read " + generation_name(generation), error);
}

Result<GenerationFile, LogProblem> open_generation(ports::Directory& directory,
                                                   uint32_t generation) {
  const std::string name = generation_name(generation);
  auto file = directory.open(name, ports::Directory::Open::kExisting);
  if (!file.ok()) return log_io_problem("cannot open " + name, file.error());
  GenerationFile found;
  found.generation = generation;
  found.file = std::move(file).value();
  // Held as long as it is open here. The log reuses only what nobody holds.
  if (!found.file->take(ports::File::Hold::kShared)) {
    return log_io_problem("cannot open " + name, IoError::kNotFound);
  }
  const auto size = found.file->size();
  if (!size.ok()) return generation_read_problem(generation, size.error());
  found.file_bytes = *size;
  char head[kGenerationHeaderBytes + kSpareMark.size()] = {};
  const auto got = found.file->read_at(0, head, sizeof head);
  if (!got.ok()) return generation_read_problem(generation, got.error());
  found.state = decode_generation_header({head, *got}, &found.header);
  found.spare =
      std::string_view(head, *got).substr(std::min<uint64_t>(*got, kGenerationHeaderBytes)) ==
      kSpareMark;
  if (found.state == HeaderState::kOtherVersion) {
    return LogProblem{Kind::kRefused, name + " was written by another version of this program"};
  }
  if (found.state == HeaderState::kValid) {
    if (found.header.generation != generation) {
      return corrupt_log(generation, 0,
                         "this is generation " + std::to_string(found.header.generation));
    }
    if (found.file_bytes < found.header.file_bytes) {
      return corrupt_log(generation, found.file_bytes, "the end of the file is missing");
    }
  }
  return found;
}

LogProblem not_a_generation(const GenerationFile& found) {
  if (found.state == HeaderState::kForeign) {
    return {Kind::kForeign, generation_name(found.generation) + " is not a generation of a log"};
  }
  return corrupt_log(found.generation, 0, "the header is damaged");
}

Result<std::optional<FrameScanner::Frame>, LogProblem> FrameScanner::next() {
  const uint32_t generation = found_.generation;
  const auto bytes = view_.bytes(position_, kFrameHeaderBytes);
  if (!bytes.ok()) return generation_read_problem(generation, bytes.error());
  const std::optional<FrameHeader> header = decode_frame_header(*bytes);
  if (!header || header->salt != found_.header.salt || header->generation != generation) {
    return std::optional<Frame>();
  }
  if (header->sequence != next_sequence_) {
    return corrupt_log(generation, position_,
                       "frame " + std::to_string(header->sequence) + " where frame " +
                           std::to_string(next_sequence_) + " should be");
  }
  const uint64_t size = frame_bytes(header->payload_bytes) - kFrameHeaderBytes;
  const auto body = view_.bytes(position_ + kFrameHeaderBytes, size);
  if (!body.ok()) return generation_read_problem(generation, body.error());
  if (body->size() != size || crc32c(*body) != header->payload_crc) return std::optional<Frame>();
  Frame frame{*header, position_, body->substr(0, header->payload_bytes)};
  position_ += frame_bytes(header->payload_bytes);
  ++next_sequence_;
  return std::optional<Frame>(frame);
}

Problem for_each_record(uint32_t generation, const FrameScanner::Frame& frame,
                        const OpLog::ReplayFn& take) {
  uint64_t at = frame.position + kFrameHeaderBytes;
  for (std::string_view rest = frame.payload; !rest.empty();) {
    const std::optional<uint32_t> size =
        rest.size() < stream::kRecordHeaderBytes ? std::nullopt : stream::peek_record_size(rest);
    if (!size || *size > rest.size() || !stream::record_intact(rest.substr(0, *size))) {
      return corrupt_log(generation, at, "a record is damaged");
    }
    if (!take(rest.substr(0, *size), log_position(generation, static_cast<uint32_t>(at)))) {
      return corrupt_log(generation, at, "a record does not follow from the ones before it");
    }
    rest.remove_prefix(*size);
    at += *size;
  }
  return std::nullopt;
}

Problem for_each_record_until(const GenerationFile& found, uint64_t end,
                              const OpLog::ReplayFn& take) {
  FrameScanner scanner(found, found.header.first_sequence);
  while (scanner.next_sequence() < end) {
    const auto frame = scanner.next();
    if (!frame.ok()) return frame.error();
    if (!*frame) {
      return corrupt_log(found.generation, scanner.position(),
                         "frame " + std::to_string(scanner.next_sequence()) + " is damaged");
    }
    const Problem problem = for_each_record(found.generation, **frame, take);
    if (problem) return problem;
  }
  return std::nullopt;
}

}  // namespace ds::store
