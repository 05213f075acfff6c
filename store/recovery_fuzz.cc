// A log of one or two generations that holds whatever the input says, framed with good checksums or
// damaged ones: it is opened or refused with a sentence, never more is replayed than is there, and
// what was replayed once is replayed by the next start too, together with what was appended.
//
// Input: steps, each a byte and what belongs to it; see build_log().
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"
#include "store/log_format.h"
#include "store/op_log.h"
#include "tests/fakes/memory_disk.h"
#include "tests/fakes/records.h"

namespace {

using namespace ds;
using namespace ds::store;

constexpr uint64_t kSalt = 0x1122334455667788;
constexpr size_t kFileBytesMax = 64 << 10;

// What the frames of a generation hold, and how they are numbered.
struct Generation {
  uint32_t number = 1;
  uint64_t first_sequence = 1;
  std::string frames;
};

class Builder {
 public:
  explicit Builder(std::string_view input) : in_(input) {}

  std::vector<Generation> build() {
    generations_.push_back({});
    while (!in_.at_end() && total_ < kFileBytesMax) step();
    return std::move(generations_);
  }
  // How many frames, and records in them, were made at most.
  uint64_t frames() const { return frames_; }
  uint64_t records() const { return records_; }

 private:
  void step() {
    const auto kind = in_.take<uint8_t>();
    std::string& out = generations_.back().frames;
    switch (kind % 8) {
      case 0:  // the rest is in the next generation
        if (generations_.size() == 1) {
          generations_.push_back({2, sequence_ + kind / 128, {}});
          sequence_ = generations_.back().first_sequence;
        }
        break;
      case 1: {  // bytes as they are
        out += in_.take_bytes(std::min<uint64_t>(in_.take<uint8_t>(), in_.left()));
        break;
      }
      case 2:  // zeros
        out.append(in_.take<uint8_t>() * size_t{8}, '\0');
        break;
      case 3:  // a byte changed
        if (!out.empty()) {
          char& byte = out[in_.take<uint16_t>() % out.size()];
          byte = static_cast<char>(byte ^ in_.take<uint8_t>());
        }
        break;
      default:
        frame(kind);
    }
    total_ = generations_.front().frames.size() + generations_.back().frames.size();
  }

  void frame(uint8_t kind) {
    FrameHeader header;
    header.salt = kSalt + generations_.back().number;
    header.generation = generations_.back().number;
    header.sequence = sequence_++;
    // Mostly as they are written: all before it had been synced.
    header.synced_through = (kind & 8) == 0 ? header.sequence - 1 : in_.take<uint8_t>();
    header.flags = (kind & 16) == 0 ? 0u : in_.take<uint8_t>() & 3u;
    if ((kind & 32) != 0) header.sequence += in_.take<uint8_t>();
    const std::string payload = records(kind);
    header.payload_bytes = static_cast<uint32_t>(payload.size());
    std::string padded = payload + std::string(frame_padding(payload.size()));
    header.payload_crc = crc32c(padded);
    if ((kind & 64) != 0) header.payload_bytes += in_.take<uint8_t>();
    std::string head(kFrameHeaderBytes, '\0');
    encode_frame_header(header, head.data());
    generations_.back().frames += head + padded;
    ++frames_;
  }

  std::string records(uint8_t kind) {
    std::string payload;
    for (uint8_t left = in_.take<uint8_t>() % 4; left > 0 && !in_.at_end(); --left) {
      const uint8_t size = in_.take<uint8_t>();
      const std::string_view bytes = in_.take_bytes(std::min<uint64_t>(size, in_.left()));
      payload += (kind & 128) != 0 && left == 1 ? std::string(bytes)
                                                : fakes::make_record(++records_, bytes);
    }
    return payload;
  }

  ByteReader in_;
  std::vector<Generation> generations_;
  uint64_t sequence_ = 1;
  uint64_t frames_ = 0;
  uint64_t records_ = 0;
  size_t total_ = 0;
};

void write_file(ports::Directory& directory, const Generation& generation) {
  auto file =
      directory.open(generation_name(generation.number), ports::Directory::Open::kCreateNew);
  DS_ASSERT(file.ok());
  GenerationHeader header;
  header.generation = generation.number;
  header.first_sequence = generation.first_sequence;
  header.salt = kSalt + generation.number;
  header.file_bytes = kGenerationBytesMin;
  std::string content(kGenerationHeaderBytes, '\0');
  encode_generation_header(header, content.data());
  content += generation.frames;
  content.resize(std::max<size_t>(content.size(), kGenerationBytesMin));
  const std::string_view part = content;
  DS_ASSERT((*file)->write_at(0, {&part, 1}).ok());
}

struct Opened {
  std::unique_ptr<OpLog> log;
  OpLog::Recovery recovery;
  std::vector<std::string> records;
};

Opened open_log(ports::Directory& directory) {
  OpLogOptions options;
  options.generation_bytes = kGenerationBytesMin;
  options.salt_seed = 7;
  Opened opened;
  LogPosition last;
  auto log = OpLog::open(
      directory, options,
      [&](std::string_view record, LogPosition at) {
        DS_ASSERT(stream::record_intact(record));
        DS_ASSERT(last < at);
        last = at;
        opened.records.emplace_back(record);
        return true;
      },
      &opened.recovery);
  if (log.ok()) {
    opened.log = std::move(log).value();
    DS_ASSERT(opened.recovery.records == opened.records.size());
  } else {
    DS_ASSERT(!log.error().message.empty());
  }
  return opened;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Builder builder({reinterpret_cast<const char*>(data), size});
  const std::vector<Generation> generations = builder.build();
  fakes::MemoryDisk disk;
  {
    const auto directory = disk.root();
    for (const Generation& generation : generations) write_file(*directory, generation);
  }
  auto directory = disk.root();
  Opened first = open_log(*directory);
  if (!first.log) {
    // Nothing was changed: it is refused again.
    directory = disk.root();
    DS_ASSERT(!open_log(*directory).log);
    return 0;
  }
  DS_ASSERT(first.recovery.frames <= builder.frames() + size / kFrameHeaderBytes);
  const std::string record = fakes::make_record(9999, "appended");
  const std::string_view batch = record;
  LogPosition begin;
  DS_ASSERT(first.log->append({&batch, 1}, false, {&begin, 1}).ok());
  DS_ASSERT(first.log->sync().ok());
  first.log.reset();

  directory = disk.root();
  const Opened second = open_log(*directory);
  DS_ASSERT(second.log != nullptr);
  first.records.push_back(record);
  DS_ASSERT(second.records == first.records);
  DS_ASSERT(second.recovery.torn_bytes == 0);
  return 0;
}
