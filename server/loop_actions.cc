// Loop: between connections, engines and the committer.
#include <atomic>
#include <span>
#include <unordered_map>
#include <utility>

#include "core/base/hash.h"
#include "server/listing.h"
#include "server/loop.h"

namespace ds::server {

namespace {

// From this many readers on it pays to wrap a frame once for all of them.
constexpr size_t kWrappedFrom = 3;
// So many readers ahead their connections are fetched: what the system does for one drives those of
// the others out of the processor's caches.
constexpr size_t kPrefetched = 3;
constexpr size_t kCacheLine = 64;

void prefetch(const Connection* connection) {
  if (connection == nullptr) return;
  const char* at = reinterpret_cast<const char*>(connection);
  for (size_t line = 0; line < sizeof(Connection); line += kCacheLine) {
    __builtin_prefetch(at + line);
  }
}

uint32_t loop_of(engine::RequestId id) { return static_cast<uint32_t>(id.value >> 56); }
uint32_t serial_of(engine::RequestId id) { return static_cast<uint32_t>(id.value); }

}  // namespace

// --- From connections ---------------------------------------------------------------------------

void Loop::submit(engine::RequestId id, uint32_t owner, const wire::RequestText& text) {
  if (owner == index_) {
    const size_t before = actions_.size();
    engine_->on_request(id, text, now_, actions_);
    for (size_t i = before; i < actions_.size(); ++i) {
      const auto* answer = std::get_if<engine::Respond>(&actions_[i]);
      if (answer != nullptr) unwritten_bytes_ += answer->response.body_bytes();
    }
  } else {
    to_engine(owner, std::make_unique<engine::OwnedRequest>(id, text));
  }
}

void Loop::disconnected(engine::RequestId id, uint32_t owner) {
  if (owner == index_) {
    engine_->on_disconnect(id);
  } else {
    to_engine(owner, ClientGone{id});
  }
}

void Loop::reader_lagging(engine::RequestId id, uint32_t owner, Position accepted) {
  if (owner == index_) {
    engine_->on_reader_lagging(id, accepted);
  } else {
    to_engine(owner, ReaderLagging{id, accepted});
  }
}

void Loop::reader_ready(engine::RequestId id, uint32_t owner) { ready_.push_back({id, owner}); }

void Loop::handle(ToEngine& message) {
  if (auto* request = std::get_if<std::unique_ptr<engine::OwnedRequest>>(&message)) {
    engine_->on_request((*request)->id, (*request)->text, now_, actions_);
  } else if (const auto* gone = std::get_if<ClientGone>(&message)) {
    engine_->on_disconnect(gone->id);
  } else if (const auto* lagging = std::get_if<ReaderLagging>(&message)) {
    engine_->on_reader_lagging(lagging->id, lagging->accepted);
  } else if (const auto* ready = std::get_if<ReaderReady>(&message)) {
    engine_->on_reader_ready(ready->id, now_, actions_);
  } else if (const auto* peer = std::get_if<engine::PeerMessage>(&message)) {
    engine_->on_peer(*peer, now_, actions_);
  }
}

// --- From the engine ----------------------------------------------------------------------------

void Loop::carry_out_actions() {
  while (!actions_.empty() || !refused_loads_.empty() || !refused_sealed_reads_.empty()) {
    working_.swap(actions_);
    for (engine::Action& action : working_) carry_out(action);
    working_.clear();
    for (const uint64_t load : std::exchange(refused_loads_, {})) {
      engine_->on_loaded(load, engine::LoadOutcome::kFailed, nullptr, now_, actions_);
    }
    for (const uint64_t load : std::exchange(refused_sealed_reads_, {})) {
      engine_->on_sealed_read(load, engine::LoadOutcome::kFailed, {}, now_, actions_);
    }
  }
}

void Loop::carry_out(engine::Action& action) {
  std::visit([this](auto& one) { carry_out(one); }, action);
}

void Loop::send_elsewhere(engine::RequestId id, engine::Action&& action) {
  outboxes_[loop_of(id)].answers.push_back(std::move(action));
}

void Loop::carry_out(engine::Respond& action) {
  if (loop_of(action.to) != index_) {
    send_elsewhere(action.to, std::move(action));
  } else if (Connection* connection = connection_of(action.to)) {
    connection->respond(serial_of(action.to), std::move(action.response));
  }
}

void Loop::carry_out(engine::OpenSse& action) {
  if (loop_of(action.to) != index_) {
    send_elsewhere(action.to, std::move(action));
  } else if (Connection* connection = connection_of(action.to)) {
    connection->open_sse(serial_of(action.to), action.head, action.position);
  }
}

void Loop::carry_out(engine::EndSse& action) {
  if (loop_of(action.to) != index_) {
    send_elsewhere(action.to, std::move(action));
  } else {
    events_due_.emplace_back(action);
  }
}

void Loop::carry_out(engine::SendSse& action) {
  if (shared_.loops.size() > 1) {
    // One frame for each loop that has readers of it; what stays here is left in action.to.
    std::vector<engine::SendSse> elsewhere(shared_.loops.size());
    std::erase_if(action.to, [&](engine::RequestId id) {
      const uint32_t loop = loop_of(id);
      if (loop == index_) return false;
      elsewhere[loop].to.push_back(id);
      return true;
    });
    for (size_t i = 0; i < elsewhere.size(); ++i) {
      engine::SendSse& part = elsewhere[i];
      if (part.to.empty()) continue;
      part.frame = action.frame;
      part.begin = action.begin;
      part.end = action.end;
      part.pulled = action.pulled;
      outboxes_[i].answers.emplace_back(std::move(part));
    }
  }
  if (!action.to.empty()) events_due_.emplace_back(std::move(action));
}

// What live readers are due, once all answers of the turn have left: whoever waits for an answer
// does not wait for a thousand readers, too. In order, as a reader's events must be.
void Loop::deliver_events() {
  delivering_.swap(events_due_);
  // A reader who gets more than this, more events or the end, gets it in one write.
  std::unordered_map<uint64_t, const engine::SendSse*> newest;
  bool ends = false;
  for (const SseEvent& event : delivering_) {
    const auto* frame = std::get_if<engine::SendSse>(&event);
    ends = ends || frame == nullptr;
    if (frame != nullptr) newest[frame->stream.value] = frame;
  }
  for (const SseEvent& event : delivering_) {
    if (const auto* frame = std::get_if<engine::SendSse>(&event)) {
      const bool last = !ends && newest[frame->stream.value] == frame;
      deliver(*frame, last ? Connection::SseFrame::When::kAtOnce
                           : Connection::SseFrame::When::kWhenTurnEnds);
    } else {
      const engine::RequestId to = std::get<engine::EndSse>(event).to;
      if (Connection* connection = connection_of(to)) connection->end_sse(serial_of(to));
    }
  }
  delivering_.clear();
}

void Loop::deliver(const engine::SendSse& action, Connection::SseFrame::When when) {
  Connection::SseFrame frame{action.frame, {}, action.begin, action.end, action.pulled, when};
  if (action.to.size() >= kWrappedFrom) {
    std::string chunk;
    chunk.reserve(action.frame.bytes.size() + 16);
    Connection::append_chunk(chunk, action.frame.bytes);
    frame.chunk = Slice(share(std::move(chunk)));
  }
  counters_.sse_frames.add(action.to.size());
  const size_t count = action.to.size();
  for (size_t i = 0; i < count; ++i) {
    if (i + kPrefetched < count) prefetch(connection_of(action.to[i + kPrefetched]));
    const engine::RequestId id = action.to[i];
    if (Connection* connection = connection_of(id)) connection->send_sse(serial_of(id), frame);
  }
}

void Loop::carry_out(engine::Load& action) {
  const uint64_t id = action.load_id;
  if (shared_.readers != nullptr && shared_.readers->submit(*this, std::move(action))) return;
  counters_.loads_refused.add();
  refused_loads_.push_back(id);
}

void Loop::carry_out(engine::ReadSealed& action) {
  const uint64_t id = action.load_id;
  if (shared_.readers->submit(*this, std::move(action))) return;
  counters_.loads_refused.add();
  refused_sealed_reads_.push_back(id);
}

void Loop::carry_out(engine::Find& action) { shared_.readers->submit(*this, std::move(action)); }

void Loop::carry_out(engine::PeerMessage& action) {
  const auto owner = static_cast<uint32_t>(action.to_path_hash % shared_.loops.size());
  if (owner == index_) {
    engine_->on_peer(action, now_, actions_);
  } else {
    to_engine(owner, std::move(action));
  }
}

// --- To other loops ------------------------------------------------------------------------------

void Loop::deliver_outboxes() {
  for (size_t i = 0; i < outboxes_.size(); ++i) {
    Mail& out = outboxes_[i];
    if (out.to_engine.empty() && out.answers.empty()) continue;
    shared_.loops[i]->mailbox_.leave([&](Mail& mail) {
      const auto hand_over = [](auto& from, auto& to) {
        if (to.empty()) {
          to.swap(from);
        } else {
          for (auto& one : from) to.push_back(std::move(one));
        }
        from.clear();
      };
      hand_over(out.to_engine, mail.to_engine);
      hand_over(out.answers, mail.answers);
    });
  }
}

// --- Status pages -------------------------------------------------------------------------------

// Every loop publishes its engine's numbers; the last one to do so has the page rendered where it
// was asked for.
class Loop::MetricsGathering {
 public:
  MetricsGathering(const LoopShared& shared, Loop& asked, engine::RequestId id)
      : asked_(asked), id_(id), missing_(shared.loops.size()) {}

  void publish(Loop& loop) {
    loop.counters_.publish(loop.engine_->stats());
    loop.counters_.send_cache_bytes.set(loop.send_cache_.bytes());
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    asked_.mailbox_.leave([this](Mail& mail) {
      mail.tasks.emplace_back([&asked = asked_, id = id_] { asked.answer_metrics(id); });
    });
  }

 private:
  Loop& asked_;
  const engine::RequestId id_;
  std::atomic<size_t> missing_;
};

void Loop::gather_metrics(engine::RequestId id) {
  const auto gathering = std::make_shared<MetricsGathering>(shared_, *this, id);
  for (Loop* loop : shared_.loops) {
    loop->mailbox_.leave([&](Mail& mail) {
      mail.tasks.emplace_back([gathering, loop] { gathering->publish(*loop); });
    });
  }
}

void Loop::answer_metrics(engine::RequestId id) {
  std::vector<const LoopCounters*> counters;
  for (const Loop* loop : shared_.loops) counters.push_back(&loop->counters_);
  MetricsInput input;
  input.loops = counters;
  input.committer = shared_.committer;
  input.log = shared_.log;
  input.sealer = shared_.sealer;
  input.ballast = shared_.ballast;
  input.streams = shared_.streams->count();
  input.catalog_bytes = shared_.catalog_bytes.load(std::memory_order_relaxed);
  input.log_healthy = shared_.log_healthy.load(std::memory_order_relaxed);
  input.body_memory_bytes = shared_.body_memory.load(std::memory_order_relaxed);
  input.answer_memory_bytes = shared_.answer_memory.used();
  Connection* connection = connection_of(id);
  if (connection == nullptr) return;
  connection->respond_text(serial_of(id), "text/plain; version=0.0.4; charset=utf-8",
                           render_metrics(input), 200);
}

void Loop::submit_listing(engine::RequestId id, wire::ListRequest request) {
  const Listing::Host host{shared_.loops, shared_.readers, shared_.listings};
  Listing::begin(host, std::move(request), [this, id](wire::Response response) {
    mailbox_.leave([&](Mail& mail) {
      mail.answers.emplace_back(engine::Respond{id, std::move(response)});
    });
  });
}

void Loop::submit_status(engine::RequestId id, Route route) {
  if (route == Route::kMetrics) return gather_metrics(id);
  const bool healthy = shared_.log_healthy.load(std::memory_order_relaxed);
  Connection* connection = connection_of(id);
  if (connection == nullptr) return;
  if (healthy && !draining_) {
    connection->respond_text(serial_of(id), "application/json", "{\"status\":\"ready\"}", 200);
    return;
  }
  connection->respond(serial_of(id),
                      wire::error_response(draining_ ? wire::ErrorCode::kShuttingDown
                                                     : wire::ErrorCode::kStorageFailed));
}

}  // namespace ds::server
