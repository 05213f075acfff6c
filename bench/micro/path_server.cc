#include "bench/micro/path_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "core/base/assert.h"
#include "server/config/load.h"

namespace ds::bench {

using server::Connection;

namespace {

constexpr size_t kReceiveBytes = 1 << 20;
constexpr size_t kWrappedFrom = 3;  // as the loop does

server::Config default_config() {
  auto made = server::make_config({}, {}, {});
  DS_ASSERT(made.ok());
  return *std::move(made);
}

engine::EngineConfig engine_config() {
  engine::EngineConfig config;
  config.can_load = false;
  return config;
}

uint32_t serial_of(engine::RequestId id) { return static_cast<uint32_t>(id.value); }

}  // namespace

PathServer::PathServer(uint32_t clients)
    : config_(default_config()),
      inboxes_({config_.head_bytes_max, config_.uri_bytes_max, config_.headers_max},
               config_.body_bytes_max),
      answer_budget_(config_.answer_memory_bytes),
      writer_(1),
      engine_(std::make_unique<engine::Engine>(engine_config(), 0, HashKey{1, 2})),
      received_(kReceiveBytes, '\0') {
  writer_.set_time(now_);
  for (uint64_t i = 0; i < clients; ++i) {
    int ends[2];
    DS_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    clients_.push_back(
        {ends[0], std::make_unique<Connection>(*this, ends[1], server::Peer{},
                                               static_cast<uint32_t>(i), i << 32, 1)});
  }
}

PathServer::~PathServer() {
  for (Client& client : clients_) {
    client.connection.reset();
    ::close(client.socket);
  }
}

void PathServer::send(uint32_t client, std::string_view request) {
  while (!request.empty()) {
    const ssize_t sent = ::send(clients_[client].socket, request.data(), request.size(), 0);
    if (sent > 0) request.remove_prefix(static_cast<size_t>(sent));
    now_.us += 10;
    clients_[client].connection->on_events(EPOLLIN);
    finish_turn();
  }
}

std::string_view PathServer::receive(uint32_t client) {
  const ssize_t got = ::recv(clients_[client].socket, received_.data(), received_.size(), 0);
  return {received_.data(), got > 0 ? static_cast<size_t>(got) : 0};
}

void PathServer::submit(engine::RequestId id, uint32_t, const wire::RequestText& text) {
  engine_->on_request(id, text, now_, actions_);
}

void PathServer::disconnected(engine::RequestId id, uint32_t) { engine_->on_disconnect(id); }

void PathServer::reader_lagging(engine::RequestId id, uint32_t, Position accepted) {
  engine_->on_reader_lagging(id, accepted);
}

void PathServer::reader_ready(engine::RequestId id, uint32_t) { ready_.push_back(id); }

void PathServer::finish_turn() {
  do {
    while (std::optional<engine::Batch> batch = engine_->take_batch()) {
      const LogPosition at = log_end_;
      log_end_.value += batch->records->size();
      engine_->on_commit(batch->batch_id, engine::CommitOutcome::kDurable, at, now_, actions_);
    }
    for (const engine::RequestId id : std::exchange(ready_, {})) {
      engine_->on_reader_ready(id, now_, actions_);
    }
    working_.swap(actions_);
    for (engine::Action& action : working_) carry_out(action);
    working_.clear();
    for (Connection* connection : std::exchange(unread_, {})) connection->resume();
    finishing_.swap(dirty_);
    for (Connection* connection : finishing_) connection->finish_turn();
    finishing_.clear();
  } while (!actions_.empty() || !dirty_.empty() || !unread_.empty() || engine_->has_batch());
}

void PathServer::carry_out(engine::Action& action) {
  if (auto* respond = std::get_if<engine::Respond>(&action)) {
    connection_of(respond->to).respond(serial_of(respond->to), std::move(respond->response));
  } else if (const auto* open = std::get_if<engine::OpenSse>(&action)) {
    connection_of(open->to).open_sse(serial_of(open->to), open->head, open->position);
  } else if (const auto* sse = std::get_if<engine::SendSse>(&action)) {
    deliver(*sse);
  } else if (const auto* end = std::get_if<engine::EndSse>(&action)) {
    connection_of(end->to).end_sse(serial_of(end->to));
  } else {
    DS_ASSERT(false);  // nothing is read from a disk here
  }
}

void PathServer::deliver(const engine::SendSse& action) {
  Connection::SseFrame frame{action.frame, {}, action.begin, action.end, action.pulled};
  if (action.to.size() >= kWrappedFrom) {
    std::string chunk;
    chunk.reserve(action.frame.bytes.size() + 16);
    Connection::append_chunk(chunk, action.frame.bytes);
    frame.chunk = Slice(share(std::move(chunk)));
    frame.when = Connection::SseFrame::When::kAtOnce;
  }
  for (const engine::RequestId id : action.to) {
    connection_of(id).send_sse(serial_of(id), frame);
  }
}

}  // namespace ds::bench
