// A loop with one connection, for tests of it: engines, clocks and budgets are the test's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/config/load.h"
#include "server/http/connection_host.h"

namespace ds::server {

struct Submitted {
  engine::RequestId id;
  uint32_t owner = 0;
  wire::Method method = wire::Method::kOther;
  std::string path, query, body, origin, content_type;
  std::vector<std::optional<std::string>> headers;  // of all kinds, in the order of HeaderId
  bool repeated_header = false;
};

// Keeps what it is told. Nothing is answered by itself.
class FakeHost : public ConnectionHost {
 public:
  explicit FakeHost(const OptionTexts& options) : FakeHost(*make_config(options, {}, {})) {}
  explicit FakeHost(Config config)
      : config_(std::move(config)),
        inboxes_({config_.head_bytes_max, config_.uri_bytes_max, config_.headers_max},
                 config_.body_bytes_max),
        writer_(1) {
    writer_.set_time(now_);
  }

  const Config& config() const override { return config_; }
  Instant now() override { return now_; }
  InboxPool& inboxes() override { return inboxes_; }
  OutputPool& outputs() override { return outputs_; }
  AnswerMemory& answer_memory() override { return answer_memory_; }
  SendCache& send_cache() override { return send_cache_; }
  ResponseWriter& writer() override { return writer_; }
  bool draining() const override { return draining_; }
  bool charge_body(uint64_t bytes) override {
    if (body_bytes_ + bytes > config_.body_memory_bytes) return false;
    body_bytes_ += bytes;
    return true;
  }
  void release_body(uint64_t bytes) override { body_bytes_ -= bytes; }
  std::string& path_scratch() override { return path_; }
  std::string& origin_scratch() override { return origin_; }
  // Streams whose name begins with 'b' belong to engine 1.
  uint32_t owner_of(std::string_view path) const override {
    return path.starts_with("_default/b") ? 1 : 0;
  }
  void submit(engine::RequestId id, uint32_t owner, const wire::RequestText& text) override {
    const auto type = text.header(wire::HeaderId::kContentType);
    Submitted request{id,
                      owner,
                      text.method,
                      std::string(text.path),
                      std::string(text.query),
                      std::string(text.body),
                      std::string(text.origin),
                      std::string(type.value_or("")),
                      {},
                      text.repeated_header};
    for (const auto& header : text.headers) {
      std::optional<std::string>& kept = request.headers.emplace_back();
      if (header) kept = *header;
    }
    submitted.push_back(std::move(request));
  }
  void submit_status(engine::RequestId id, Route) override { status_asked.push_back(id); }
  void submit_listing(engine::RequestId id, wire::ListRequest) override {
    status_asked.push_back(id);
  }
  void disconnected(engine::RequestId id, uint32_t) override { gone.push_back(id); }
  void reader_lagging(engine::RequestId, uint32_t, Position accepted) override {
    lagging.push_back(accepted);
  }
  void reader_ready(engine::RequestId, uint32_t) override { ++ready; }
  void mark_dirty(Connection&) override { dirty_ = true; }
  void mark_unread(Connection&) override { unread_ = true; }
  void closed(Connection&) override { closed_ = true; }
  void set_deadline(uint32_t, Instant when) override { deadline = when; }
  void answered(const AnsweredRequest& request) override {
    statuses.push_back(request.status);
    access_log.push_back(std::string(request.method) + " " + std::string(request.path));
  }
  void dropped(DropReason reason) override { drops.push_back(reason); }

  Config config_;
  InboxPool inboxes_;
  OutputPool outputs_;
  MemoryBudget answer_budget_{config_.answer_memory_bytes};
  AnswerMemory answer_memory_{answer_budget_};
  SendCache send_cache_{config_.send_cache_bytes, config_.send_copies_max};
  ResponseWriter writer_;
  std::string path_, origin_;
  Instant now_{1767323045000000};
  bool draining_ = false;
  uint64_t body_bytes_ = 0;
  bool dirty_ = false, unread_ = false, closed_ = false;
  Instant deadline;
  std::vector<Submitted> submitted;
  std::vector<engine::RequestId> status_asked, gone;
  std::vector<Position> lagging;
  std::vector<uint16_t> statuses;
  std::vector<std::string> access_log;
  std::vector<DropReason> drops;
  int ready = 0;
};

}  // namespace ds::server
