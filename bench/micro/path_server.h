// A server without threads, network or disk: connections over socket pairs, one engine, and commits
// that are durable at once. What happens between a request's bytes and its answer's bytes is the
// server's own code, so instructions can be counted on it and every count is the same again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.h"
#include "server/config/config.h"
#include "server/http/connection.h"
#include "server/http/connection_host.h"
#include "server/http/send_cache.h"

namespace ds::bench {

class PathServer final : public server::ConnectionHost {
 public:
  explicit PathServer(uint32_t clients);
  ~PathServer() override;
  PathServer(const PathServer&) = delete;
  PathServer& operator=(const PathServer&) = delete;

  // Client `client` sends `request`; the server does all that follows from it.
  void send(uint32_t client, std::string_view request);
  // What has arrived at that client. Valid until the next call.
  std::string_view receive(uint32_t client);

  // --- ConnectionHost ---------------------------------------------------------------------------
  const server::Config& config() const override { return config_; }
  Instant now() override { return now_; }
  server::InboxPool& inboxes() override { return inboxes_; }
  server::OutputPool& outputs() override { return outputs_; }
  server::AnswerMemory& answer_memory() override { return answer_memory_; }
  server::SendCache& send_cache() override { return send_cache_; }
  server::ResponseWriter& writer() override { return writer_; }
  bool draining() const override { return false; }
  bool charge_body(uint64_t) override { return true; }
  void release_body(uint64_t) override {}
  std::string& path_scratch() override { return path_scratch_; }
  std::string& origin_scratch() override { return origin_scratch_; }
  uint32_t owner_of(std::string_view) const override { return 0; }
  void submit(engine::RequestId id, uint32_t owner, const wire::RequestText& text) override;
  void submit_status(engine::RequestId, server::Route) override {}
  void submit_listing(engine::RequestId, wire::ListRequest) override {}
  void disconnected(engine::RequestId id, uint32_t owner) override;
  void reader_lagging(engine::RequestId id, uint32_t owner, Position accepted) override;
  void reader_ready(engine::RequestId id, uint32_t owner) override;
  void mark_dirty(server::Connection& connection) override { dirty_.push_back(&connection); }
  void mark_unread(server::Connection& connection) override { unread_.push_back(&connection); }
  void closed(server::Connection&) override {}
  void set_deadline(uint32_t, Instant) override {}
  void answered(const server::AnsweredRequest&) override {}
  void dropped(server::DropReason) override {}

 private:
  struct Client {
    int socket = -1;
    std::unique_ptr<server::Connection> connection;
  };

  void finish_turn();
  void carry_out(engine::Action& action);
  void deliver(const engine::SendSse& action);
  server::Connection& connection_of(engine::RequestId id) {
    return *clients_[id.value >> 32].connection;
  }

  server::Config config_;
  server::InboxPool inboxes_;
  server::OutputPool outputs_;
  server::MemoryBudget answer_budget_;
  server::AnswerMemory answer_memory_{answer_budget_};
  server::SendCache send_cache_{config_.send_cache_bytes, config_.send_copies_max};
  server::ResponseWriter writer_;
  std::string path_scratch_;
  std::string origin_scratch_;
  Instant now_{1'767'323'045'000'000};
  LogPosition log_end_ = log_position(1, 0);
  std::unique_ptr<engine::Engine> engine_;
  engine::Actions actions_;
  engine::Actions working_;
  std::vector<server::Connection*> dirty_;
  std::vector<server::Connection*> finishing_;
  std::vector<server::Connection*> unread_;
  std::vector<engine::RequestId> ready_;
  std::vector<Client> clients_;
  std::string received_;
};

}  // namespace ds::bench
