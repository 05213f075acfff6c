// The byte format of segments: what a sealed generation's messages become, clustered by stream
// (docs/segment-format.md). Immutable once written. Native and wasm alike; no I/O.
//
// A segment holds *extents*, each one stream's messages of a range of positions:
//   [raw data of all extents, back to back][message lists][heads, one per extent][trailer]
// Raw data comes first, so that a range of a stream is a range of the file. An extent is cut into
// *blocks* of whole messages, the unit of checking: each block has a checksum of its data and one
// of its message list, both kept in the extent's head, which has a checksum of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"

namespace ds::segment {

inline constexpr uint32_t kVersion = 1;
inline constexpr std::string_view kMagic = "ds-segmt";
inline constexpr uint32_t kTrailerBytes = 64;
// A block ends with the message that brings it to this many bytes or messages. A message of this
// many bytes or more is a block of its own: whoever reads its neighbours need not read it.
inline constexpr uint64_t kBlockBytes = 64 << 10;
inline constexpr uint32_t kBlockMessages = 1024;

// The messages [begin, end) of one stream, and where in the file they and their head are.
struct Extent {
  Incarnation stream;  // whose appends these are: an owner's identity, never a fork's reader
  Position begin;
  Position end;
  uint64_t data_offset = 0;
  uint64_t head_offset = 0;
  uint32_t head_bytes = 0;
  uint64_t newest_ms = 0;  // when its newest message, the last one, was written
  uint64_t messages = 0;
};

struct Block {
  Position begin;
  Position end;
  uint64_t data_offset = 0;  // of `begin` in the file
  uint32_t data_crc = 0;
  uint64_t list_offset = 0;  // of its message list in the file
  uint32_t list_bytes = 0;
  uint32_t list_crc = 0;
  uint32_t messages = 0;
};

struct Head {
  Extent extent;
  std::vector<Block> blocks;  // in order, without gaps, at least one
};

// The last kTrailerBytes of a file.
struct Trailer {
  uint64_t lists_offset = 0;  // where the raw data ends
  uint64_t heads_offset = 0;
  uint64_t heads_bytes = 0;
  uint32_t heads_crc = 0;
  uint64_t extents = 0;
  uint64_t file_bytes = 0;
};

// One message of a block, in stream order. It begins where the one before ends.
struct Message {
  Position end;
  uint64_t time_ms = 0;
};

// Writes one segment: extents one after the other, each message by message. What is to be appended
// to the file collects in `out`, which the caller empties as it likes.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  // REQUIRES: no extent is open.
  void begin_extent(Incarnation stream, Position begin);
  // REQUIRES: an extent is open, and `stored` is not empty.
  void add_message(std::string_view stored, uint64_t time_ms);
  // REQUIRES: an extent with at least one message is open.
  void end_extent();
  // The lists, heads and trailer. Returns the extents, in the order in which they were written.
  // Nothing may be added after it. REQUIRES: no extent is open, and there was one.
  std::vector<Extent> finish();

  // Bytes of the file so far, those still in `out` included.
  uint64_t bytes() const { return bytes_; }

 private:
  void append(std::string_view bytes);
  void end_block();

  // What is kept in memory is encoded: some forty bytes for a small extent.
  std::string& out_;
  uint64_t bytes_ = 0;
  std::string lists_;  // of all blocks
  std::string heads_;  // of the ended extents; offsets of lists count from the first one
  uint64_t extents_ = 0;
  // The open extent, and its open block as far as that goes.
  bool open_ = false;
  Head head_;
  Block block_;
  uint64_t last_time_ms_ = 0;
};

enum class TrailerState : uint8_t {
  kValid,
  kOtherVersion,  // of a segment, and intact, but of a version that this program does not know
  kDamaged,       // begins like a trailer, but does not check
  kForeign,       // not a trailer
};
// Looks at the last kTrailerBytes of a file. `trailer` is set only if they are valid.
TrailerState read_trailer(std::string_view bytes, Trailer* trailer);
// The version that a valid trailer or one of another version tells.
uint32_t trailer_version(std::string_view bytes);

// Each returns nothing if the bytes are not intact and whole, or not of a known version. Whatever
// the bytes are, no more memory is taken than a small multiple of their size.
std::optional<Trailer> decode_trailer(std::string_view bytes);
// `bytes` is exactly one head, [extent.head_offset, + head_bytes). Where that was in the file is
// known to the caller only: head_offset is 0. The caller compares the extent with the one that it
// looked for.
std::optional<Head> decode_head(std::string_view bytes);
// The heads region, for whoever goes through a whole file: [trailer.heads_offset, + heads_bytes).
// Also checks that the extents and their lists fill the file up to there without a gap. A head
// takes far more memory than bytes: HeadsReader is for files with very many.
std::optional<std::vector<Head>> decode_heads(std::string_view bytes, const Trailer& trailer);
// The same, one head at a time.
class HeadsReader {
 public:
  // Borrows `bytes` for its whole life.
  HeadsReader(std::string_view bytes, const Trailer& trailer);
  // The next intact head, whose data and lists lie in the regions for them. Nothing behind the last
  // one, or where the heads are damaged.
  std::optional<Head> next();
  // Once next() has returned nothing: whether that is because of damage. It lies at `offset`, in
  // the file, or somewhere before it if that is the end of the region.
  bool damaged() const { return damaged_; }
  uint64_t offset() const { return head_offset_; }

 private:
  bool follows(const Head& head);

  std::string_view rest_;
  Trailer trailer_;
  bool damaged_;
  // Where the next extent's head, data and first list must be.
  uint64_t head_offset_;
  uint64_t data_offset_ = 0;
  uint64_t list_offset_;
  uint64_t extents_ = 0;
  uint32_t crc_ = 0;
};

// The messages of a block.
std::optional<std::vector<Message>> decode_messages(const Block& block, std::string_view list);
bool data_intact(const Block& block, std::string_view data);

}  // namespace ds::segment
