// The inside of an Engine, cut by verb: requests.cc (dispatch, create, append, delete), reads.cc
// (catch-up, HEAD), live.cc (long-poll, SSE), forks.cc (pins), commits.cc (batches and their end),
// lifecycle.cc (time, expiry, recovery).
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/engine/engine.h"
#include "core/engine/reader.h"
#include "core/engine/record_cache.h"
#include "core/engine/stream_entry.h"
#include "core/engine/timers.h"
#include "core/stream/decide.h"
#include "core/stream/read_plan.h"

namespace ds::engine {

class Engine::Impl {
 public:
  Impl(const EngineConfig& config, uint32_t index, HashKey key);

  // Engine's events, documented there.
  bool replay(std::string_view record, LogPosition at, Peers& peers);
  void finish_replay(Instant now, Incarnation highest_life, bool lost_writes, Peers& peers);
  Incarnation highest_life() const { return last_life_; }
  void on_request(RequestId id, const wire::RequestText& text, Instant now);
  void on_disconnect(RequestId id);
  void on_reader_lagging(RequestId id, Position accepted);
  void on_reader_ready(RequestId id, Instant now);
  void on_commit(uint64_t batch_id, CommitOutcome outcome, LogPosition first_record, Instant now);
  void on_loaded(uint64_t load_id, SharedBytes bytes, bool corrupt, Instant now);
  void on_peer(const PeerMessage& message, Instant now);
  void on_time(Instant now);
  Instant next_deadline() const { return timers_.next(); }
  void end_live_readers(Instant now);
  std::optional<Batch> take_batch();
  bool has_batch() const { return open_; }
  uint64_t epoch() const { return epoch_; }
  Stats stats() const;

  // Where actions go during a call; set around every event.
  Actions* out = nullptr;

 private:
  // --- Batches (commits.cc)
  // -----------------------------------------------------------------------

  // What is to happen when a batch is durable, in order. An entry has an op, or only an answer that
  // depends on one.
  struct Entry {
    StreamEntry* stream = nullptr;  // of the op
    uint32_t record = 0;            // where in the batch; meaningful with an op
    bool has_op = false;
    bool has_request = false;
    RequestId request;
    stream::WriteAnswer answer;                // the answer to a write,
    std::unique_ptr<wire::Response> response;  // or one with more to say
    // A pin to be answered once it is durable; or, without an op, to be refused (pin_error) or
    // looked at again.
    std::unique_ptr<stream::PinRequest> pin;
    Position pin_anchor;
    Position pin_position;
    wire::ErrorCode pin_error = wire::ErrorCode::kNone;
  };
  struct PendingBatch {
    uint64_t id = 0;
    std::string records;  // while it is open
    SharedBytes shared;   // once it was taken
    std::vector<Entry> entries;
    uint32_t ops = 0;
  };

  // Encodes the op, advances the pending state and queues the entry. `op` gets its payload.
  void add_op(StreamEntry& stream, stream::Op& op, const wire::Body* body, Entry entry);
  // Queues an entry without an op behind the newest pending op of `stream`.
  void add_dependent(StreamEntry& stream, Entry entry);
  PendingBatch& open_batch();
  void advance_pending(StreamEntry& stream, const stream::Op& op);
  void apply_entry(Entry& entry, std::string_view records, LogPosition first_record);
  void complete(Entry& entry);
  void fail_everything(CommitOutcome outcome, Instant now);
  void reset_pending(StreamEntry& stream);
  stream::Op op_for(const StreamEntry& stream, stream::OpType type, Instant now) const;

  // --- Answers
  // ------------------------------------------------------------------------------------

  void respond(RequestId id, wire::Response response);
  void respond_error(RequestId id, wire::ErrorCode code);
  // At once, or after the pending ops of `stream` (may be null).
  void answer(StreamEntry* stream, RequestId id, const stream::WriteAnswer& answer);
  void answer_error(StreamEntry* stream, RequestId id, wire::ErrorCode code);
  void answer_response(StreamEntry* stream, RequestId id, wire::Response response);

  // --- Streams (requests.cc, lifecycle.cc)
  // --------------------------------------------------------

  // The newest stream at `path` in the pending view; expired ones are expired first.
  StreamEntry* find_newest(std::string_view path, Instant now);
  // What readers see at `path`; null if there is nothing.
  StreamEntry* find_readable(std::string_view path, Instant now);
  // The same, or null once the request has been refused.
  StreamEntry* readable_or_refuse(RequestId id, std::string_view path, Instant now);
  StreamEntry* find_by_id(Incarnation id);
  StreamEntry& add_stream(stream::StreamState state);
  // Takes a stream that is gone, or never came to be, out of the maps and frees it.
  void forget_stream(StreamEntry& stream);
  Incarnation next_life(Instant now);

  void create(RequestId id, const wire::RequestText& text, const wire::CreateRequest& request,
              Instant now);
  void append(RequestId id, std::string_view path, const wire::AppendRequest& request, Instant now);
  void remove(RequestId id, std::string_view path, Instant now);
  // Creates the stream whose path is free. `base` is set for a fork.
  struct NewStream {
    std::string_view path;
    std::string_view content_type;
    std::optional<uint64_t> ttl_seconds;
    std::optional<Instant> expires_at;
    bool closed = false;
    std::string location;
  };
  void create_stream(RequestId id, NewStream what, const wire::Body& body, Incarnation life,
                     std::optional<stream::ForkOrigin> origin, stream::ForkBase* base, Instant now);
  wire::Response created_response(uint16_t status, const StreamEntry& stream, std::string location);
  // Puts on record that the stream goes on under a new life, if it has to and that is not under
  // way.
  void begin_new_life(StreamEntry& stream, Instant now);
  // The lives after all pending ops. Valid until the next call.
  const std::vector<stream::LifeSpan>& pending_lives(const StreamEntry& stream);

  Duration touch_interval(const StreamEntry& stream) const;
  void touch(StreamEntry& stream, Instant now);
  bool expired(const StreamEntry& stream, Instant now) const { return stream.expiry() <= now; }
  // Begins the expiry of a stream that is due, unless somebody reads it.
  void expire_if_due(StreamEntry& stream, Instant now);
  void arm_expiry(StreamEntry& stream);

  // --- Reads (reads.cc)
  // ---------------------------------------------------------------------------

  void head(RequestId id, std::string_view path, Instant now);
  void read(RequestId id, std::string_view path, const wire::ReadRequest& request, Instant now);
  void catch_up(RequestId id, StreamEntry& stream, const wire::ReadRequest& request, Position from,
                Instant now);
  // The head of an answer that holds `plan`.
  wire::Response read_head(const StreamEntry& stream, const stream::ReadPlan& plan, bool names_life,
                           Instant now) const;
  // The stored bytes of a plan, if all of them are in the cache.
  std::optional<std::vector<Slice>> find_slices(const stream::StreamState& state,
                                                const stream::ReadPlan& plan);
  std::optional<std::string> copy_bytes(const stream::StreamState& state,
                                        const stream::ReadPlan& plan);
  // The body of an answer, framed for the content type.
  std::optional<std::vector<Slice>> find_body(const stream::StreamState& state,
                                              const stream::ReadPlan& plan);
  // Fills in the body, now or after a Load, and responds.
  void respond_with_body(RequestId id, const stream::StreamState& state,
                         const stream::ReadPlan& plan, wire::Response response);

  struct PendingLoad {
    enum class Kind : uint8_t { kRead, kSse, kPin } kind = Kind::kRead;
    RequestId request;
    wire::Response response;  // kRead: all but the body
    bool json = false;
    stream::ReadPlan plan;                    // kSse, kPin
    Incarnation stream;                       // kPin
    std::unique_ptr<stream::PinRequest> pin;  // kPin
  };
  // The load's number, or nothing if too many are under way.
  std::optional<uint64_t> start_load(const stream::StreamState& state, const stream::ReadPlan& plan,
                                     PendingLoad load);

  // --- Live readers (live.cc)
  // ---------------------------------------------------------------------

  void long_poll(RequestId id, StreamEntry& stream, const wire::ReadRequest& request, Position from,
                 Instant now);
  void open_sse(RequestId id, StreamEntry& stream, const wire::ReadRequest& request, Position from,
                Instant now);
  Reader* add_reader(RequestId id, StreamEntry& stream, Reader reader);
  void drop_reader(Reader& reader);
  Reader* find_reader(RequestId id);
  void mark_for_wake(StreamEntry& stream);
  void wake_marked(Instant now);
  void wake(StreamEntry& stream, Instant now);
  void answer_polls(StreamEntry& stream, const std::vector<Reader*>& polls, Instant now);
  wire::Response poll_timeout(const StreamEntry& stream, std::optional<uint64_t> cursor,
                              Instant now) const;
  void end_readers(StreamEntry& stream, wire::ErrorCode code);

  // One step of a reader's way to the tail.
  struct Step {
    enum class Kind : uint8_t { kNothing, kFrame, kLoad } kind = Kind::kNothing;
    stream::ReadPlan plan;
    std::string data;  // kFrame: the data event
    Position end;      // kFrame: after it; before held-back bytes
  };
  Step next_step(const StreamEntry& stream, Position from);
  // The same for a plan that may grow: past a chunk of which nothing can be sent yet.
  Step next_step(const StreamEntry& stream, stream::ReadPlan plan);
  stream::ReadPlan grown(const stream::StreamState& state, const stream::ReadPlan& plan) const;
  Step make_step(const StreamEntry& stream, const stream::ReadPlan& plan, std::string_view bytes);
  void pull(Reader& reader, Instant now);
  void take_step(Reader& reader, const Step& step, Instant now);
  void send_step(StreamEntry& stream, const std::vector<Reader*>& readers, const Step& step,
                 Instant now);
  void park(Reader& reader, Instant now);
  void finish_load(Reader& reader, const stream::ReadPlan& plan, std::string_view bytes,
                   Instant now);
  void heartbeat(Reader& reader, Instant now);

  // --- Forks (forks.cc)
  // ---------------------------------------------------------------------------

  // A fork request whose pin is under way.
  struct ForkAttempt {
    RequestId request;
    NewStream what;  // views into the strings below
    std::string path;
    std::string content_type;
    std::string body;
    std::string source_path;
    std::optional<Offset> offset;
    uint64_t sub_offset = 0;
    Incarnation child;
    bool overtaken = false;  // its path has seen a newer life than `child` meanwhile
  };
  void begin_fork(RequestId id, const wire::CreateRequest& request, NewStream what, Instant now);
  // Asks for a pin, with a life of now.
  void ask_for_pin(std::unique_ptr<ForkAttempt> attempt, Instant now);
  void finish_fork(std::unique_ptr<ForkAttempt> owned, const stream::PinReply& reply, Instant now);
  void pin(stream::PinRequest request, Instant now);
  // With the position known: makes the pin. `anchor` is the fork point.
  void make_pin(StreamEntry& source, stream::PinRequest request, Position anchor, Position position,
                Instant now);
  // The same once the bytes of the one message of stream `of` that begins at the anchor, which the
  // sub-offset of a JSON fork counts elements of, are at hand.
  void pin_with_bytes(stream::PinRequest request, Incarnation of, const stream::ReadPlan& message,
                      std::string_view bytes, Instant now);
  void refuse_pin(const stream::PinRequest& request, wire::ErrorCode code);
  void reply_pin(const stream::PinRequest& request, const StreamEntry& source, Position anchor,
                 Position position);
  void unpin(const stream::Unpin& message, Instant now);
  void release_source(const stream::StreamState& child);
  void send_unpin(Incarnation source, uint64_t source_path_hash, Incarnation child);

  // Fixed after construction.
  const EngineConfig config_;
  const uint32_t index_;
  const HashKey key_;

  struct PathHash {
    HashKey key;
    size_t operator()(std::string_view path) const {
      return static_cast<size_t>(siphash13(path, key));
    }
  };

  std::unordered_map<uint64_t, std::unique_ptr<StreamEntry>> by_id_;
  // The newest stream of each path; the keys are the streams' own paths.
  std::unordered_map<std::string_view, StreamEntry*, PathHash> by_path_;
  Incarnation last_life_;

  std::deque<PendingBatch> batches_;  // oldest first; the last one is open if open_
  bool open_ = false;
  uint64_t next_batch_ = 1;
  uint64_t epoch_ = 0;
  size_t batch_bytes_hint_ = 0;  // what the last batch was like
  size_t batch_entries_hint_ = 0;

  RecordCache cache_;
  Timers timers_;
  std::unordered_map<uint64_t, Reader> readers_;
  std::vector<StreamEntry*> woken_;

  std::unordered_map<uint64_t, PendingLoad> loads_;
  uint64_t next_load_ = 1;
  std::unordered_map<uint64_t, std::unique_ptr<ForkAttempt>> forks_;
  uint64_t next_fork_ = 1;
  std::vector<stream::Unpin> failed_unpins_;  // tried again by a timer
  // Pins whose source has become clear by the batch that is being completed.
  std::vector<std::unique_ptr<stream::PinRequest>> settled_pins_;

  wire::ParseScratch scratch_;
  std::vector<stream::LifeSpan> lives_scratch_;
  Stats stats_;
};

}  // namespace ds::engine
