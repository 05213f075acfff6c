// Judges every answer by what was known when its request was sent: nothing that an answer has told
// may be untrue later, and nothing may happen that nobody asked for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/wire/response.h"
#include "tests/sim/model.h"

namespace ds::sim {

struct Tuple {
  std::string id;
  uint64_t epoch = 0;
  uint64_t seq = 0;
};

// One request as its client made it, and what was known then.
struct Sent {
  enum class What : uint8_t { kCreate, kAppend, kDelete, kHead, kRead, kPoll, kSse };
  What what = What::kRead;
  std::string path;
  uint64_t tag = 0;  // of the payload; 0: none
  bool closes = false;
  bool wrong_type = false;
  std::optional<Tuple> producer;
  std::optional<Offset> if_match;
  std::string stream_seq;
  std::optional<Offset> at;  // kRead, kPoll, kSse; absent: the beginning
  bool from_now = false;
  std::string source;  // kCreate: of a fork
  std::optional<Offset> fork_at;
  uint64_t sub_offset = 0;
  std::optional<uint64_t> ttl_s;
  stream::Retention retention;

  // Filled in by the oracle.
  uint64_t since = 0;
  Instant time;
  uint64_t stream = 0;         // that is known to be at the path
  uint64_t source_stream = 0;  // and at the source's
  uint64_t tail = 0;           // of it, at least
  uint64_t earliest = 0;       // the same
  std::string last_seq;
  uint64_t source_tail = 0;
  std::optional<uint64_t> next_seq;  // of the producer, at least
  uint64_t epoch = 0;                // the same
  std::optional<Instant> accessed;   // not after, if that is known
  bool quiet = false;                // no other write to the path was under way, or came since
  // If it was quiet: what the stream is exactly, so that the answer can be foretold.
  struct Exact {
    uint64_t stream = 0;
    uint64_t tail = 0;
    bool closed = false;
  };
  std::optional<Exact> exact;
};

class Oracle {
 public:
  explicit Oracle(Kind kind) : model_(kind) {}

  Model& model() { return model_; }

  // Whether commits and reads may fail, and whether bits may have flipped at rest. `ballast`: what
  // needs no room finds some even if the disk is full.
  void set_faults(bool io, bool flips, bool ballast) {
    io_faults_ = io;
    flips_ = flips;
    ballast_ = ballast;
  }

  void sent(uint64_t request, Sent what, Instant now);
  const Sent& of(uint64_t request) const { return open_.at(request); }
  bool is_open(uint64_t request) const { return open_.count(request) > 0; }
  const std::map<uint64_t, Sent>& open() const { return open_; }
  // Its client is gone: nobody will hear of it, but it may still take place.
  void abandoned(uint64_t request, Instant now);
  // The process is gone.
  void crashed(Instant now);
  // The server has nothing left to do: what has been abandoned has happened, or never will.
  void settled(Instant now) { settle(now, false); }
  // Throws Violation.
  void answered(uint64_t request, const wire::Response& response, Instant now);
  // A reader at a stream: what it saw, and where that ends.
  void saw(uint64_t request, uint64_t stream, uint64_t begin, std::string_view bytes);
  // A live reader has ended, or nothing is to be known of it any more.
  void ended(uint64_t request, Instant now);

  // The stream that is known to be at a path; null if there is none.
  Stream* current(const std::string& path);
  // What is known about a producer's place in a stream.
  std::optional<uint64_t> next_seq(uint64_t stream, const Tuple& tuple) const;
  // The stored bytes of an answer's body, "" for none.
  std::string stored(const wire::Response& response) const;

 private:
  // A write that may take effect at any time between its sending and `until`.
  struct Possible {
    uint64_t request = 0;
    uint64_t until = UINT64_MAX;
    bool refused = false;
    std::string seq;
  };
  struct Path {
    uint64_t current = 0;
    std::vector<Possible> deletes;
    std::vector<Possible> closes;
    std::vector<Possible> seqs;
    std::map<std::string, uint64_t> epochs;  // the highest one sent, by producer
    uint64_t writes_under_way = 0;
    std::optional<Sent::Exact> exact;
    Instant accessed;  // not after, but for those that are under way
    uint64_t accesses_under_way = 0;
  };

  void settle(Instant now, bool died);
  static bool is_write(const Sent& sent);
  static bool is_access(const Sent& sent) { return sent.what != Sent::What::kHead; }
  void no_longer_under_way(const Sent& sent, bool accessed, Instant now);
  void set_fate(uint64_t request, const Sent& sent, bool refused);
  void judge(const Sent& sent, const wire::Response& response, Instant now);
  void judge_error(const Sent& sent, const wire::Response& response, Instant now);
  void judge_append_error(const Sent& sent, const wire::Response& response, Instant now);
  void judge_created(const Sent& sent, const wire::Response& response, Instant now);
  void judge_appended(const Sent& sent, const wire::Response& response, Instant now);
  void judge_accepted(const Sent& sent, Stream& stream, uint64_t end);
  void judge_read(const Sent& sent, const wire::Response& response, Instant now);
  void judge_exact(const Sent& sent, const wire::Response& response);

  // Each throws if it cannot be, and notes it.
  Stream* there(const Sent& sent, Offset offset, Instant now);
  void is_there(const Sent& sent, Stream& stream, Instant now);
  void is_gone(uint64_t stream, Instant now, const char* why);
  void has_tail(const Sent& sent, Stream& stream, uint64_t tail, bool closed);
  void begins_at(const Sent& sent, Stream& stream, uint64_t earliest);
  // The stream of a life that an answer names.
  Stream& named(const Sent& sent, Incarnation life);

  Model model_;
  bool io_faults_ = false;
  bool flips_ = false;
  bool ballast_ = false;
  bool touches_ = false;  // the answer being judged is that of an access
  uint64_t clock_ = 0;    // counts events
  std::map<uint64_t, Sent> open_;
  std::map<std::string, Path> paths_;
  std::map<std::string, uint64_t> next_seqs_;  // by stream, producer and epoch
  std::map<std::string, uint64_t> epochs_;     // accepted, by stream and producer
};

}  // namespace ds::sim
