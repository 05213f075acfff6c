// Goes through one segment file and checks every byte of it (docs/segment-format.md). Changes
// nothing. Needs the heads and one block in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/segment/format.h"
#include "ports/file.h"

namespace ds::store {

// A place of the file that does not check, or can not be read.
struct SegmentDamage {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::string what;  // "data of stream 0000000000000007 at [0, 4096)"
};

// Who wants to see what is found as the file is gone through, in its order. Empty ones are not
// called.
struct SegmentVisitor {
  std::function<void(const segment::Trailer&)> on_trailer;
  std::function<void(const segment::Head&)> on_extent;
  // The messages of a block whose list is intact; its data may not be.
  std::function<void(const segment::Block&, const std::vector<segment::Message>&)> on_messages;
  std::function<void(const SegmentDamage&)> on_damage;
};

struct SegmentTotals {
  uint64_t extents = 0;
  uint64_t blocks = 0;
  uint64_t messages = 0;
  uint64_t damages = 0;  // 0: every byte of the file is as it was written
};

// Why nothing of a file could be looked at.
struct SegmentUnreadable {
  enum class Kind : uint8_t {
    kForeign,       // not a segment, or its end is missing
    kOtherVersion,  // a segment of a version that this program does not know
    kDamaged,       // its trailer does not check, or tells of a file of another size
    kIo,            // it could not be read
  };
  Kind kind = Kind::kIo;
  std::string message;  // what follows a file's name and a colon
};

enum class SegmentDepth : uint8_t {
  kWhole,
  kHeads,  // the trailer and the heads only: on_messages is not called
};

Result<SegmentTotals, SegmentUnreadable> check_segment(const ports::File& file,
                                                       const SegmentVisitor& visitor,
                                                       SegmentDepth depth = SegmentDepth::kWhole);

}  // namespace ds::store
