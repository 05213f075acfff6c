#include "store/log_tail.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "store/log_format.h"

namespace ds::store {
namespace {

// Goes through `bytes`, which begin at `position`, a multiple of kFrameAlignment. `tail` is told of
// a frame header that says that frame `missing` was synced, and if the file was used before, where
// what may be frames of this generation ends: what the generation before has left is no danger.
void look_at(std::string_view bytes, uint64_t position, const GenerationFile& found,
             uint64_t missing, LogTail& tail) {
  const bool reused = (found.header.flags & GenerationHeader::kReused) != 0;
  if (!reused) tail.end = position + bytes.find_last_not_of('\0') + 1;
  char salt[sizeof(uint64_t)];
  for (size_t i = 0; i < sizeof salt; ++i) {
    salt[i] = static_cast<char>(found.header.salt >> (8 * i));
  }
  for (size_t at = 0; at + kFrameHeaderBytes <= bytes.size(); at += kFrameAlignment) {
    if (std::memcmp(bytes.data() + at, salt, sizeof salt) != 0) continue;
    const std::optional<FrameHeader> frame = decode_frame_header(bytes.substr(at));
    if (reused) {
      const uint64_t size = frame ? frame_bytes(frame->payload_bytes) : kFrameHeaderBytes;
      tail.end = std::max(tail.end, std::min(position + at + size, found.file_bytes));
    }
    if (frame && frame->generation == found.generation && frame->sequence > missing &&
        frame->synced_through >= missing) {
      tail.damaged = true;
      return;
    }
  }
}

}  // namespace

Result<LogTail, LogProblem> look_behind(const GenerationFile& found, FileView& view,
                                        uint64_t position, uint64_t missing) {
  LogTail tail{position, false};
  for (uint64_t at = position; at < found.file_bytes;) {
    const auto bytes = view.bytes(at, FileView::kStepBytes);
    if (!bytes.ok()) return generation_read_problem(found.generation, bytes.error());
    if (bytes->empty()) break;
    // Nearly all of it is zeros: ask for that first, at the speed of memory.
    if ((*bytes)[0] != '\0' ||
        std::memcmp(bytes->data(), bytes->data() + 1, bytes->size() - 1) != 0) {
      look_at(*bytes, at, found, missing, tail);
      if (tail.damaged) return tail;
    }
    // Steps overlap by less than a header, so that none is missed at a border.
    if (at + bytes->size() >= found.file_bytes || bytes->size() <= kFrameHeaderBytes) break;
    at += bytes->size() - kFrameHeaderBytes;
  }
  return tail;
}

LogProblem damaged_tail(const GenerationFile& found, uint64_t position, uint64_t missing) {
  return corrupt_log(
      found.generation, position,
      "frame " + std::to_string(missing) + " is damaged, and there are frames behind it");
}

Result<uint64_t, LogProblem> for_each_frame(const GenerationFile& found,
                                            std::optional<uint64_t> end, const TakeFrame& take) {
  uint64_t next = found.header.first_sequence;  // that has not been taken
  for (std::optional<uint64_t> damaged_at;;) {
    // What was read before may be older than what is there now: every round reads anew.
    FrameScanner scanner(found, found.header.first_sequence);
    while (!end || scanner.next_sequence() < *end) {
      const auto frame = scanner.next();
      if (!frame.ok()) return frame.error();
      if (!*frame) break;
      if ((*frame)->header.sequence < next) continue;
      const Problem problem = take(**frame);
      if (problem) return *problem;
      next = scanner.next_sequence();
    }
    const uint64_t position = scanner.position();
    if (end && next == *end) return position;
    if (end) {
      return corrupt_log(found.generation, position,
                         "frame " + std::to_string(next) + " is damaged");
    }
    const auto tail = look_behind(found, scanner.view(), position, next);
    if (!tail.ok()) return tail.error();
    if (!tail->damaged) return position;
    // Or it was written between the two looks. A frame is whole before a later one tells of it.
    if (damaged_at == next) return damaged_tail(found, position, next);
    damaged_at = next;
  }
}

}  // namespace ds::store
