// The inside of an Engine, cut by verb: requests.cc (dispatch, create, append, delete), reads.cc
// (catch-up, HEAD), chunk_reads.cc (reads from disk), live.cc (long-poll, SSE), forks.cc (pins),
// commits.cc (batches and their end), lifecycle.cc (time, expiry, recovery), cold.cc (streams that
// are not in memory), listing.cc.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "core/engine/body_cache.h"
#include "core/engine/engine.h"
#include "core/engine/owned_request.h"
#include "core/engine/path_table.h"
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
  void recover_pin(Incarnation source, Incarnation child, Peers& peers);
  void recover_cache(LogPosition first_record, SharedBytes records) {
    cache_.push(first_record, std::move(records), records_budget());
  }
  void recover_stream(Incarnation stream, Peers& peers) { find_or_load(stream, peers); }
  void finish_replay(Instant now, Incarnation highest_life, Incarnation lost_life,
                     uint32_t sealed_through, Peers& peers);
  Incarnation highest_life() const { return last_life_; }
  void on_request(RequestId id, const wire::RequestText& text, Instant now);
  void on_disconnect(RequestId id);
  void on_reader_lagging(RequestId id, Position accepted);
  void on_reader_ready(RequestId id, Instant now);
  void on_reader_back(RequestId id, Incarnation stream, Position at, std::optional<uint64_t> cursor,
                      bool pulling, Instant now);
  void on_commit(uint64_t batch_id, CommitOutcome outcome, LogPosition first_record, Instant now);
  void on_loaded(uint64_t load_id, LoadOutcome outcome, SharedBytes bytes, Instant now);
  void on_sealed_read(uint64_t load_id, LoadOutcome outcome, segment::SealedChunk chunk,
                      Instant now);
  void on_found(uint64_t find_id, Engine::Found found, std::string_view snapshot, Instant now);
  void on_sealed(uint32_t generation, std::span<const Incarnation> streams, bool last_part,
                 Instant now);
  void on_due(Incarnation stream, Instant now);
  void on_trim(Incarnation id, Position earliest, Instant now);
  void on_peer(const PeerMessage& message, Instant now);
  void on_time(Instant now);
  Instant next_deadline() const { return timers_.next(); }
  void set_storage(wire::ErrorCode refusal) { storage_refusal_ = refusal; }
  stream::ListingPart list(std::string_view prefix, std::string_view after, size_t limit) const;
  const StreamEntry* committed(std::string_view path) const;
  void end_live_readers(Instant now);
  std::optional<Batch> take_batch();
  bool has_batch() const { return open_; }
  uint64_t batch_bytes() const { return open_ ? batches_.back().records.size() : 0; }
  uint32_t batch_ops() const { return open_ ? batches_.back().ops : 0; }
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

  void dispatch(RequestId id, const wire::RequestText& text, Instant now);
  void create(RequestId id, const wire::RequestText& text, const wire::CreateRequest& request,
              Instant now);
  void append(RequestId id, std::string_view path, const wire::AppendRequest& request, Instant now);
  void remove(RequestId id, std::string_view path, Instant now);
  // Takes the room for one more stream, or says why there is none.
  [[nodiscard]] wire::ErrorCode take_room();
  // Creates the stream whose path is free, and whose room has been taken. `base` is set for a fork.
  struct NewStream {
    std::string_view path;
    std::string_view content_type;
    std::optional<uint64_t> ttl_seconds;
    std::optional<Instant> expires_at;
    stream::Retention retention;
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
  void arm_expiry(StreamEntry& stream, Instant now);
  void arm_expiry_at(StreamEntry& stream, Instant due);
  void settle(StreamEntry& stream, Instant now);
  StreamEntry* find_or_load(Incarnation id, Peers& peers);
  // Whether it is in the catalog and not gone since. During a replay.
  bool is_sealed(Incarnation id, Peers& peers) const;

  // --- Reads (reads.cc)
  // ---------------------------------------------------------------------------

  static wire::Response not_modified(const wire::Response& head);
  void refuse_trimmed(RequestId id, const stream::StreamState& state);
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
  // The body of an answer, framed for the content type. `keep`: others may ask for the same.
  std::optional<std::vector<Slice>> find_body(const stream::StreamState& state,
                                              const stream::ReadPlan& plan, bool keep);
  // The same as one piece, put together now or before.
  SharedBytes find_joined(const stream::StreamState& state, const stream::ReadPlan& plan);
  SharedBytes join_messages(const stream::StreamState& state, const stream::ReadPlan& plan) const;
  static std::vector<Slice> framed_body(const stream::StreamState& state,
                                        std::vector<Slice> slices);

  // --- Reads from disk (chunk_reads.cc)
  // ---------------------------------------------------------------------------

  // A chunk on its way.
  struct ChunkRead {
    enum class Kind : uint8_t { kCatchUp, kLongPoll, kSse, kPin } kind = Kind::kCatchUp;
    RequestId request;  // or the reader
    Incarnation stream;
    bool cacheable = false;                   // kCatchUp, kLongPoll: its URL names a place
    std::string if_none_match;                // kCatchUp
    std::optional<uint64_t> cursor;           // kLongPoll
    std::unique_ptr<stream::PinRequest> pin;  // kPin
    Position from;
    // What has come so far: the bytes [begin, end), once begun.
    bool begun = false;
    Position begin;
    Position end;
    Position boundary;  // 0: not known yet
    uint64_t newest_ms = 0;
    std::vector<Position> ends;  // of its messages
    std::vector<Slice> parts;
    // The part on its way.
    stream::ReadPlan part;
    std::vector<Position> part_ends;
    uint32_t tries = 0;
    bool careful = false;  // something behind is damaged
  };
  // Its number, or nothing if too many are under way. REQUIRES: what is at `from` is not in memory.
  std::optional<uint64_t> begin_read(StreamEntry& stream, Position from, ChunkRead read,
                                     Instant now);
  void continue_read(uint64_t id, StreamEntry& stream, Instant now);
  void go_on(uint64_t id, LoadOutcome outcome, Instant now);
  void take_part(ChunkRead& read, std::vector<Slice> slices);
  ChunkRead take_read(uint64_t id, StreamEntry* stream);
  Reader* waiting_reader(uint64_t id, const ChunkRead& read);
  void fail_read(uint64_t id, StreamEntry* stream, wire::ErrorCode code);
  void end_read(uint64_t id, StreamEntry& stream, Instant now);

  // --- Live readers (live.cc)
  // ---------------------------------------------------------------------

  void long_poll(RequestId id, StreamEntry& stream, const wire::ReadRequest& request, Position from,
                 Instant now);
  void poll_with_data(RequestId id, StreamEntry& stream, Position from,
                      std::optional<uint64_t> cursor, bool names_place, Instant now);
  void share_poll_answer(wire::Response& response, bool names_place) const;
  void open_sse(RequestId id, StreamEntry& stream, const wire::ReadRequest& request, Position from,
                Instant now);
  Reader* add_reader(RequestId id, StreamEntry& stream, Reader reader);
  void arm_sse(Reader& reader, Instant now);
  void arm_heartbeat(const Reader& reader, Instant due);
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
    std::string data;  // kFrame: the data event
    Position end;      // kFrame: after it; before held-back bytes
    Position from;     // kLoad: what is to be read
  };
  Step next_step(const StreamEntry& stream, Position from);
  // The event for the bytes [begin, end); kNothing if all of them are held back.
  Step make_step(const StreamEntry& stream, Position begin, Position end, std::string_view bytes,
                 const std::function<std::vector<Position>()>& message_ends);
  Step chunk_step(const StreamEntry& stream, const ChunkRead& read);
  void pull(Reader& reader, Instant now);
  void take_step(Reader& reader, const Step& step, Instant now);
  void send_step(StreamEntry& stream, const std::vector<Reader*>& readers, const Step& step,
                 Instant now);
  void park(Reader& reader, Instant now);
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
  void on_pin_reply(const stream::PinReply& reply, Instant now);
  void finish_fork(std::unique_ptr<ForkAttempt> owned, const stream::PinReply& reply, Instant now);
  std::unique_ptr<ForkAttempt> take_attempt(uint64_t number);
  void pin(stream::PinRequest request, Instant now);
  // With the position known: makes the pin. `anchor` is the fork point.
  void make_pin(StreamEntry& source, stream::PinRequest request, Position anchor, Position position,
                Instant now);
  // The same inside the message [begin, end). Its bytes count for JSON, where the sub-offset counts
  // elements.
  void pin_inside(stream::PinRequest request, StreamEntry& source, Position begin, Position end,
                  std::string_view bytes, Instant now);
  // Once the message that begins at the anchor has been read.
  void pin_after_read(ChunkRead read, Instant now);
  void refuse_pin(const stream::PinRequest& request, wire::ErrorCode code);
  void reply_pin(const stream::PinRequest& request, const StreamEntry& source, Position anchor,
                 Position position);
  void unpin(const stream::Unpin& message, Instant now);
  void release_source(const stream::StreamState& child);
  void send_unpin(Incarnation source, uint64_t source_path_hash, Incarnation child);

  // --- Streams that are not in memory (cold.cc)
  // ---------------------------------------------------------------------------

  // Who waits for a stream to be looked up.
  struct WaitingDue {
    Incarnation stream;
  };
  struct WaitingTrim {
    Incarnation stream;
    Position earliest;
  };
  using Waiting =
      std::variant<std::unique_ptr<OwnedRequest>, std::unique_ptr<stream::PinRequest>,
                   std::unique_ptr<stream::PinReply>, stream::Unpin, WaitingDue, WaitingTrim>;
  struct PendingFind {
    std::string path;  // or, if empty,
    Incarnation stream;
    std::vector<Waiting> waiting;
  };
  bool may_be_elsewhere(std::string_view path) const;
  bool may_be_elsewhere(Incarnation stream) const;
  void wait_for(std::string_view path, Waiting who, Instant now);
  void wait_for(Incarnation stream, Waiting who, Instant now);
  uint64_t begin_find(PendingFind find, Waiting who, Instant now);
  void join(PendingFind& find, Waiting who, Instant now);
  void let_in(Waiting who, Instant now);
  void turn_away(Waiting& who, wire::ErrorCode code, Instant now);
  // False: the snapshot cannot be read.
  bool load_stream(std::string_view snapshot, Instant now);
  uint64_t oldest_find() const;
  void bury(const StreamEntry& stream);
  // Whether the oldest of those that are gone need not be remembered any more.
  bool may_forget_gone() const;
  void forget_gone(size_t most);
  void drop_sealed(StreamEntry& stream, uint32_t generation);
  // A fork that shows messages of its source that have not been sealed.
  void note_inherited(StreamEntry& stream);
  uint64_t state_bytes() const;
  uint64_t cache_budget() const;
  uint64_t records_budget() const;
  uint64_t bodies_budget() const;
  bool can_leave(const StreamEntry& stream) const;
  // Puts a stream that may leave the memory on the list of those that do, by and by.
  void note_idle(StreamEntry& stream);
  void list_idle(StreamEntry& stream);
  // Whether one that could leave is to stay a while.
  bool stays(const StreamEntry& stream, Instant now) const;
  void arm_sweep(Instant now);
  void sweep(Instant now);

  // Fixed after construction.
  const EngineConfig config_;
  const uint32_t index_;
  const HashKey key_;

  struct PathHash {
    HashKey key;
    using is_transparent = void;
    size_t operator()(std::string_view path) const {
      return static_cast<size_t>(siphash13(path, key));
    }
  };

  std::unordered_map<uint64_t, std::unique_ptr<StreamEntry>> by_id_;
  PathTable by_path_;
  // All of them in order of their paths, and those of one path in order of their lives.
  struct ByName {
    using is_transparent = void;
    bool operator()(const StreamEntry* a, const StreamEntry* b) const {
      const int order = a->state.path.compare(b->state.path);
      return order != 0 ? order < 0 : a->state.id < b->state.id;
    }
    bool operator()(const StreamEntry* a, std::string_view b) const { return a->state.path < b; }
    bool operator()(std::string_view a, const StreamEntry* b) const { return a < b->state.path; }
  };
  std::set<StreamEntry*, ByName> by_name_;
  wire::ErrorCode storage_refusal_ = wire::ErrorCode::kNone;
  Incarnation last_life_;

  std::deque<PendingBatch> batches_;  // oldest first; the last one is open if open_
  bool open_ = false;
  uint64_t next_batch_ = 1;
  uint64_t epoch_ = 0;
  size_t batch_bytes_hint_ = 0;  // what the last batch was like
  size_t batch_entries_hint_ = 0;

  RecordCache cache_;
  BodyCache bodies_;
  Timers timers_;
  std::unordered_map<uint64_t, Reader> readers_;
  std::vector<StreamEntry*> woken_;

  std::unordered_map<uint64_t, ChunkRead> reads_;
  uint64_t next_load_ = 1;
  std::unordered_map<uint64_t, std::unique_ptr<ForkAttempt>> forks_;
  uint64_t next_fork_ = 1;
  std::vector<stream::Unpin> failed_unpins_;  // tried again by a timer
  // Pins whose source has become clear by the batch that is being completed.
  std::vector<std::unique_ptr<stream::PinRequest>> settled_pins_;

  Incarnation lost_life_;
  uint32_t sealed_through_ = 0;
  uint64_t elsewhere_ = 0;                 // not 0: what is not in memory may be in the catalog
  std::map<uint64_t, PendingFind> finds_;  // by number, oldest first
  std::unordered_map<std::string, uint64_t, PathHash, std::equal_to<>> finds_by_path_;
  std::unordered_map<uint64_t, uint64_t> finds_by_stream_;
  uint64_t next_find_ = 1;
  size_t waiting_ = 0;
  // Requests that wait for their stream to be looked up and whose clients are there.
  std::unordered_set<uint64_t> waiting_requests_;
  uint64_t indexed_ = 0;                // messages in all indexes
  std::vector<Incarnation> inherited_;  // see note_inherited
  uint32_t sealing_through_ = 0;        // some parts of it have been reported
  std::deque<Incarnation> idle_;        // those whose entry says so
  struct Gone {
    Incarnation id;
    std::string path;
    uint32_t generation = 0;   // that holds its end
    uint64_t before_find = 0;  // finds of a lower number may still bring it
  };
  std::deque<Gone> gone_;  // by generation
  std::unordered_set<uint64_t> gone_ids_;
  std::map<std::string, uint32_t, std::less<>> gone_paths_;
  bool sweep_armed_ = false;

  wire::ParseScratch scratch_;
  std::vector<stream::LifeSpan> lives_scratch_;
  Stats stats_;
};

}  // namespace ds::engine
