#include "server/commands/segment.h"

#include <cstdint>
#include <vector>

#include "core/segment/format.h"
#include "core/wire/text.h"
#include "server/posix_file.h"
#include "store/segment_check.h"

namespace ds::server {
namespace {

using ports::IoError;
using segment::Block;
using segment::Extent;
using segment::Head;
using segment::Message;
using segment::Trailer;

constexpr uint64_t kYear9999EndMs = 253402300799999;

std::string count(uint64_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

std::string range(uint64_t begin, uint64_t end) {
  return "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
}

// As streams are numbered in offsets.
std::string stream_number(Incarnation stream) {
  const std::string digits = std::to_string(stream.value);
  return std::string(digits.size() < 16 ? 16 - digits.size() : 0, '0') + digits;
}

std::string time_text(uint64_t ms) {
  if (ms > kYear9999EndMs) return std::to_string(ms) + " ms";
  std::string text;
  wire::append_rfc3339(text, Instant{static_cast<int64_t>(ms) * 1000});
  return text;
}

std::string_view open_problem(IoError error) {
  switch (error) {
    case IoError::kNotFound:
      return "there is no such file";
    case IoError::kReadOnly:
      return "there is no permission to read it";
    default:
      return "is not a file that can be read";
  }
}

void print_trailer(const Trailer& trailer, const Print& out) {
  out("version " + std::to_string(segment::kVersion) + ", " + count(trailer.file_bytes, "byte") +
      ": data " + std::to_string(trailer.lists_offset) + ", message lists " +
      std::to_string(trailer.heads_offset - trailer.lists_offset) + ", heads " +
      std::to_string(trailer.heads_bytes) + ", trailer " + std::to_string(segment::kTrailerBytes) +
      "\n");
}

void print_extent(const Head& head, const Print& out) {
  const Extent& extent = head.extent;
  out("stream " + stream_number(extent.stream) + " " + range(extent.begin.value, extent.end.value) +
      ": " + count(extent.messages, "message") + " in " + count(head.blocks.size(), "block") +
      ", newest " + time_text(extent.newest_ms) + ", data at " +
      std::to_string(extent.data_offset) + ", head at " + std::to_string(extent.head_offset) +
      "\n");
}

void print_messages(const Block& block, const std::vector<Message>& messages, const Print& out) {
  Position begin = block.begin;
  for (const Message& message : messages) {
    out("  message " + range(begin.value, message.end.value) + " " + time_text(message.time_ms) +
        "\n");
    begin = message.end;
  }
}

}  // namespace

int inspect_segment(const std::string& path, bool with_messages, const Print& out,
                    const Print& error) {
  const auto fail = [&](std::string_view problem) {
    error("durable-streams: " + path + ": " + std::string(problem) + "\n");
    return 1;
  };
  const auto file = open_posix_file(path);
  if (!file.ok()) return fail(open_problem(file.error()));

  store::SegmentVisitor visitor;
  visitor.on_trailer = [&](const Trailer& trailer) { print_trailer(trailer, out); };
  visitor.on_extent = [&](const Head& head) { print_extent(head, out); };
  if (with_messages) {
    visitor.on_messages = [&](const Block& block, const std::vector<Message>& messages) {
      print_messages(block, messages, out);
    };
  }
  visitor.on_damage = [&](const store::SegmentDamage& damage) {
    out("damaged: bytes " + range(damage.offset, damage.offset + damage.bytes) + ": " +
        damage.what + "\n");
  };
  const auto totals = store::check_segment(**file, visitor);
  if (!totals.ok()) return fail(totals.error().message);
  out(count(totals->extents, "extent") + ", " + count(totals->blocks, "block") + ", " +
      count(totals->messages, "message") + ": " +
      (totals->damages == 0 ? "intact" : count(totals->damages, "place") + " damaged") + "\n");
  return totals->damages == 0 ? 0 : 1;
}

}  // namespace ds::server
