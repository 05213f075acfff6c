// One stream's sequencer in one Durable Object: the engine, and a log in the object's own storage.
//
// Events come in (a request, an alarm, a call of another object, the end of something that was
// asked for), each is carried to its end at once: what was decided is stored, applied and answered
// within the event, as storage is synchronous here. The runtime holds back what is sent until what
// was written is durable. Nothing survives in memory that is not stored: an object may be evicted
// between any two events, and made again from its checkpoint and the ops after it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/engine/engine.h"
#include "worker/wasm/calls.h"
#include "worker/wasm/history.h"
#include "worker/wasm/host.h"
#include "worker/wasm/journal.h"
#include "worker/wasm/links.h"
#include "worker/wasm/mover.h"
#include "worker/wasm/options.h"
#include "worker/wasm/request_text.h"

namespace ds::worker {

class StreamObject final : public engine::Engine::Peers {
 public:
  // Borrows `host` for its whole life.
  StreamObject(Host& host, const Options& options);

  // First: reads what is stored.
  void start(Instant now);

  void on_request(uint64_t id, std::string_view head, std::string_view body, Instant now);
  // A request whose body is too large to be read.
  void refuse_body(uint64_t id, std::string_view head);
  // The client of a long-poll or an SSE reader is gone.
  void on_disconnect(uint64_t id);
  // An SSE reader of an earlier stay in memory, or of a connection that broke: see Host::open_sse.
  void on_reader_back(uint64_t id, std::string_view reader, Position at, bool pulling, Instant now);
  void on_reader_ready(uint64_t id, Instant now);
  void on_alarm(Instant now);
  // A timer for deadline().
  void on_time(Instant now);
  // When a request that waits wants on_time to be called. No alarm is needed for it.
  Instant deadline() const { return engine_.next_deadline(); }

  // A call of another object to the stream at `path`.
  void on_peer(Token token, std::string_view path, std::string_view message, Instant now);
  void on_peer_reply(Token token, bool answered, std::string_view message, Instant now);
  void on_object(Token token, ObjectOutcome outcome, std::string_view bytes, Instant now);

  // --- Engine::Peers: one engine is all there is here -------------------------------------------
  engine::Engine& owner_of(uint64_t) override { return engine_; }
  std::optional<std::string> sealed_snapshot(Incarnation stream) override;

 private:
  // Ends every event.
  void settle();
  void carry_out(engine::Action& action);
  void carry_out(engine::Respond& action);
  void carry_out(engine::OpenSse& action);
  void carry_out(engine::SendSse& action);
  void carry_out(engine::EndSse& action);
  void carry_out(engine::Load& action);
  void carry_out(engine::ReadSealed& action);
  void carry_out(engine::Find& action);
  void carry_out(engine::PeerMessage& action);
  void commit(const engine::Batch& batch);
  void after_commit();
  void checkpoint(const stream::StreamState& state);
  void trim(const stream::StreamState& state);
  void adopt(const stream::StreamState& state);
  void stream_gone();
  void watch_storage(uint64_t written);
  void set_alarm();
  void refuse(uint64_t id, wire::ErrorCode code, std::string_view request_id);

  void answer_call(Token token, const PinCall& call);
  void answer_call(Token token, const UnpinCall& call);
  void answer_call(Token token, const ReadCall& call);
  void answer_call(Token token, const AskCall& call);
  void ask_for_pin(const stream::PinRequest& request);
  void answer_pin(const stream::PinReply& reply);
  void release_child(const stream::Unpin& unpin);
  void look_after_links();

  // Fixed after construction.
  Host& host_;
  const Options options_;

  engine::Engine engine_;
  Journal journal_;
  Calls calls_;
  History history_;
  Links links_;
  Mover mover_;

  Instant now_;
  engine::Actions actions_;
  std::string path_;
  Incarnation stream_;  // what is committed at path_; 0: nothing
  bool damaged_ = false;
  uint64_t unwatched_bytes_ = 0;
  bool refusing_ = false;
  bool garbage_ = false;
  Instant alarm_ = kNever;  // known to be set
  // Requests that have not been answered: the ids that their answers carry.
  struct Open {
    std::string request_id;
    bool head_only = false;
  };
  std::map<uint64_t, Open> open_;
  uint64_t request_ids_ = 0;
  // Pins that have been asked for: the lives that the forks will have, by their number here.
  std::map<uint64_t, Incarnation> forking_;
  // Pins that are being made for others: the call, and the number it goes by at its caller.
  struct PinFor {
    uint64_t attempt = 0;
    std::string child_path;
    Incarnation child;
  };
  std::map<Token, PinFor> pinning_;
};

}  // namespace ds::worker
