// What a connection needs of the event loop that it lives on. Implemented by Loop, and by tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/engine/actions.h"
#include "core/wire/list_request.h"
#include "core/wire/request.h"
#include "server/config/config.h"
#include "server/http/answer_memory.h"
#include "server/http/inbox.h"
#include "server/http/output_queue.h"
#include "server/http/response_writer.h"
#include "server/http/send_cache.h"

namespace ds::server {

class Connection;

// A request that has been answered, for metrics and the access log.
struct AnsweredRequest {
  Route route = Route::kNone;
  std::string_view method;
  std::string_view path;  // "" unless the access log is on
  std::string_view peer;  // the same
  std::string_view request_id;
  uint16_t status = 0;
  uint64_t body_bytes = 0;
  Instant started;
};

// Why a connection was ended by us.
enum class DropReason : uint8_t {
  kHeadTimeout,
  kBodyTimeout,
  kIdleTimeout,
  kWriteTimeout,
  kBadRequest,
  kTooManyConnections,
  kBodyMemory,
  kAnswerMemory,
  kClientGone,
};
inline constexpr size_t kDropReasonCount = 9;

class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;

  virtual const Config& config() const = 0;
  virtual Instant now() = 0;
  virtual InboxPool& inboxes() = 0;
  virtual OutputPool& outputs() = 0;
  virtual AnswerMemory& answer_memory() = 0;
  virtual SendCache& send_cache() = 0;
  virtual ResponseWriter& writer() = 0;
  // The server is shutting down: no request after the ones in flight.
  virtual bool draining() const = 0;
  // Takes `bytes` more of the memory for bodies, from their arrival until their requests are
  // answered, or says that there is none left.
  virtual bool charge_body(uint64_t bytes) = 0;
  virtual void release_body(uint64_t bytes) = 0;
  // Scratch for one call: canonical path and origin.
  virtual std::string& path_scratch() = 0;
  virtual std::string& origin_scratch() = 0;

  // Which engine owns a canonical stream path.
  virtual uint32_t owner_of(std::string_view path) const = 0;
  // Hands a request to its engine. The views in `text` are used before this returns. The answer
  // comes through Connection::respond or open_sse, never before this has returned.
  virtual void submit(engine::RequestId id, uint32_t owner, const wire::RequestText& text) = 0;
  // Answers Route::kReady and kMetrics, in the same way.
  virtual void submit_status(engine::RequestId id, Route route) = 0;
  // Answers Route::kStreams.
  virtual void submit_listing(engine::RequestId id, wire::ListRequest request) = 0;

  // About a request that `owner` still has: its client is gone; or see Engine::on_reader_*.
  virtual void disconnected(engine::RequestId id, uint32_t owner) = 0;
  virtual void reader_lagging(engine::RequestId id, uint32_t owner, Position accepted) = 0;
  virtual void reader_ready(engine::RequestId id, uint32_t owner) = 0;

  // The connection wants finish_turn() before the loop waits again.
  virtual void mark_dirty(Connection& connection) = 0;
  // The connection stopped reading although there is more: resume() it in the next turn.
  virtual void mark_unread(Connection& connection) = 0;
  // Its socket is closed; it must not be used after this turn.
  virtual void closed(Connection& connection) = 0;
  // When on_deadline() is due.
  virtual void set_deadline(uint32_t slot, Instant deadline) = 0;

  virtual void answered(const AnsweredRequest& request) = 0;
  virtual void dropped(DropReason reason) = 0;
};

}  // namespace ds::server
