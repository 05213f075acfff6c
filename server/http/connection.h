// One client connection: HTTP/1.1 with keep-alive and pipelining, answers in the order of the
// requests.
//
// Requests of a pipeline overlap only if none could tell: reads beside reads, appends beside
// appends of one engine; anything else waits for what came before it, and everything waits while
// more than a small bound of answers is queued or may be on its way. An SSE response holds the
// connection until it ends.
//
// A connection whose client is gone lives on, without a socket, until the writes that it has handed
// over are answered: until then their bodies are in memory, and count.
//
// Owned by its Loop; everything happens on the loop's thread. The socket is non-blocking and is
// watched edge-triggered for both directions all its life, so that waiting costs no system call:
// `readable_` remembers an edge that has not been used up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/slice.h"
#include "core/engine/actions.h"
#include "server/http/connection_host.h"
#include "server/http/output_queue.h"

namespace ds::server {

// Who is at the other end.
struct Peer {
  SharedBytes address;   // for the access log; none while that is off
  bool trusted = false;  // X-Forwarded-* may be believed
};

class Connection {
 public:
  // Bytes of answers, queued or on their way, beyond which a pipeline waits.
  static constexpr uint64_t kAnswersAheadMax = 1 << 20;

  // Takes the socket. `id_base` is the RequestId of this slot with serial 0; serials go on from
  // `first_serial`.
  Connection(ConnectionHost& host, int socket, Peer peer, uint32_t slot, uint64_t id_base,
             uint32_t first_serial);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket() const { return socket_; }
  uint32_t slot() const { return slot_; }
  uint32_t next_serial() const { return next_serial_; }
  bool is_closed() const { return socket_ < 0; }

  // --- Events from the loop ---------------------------------------------------------------------

  void on_events(uint32_t epoll_events);
  // Goes on reading after mark_unread().
  void resume();
  // Sends what there is, starts what had to wait, and settles. Called once per turn.
  void finish_turn();
  // Sends what there is, before the turn ends.
  void send_now();
  void on_deadline();
  // Closes if nothing is in flight; otherwise after the last answer.
  void drain();
  void abandon() { close_now(); }

  // --- Answers ----------------------------------------------------------------------------------
  // All are ignored if the request with this serial is no longer there.

  void respond(uint32_t serial, wire::Response&& response);
  void respond_text(uint32_t serial, std::string_view content_type, std::string text,
                    uint16_t status);
  void open_sse(uint32_t serial, const wire::Response& head, Position position);

  // A frame for several readers: wrapped in its chunk header once for all of them.
  struct SseFrame {
    enum class When : uint8_t {
      kWhenTurnEnds,
      kAtOnce,  // if nothing is queued before it, it has a chunk, and the response is chunked
    };
    Slice frame;
    Slice chunk;  // the frame as a chunk; empty if nobody has made one
    Position begin;
    Position end;
    bool pulled = false;
    When when = When::kWhenTurnEnds;
  };
  void send_sse(uint32_t serial, const SseFrame& frame);
  void end_sse(uint32_t serial);

  // Appends "<size>\r\n<frame>\r\n".
  static void append_chunk(std::string& out, std::string_view frame);

 private:
  enum class Phase : uint8_t { kHead, kBody, kReady, kLingering };
  // What may overlap in a pipeline.
  enum class Overlap : uint8_t { kNone, kReads, kAppends };

  // What few requests need.
  struct Noted {
    std::string request_id;  // the client's, to echo; "" if it sent none
    std::string method;      // for the access log, as is the path; "" unless there is one
    std::string path;
  };

  struct InFlight {
    uint32_t serial = 0;
    uint8_t owner = 0;
    Route route = Route::kNone;
    wire::Method method = wire::Method::kOther;
    Overlap overlap = Overlap::kNone;
    bool submitted = false;  // an engine has it
    bool live = false;       // waits for data: pointless without a client
    bool head_only = false;
    bool http11 = true;
    bool close = false;
    uint64_t body_charged = 0;    // bytes that count until it is answered
    uint64_t answer_guessed = 0;  // bytes that its answer may have
    Instant started;
    std::unique_ptr<wire::Response> answer;  // ready, but not its turn yet
    std::unique_ptr<Noted> noted;            // if there is anything
    std::string_view request_id() const { return noted ? noted->request_id : std::string_view(); }
  };

  struct Sse {
    bool open = false;
    bool chunked = true;
    bool dropping = false;   // until a frame begins at `accepted`
    bool ready_due = false;  // call reader_ready once the queue is empty
    uint32_t serial = 0;     // of its request
    Position accepted;
  };

  // connection_read.cc: bytes to requests
  bool can_read() const;
  void read_input();
  size_t read_once();
  void discard_input();
  void on_end_of_input();
  void process_input();
  bool step_head();
  bool begin_request();
  bool begin_body();
  bool step_body();
  bool grow_body(uint64_t bytes);
  void earn_time(size_t bytes);
  void release_body();
  void release_inbox();
  Noted describe_unfinished() const;
  void reject(wire::ErrorCode code, DropReason reason);

  // connection_dispatch.cc: requests to engines
  Overlap overlap_of(const RequestHead& head) const;
  uint64_t answers_ahead() const;
  bool may_start() const;
  void dispatch();
  void dispatch_stream(uint32_t serial);
  void dispatch_local(uint32_t serial);
  void answer_options();
  std::string_view request_body() const;

  // connection_write.cc: answers to bytes
  InFlight* find(uint32_t serial);
  engine::RequestId id_of(const InFlight& request) const { return {id_base_ | request.serial}; }
  void answer(uint32_t serial, wire::Response&& response, std::string_view allow);
  void emit(InFlight& request, const wire::Response& response, std::string_view allow);
  void append_body(const Slice& slice);
  void emit_ready_answers();
  void finish_request(const InFlight& request, uint16_t status, uint64_t body_bytes);
  void pop_front();
  void release_charge(InFlight& request);
  void flush();
  void on_sent(OutputQueue::Sent sent);

  // connection_sse.cc
  void send_at_once(const Slice& bytes);

  // connection.cc: time, and the end
  void settle();
  void mark_dirty();
  Instant deadline() const;
  bool client_gone() const;
  bool waits_for_memory() const { return sse_.open && sse_.ready_due && out_.empty(); }
  Instant poll_given_up_at() const;
  uint64_t system_unsent() const;
  bool client_takes();
  void forget(InFlight& request);
  void close_or_linger();
  void close_now();

  ConnectionHost& host_;
  int socket_;
  const uint32_t slot_;
  const uint64_t id_base_;
  uint32_t next_serial_;
  Phase phase_ = Phase::kHead;
  bool readable_ = true;
  bool hung_up_ = false;      // the peer has closed at least its side
  bool torn_ = false;         // and takes nothing any more
  bool input_ended_ = false;  // we have read to the end
  bool writable_ = true;
  bool dirty_ = false;
  bool closing_ = false;  // no further request; close when all is sent
  bool linger_ = false;   // input that nobody will read may be on its way
  bool continue_due_ = false;
  Sse sse_;
  std::vector<InFlight> in_flight_;
  std::unique_ptr<Inbox> inbox_;
  OutputQueue out_;
  Instant phase_began_;
  Instant hung_up_at_;
  Instant body_due_;            // of a body being received: when it has been too slow
  Instant blocked_since_;       // the last time that the client took something
  uint64_t system_unsent_ = 0;  // at that time: system_unsent(), or 0
  uint64_t discarded_ = 0;
  Peer peer_;
};

}  // namespace ds::server
