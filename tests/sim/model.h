// What clients know of the streams from the answers they got, and nothing else: each write has
// content of its own, so that what a read shows tells which writes took place, in which order and
// how often.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/stream/op.h"

namespace ds::sim {

enum class Kind : uint8_t { kText, kJson, kBinary };
std::string content_type(Kind kind);

// What one write stores, recognisable wherever it turns up.
struct Payload {
  uint64_t tag = 0;
  std::string path;
  std::string stored;  // "" for a write without content
  std::string body;
  int open = 0;                       // attempts of which it is not known what became of them
  std::map<uint64_t, uint64_t> done;  // stream -> where it ends, as it was answered
  std::map<uint64_t, uint64_t> seen;  // the same, as it was read
};

struct Stream {
  uint64_t id = 0;
  std::string path;
  uint64_t source = 0;  // 0: no fork
  uint64_t begin = 0;   // of its own part
  std::optional<int64_t> ttl_us;
  stream::Retention retention;
  // An answer told of it before the log was asked to record it.
  bool presumed = false;
  // What the log was asked to record, whether it came to be or not: where messages end and when
  // they were written, where the stream may begin since retention has dropped something.
  std::map<uint64_t, Instant> written;
  std::set<uint64_t> trims;
  std::vector<uint64_t> ends;  // of own messages, as they were answered
  // Of its own part, as read. Unknown bytes are not in `known`.
  std::string bytes;
  std::vector<bool> known;
  // Facts that must stay true, and since when (a count of events; 0: not known).
  uint64_t tail = 0;      // at least
  uint64_t earliest = 0;  // at least
  uint64_t closed_since = 0;
  uint64_t gone_since = 0;
  uint64_t alive_at = 0;  // it was there at this time, or later
  uint64_t open_at = 0;   // and it was not closed
  std::string last_seq;   // Stream-Seq, at least
  Instant accessed;       // not before
  Instant durably_accessed;
};

class Model {
 public:
  explicit Model(Kind kind) : kind_(kind) {}

  Kind kind() const { return kind_; }

  // --- Writes -----------------------------------------------------------------------------------
  // A payload for a path: of `elements` messages if it is JSON, with about `size` bytes each.
  Payload& make_payload(const std::string& path, uint64_t elements, uint64_t size);
  Payload& payload(uint64_t tag) { return payloads_.at(tag); }
  // It was answered: it ends there.
  void done(uint64_t tag, uint64_t stream, uint64_t end);
  // Nothing is under way any more: what has not been found will never be.
  void settle() {
    for (auto& [tag, payload] : payloads_) payload.open = 0;
  }

  // --- Streams ----------------------------------------------------------------------------------
  // What engines have asked the log to record: which streams may come to be. Not that they did.
  // Throws if retention drops what a stream is to keep.
  void note_records(std::string_view records);
  // What an answer tells of without a record that was asked for: it must turn out to be true.
  Stream& presume(uint64_t id, const std::string& path);
  Stream* find(uint64_t id);
  // The life that an offset of `stream` at `position` shows.
  uint64_t life_at(const Stream& stream, uint64_t position);
  Offset offset_at(const Stream& stream, uint64_t position);
  // The one stream at `path` that has this offset; null if there is none, or more than one.
  Stream* identify(const std::string& path, Offset offset);
  std::vector<Stream*> at_path(const std::string& path);
  // Where messages of a stream are known to end, inherited ones too, and its beginning.
  std::vector<uint64_t> ends(const Stream& stream);

  // --- Reads ------------------------------------------------------------------------------------
  // A reader of `stream` saw these stored bytes there.
  void observe(Stream& stream, uint64_t position, std::string_view bytes);
  // All of a stream from `begin` on has been read: every write that was answered is in it once,
  // where it was answered, and nothing else is.
  void check_content(Stream& stream, uint64_t begin, const std::string& content);

 private:
  void note_trim(const stream::Op& op);

  Kind kind_;
  uint64_t last_tag_ = 0;
  std::map<uint64_t, Payload> payloads_;
  std::map<uint64_t, Stream> streams_;
  std::map<std::string, std::vector<uint64_t>> by_path_;
};

}  // namespace ds::sim
