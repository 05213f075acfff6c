#include "core/engine/engine.h"

#include "core/engine/engine_impl.h"

namespace ds::engine {

Engine::Engine(const EngineConfig& config, uint32_t index, HashKey hash_key)
    : impl_(std::make_unique<Impl>(config, index, hash_key)) {}
Engine::~Engine() = default;

bool Engine::replay(std::string_view record, LogPosition at, Peers& peers) {
  return impl_->replay(record, at, peers);
}

void Engine::recover_pin(Incarnation source, Incarnation child, Peers& peers) {
  impl_->recover_pin(source, child, peers);
}

void Engine::recover_stream(Incarnation stream, Peers& peers) {
  impl_->recover_stream(stream, peers);
}

void Engine::recover_cache(LogPosition first_record, SharedBytes records) {
  impl_->recover_cache(first_record, std::move(records));
}

void Engine::finish_replay(Instant now, Incarnation highest_life, Incarnation lost_life,
                           uint32_t sealed_through, Peers& peers, Actions& out) {
  impl_->out = &out;
  impl_->finish_replay(now, highest_life, lost_life, sealed_through, peers);
}

Incarnation Engine::highest_life() const { return impl_->highest_life(); }

void Engine::on_request(RequestId id, const wire::RequestText& request, Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_request(id, request, now);
}

void Engine::on_disconnect(RequestId id) { impl_->on_disconnect(id); }

void Engine::on_reader_lagging(RequestId id, Position accepted) {
  impl_->on_reader_lagging(id, accepted);
}

void Engine::on_reader_ready(RequestId id, Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_reader_ready(id, now);
}

void Engine::on_reader_back(RequestId id, Incarnation stream, Position at,
                            std::optional<uint64_t> cursor, bool pulling, Instant now,
                            Actions& out) {
  impl_->out = &out;
  impl_->on_reader_back(id, stream, at, cursor, pulling, now);
}

void Engine::on_commit(uint64_t batch_id, CommitOutcome outcome, LogPosition first_record,
                       Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_commit(batch_id, outcome, first_record, now);
}

void Engine::on_loaded(uint64_t load_id, LoadOutcome outcome, SharedBytes bytes, Instant now,
                       Actions& out) {
  impl_->out = &out;
  impl_->on_loaded(load_id, outcome, std::move(bytes), now);
}

void Engine::on_sealed_read(uint64_t load_id, LoadOutcome outcome, segment::SealedChunk chunk,
                            Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_sealed_read(load_id, outcome, std::move(chunk), now);
}

void Engine::on_found(uint64_t find_id, Found found, std::string_view snapshot, Instant now,
                      Actions& out) {
  impl_->out = &out;
  impl_->on_found(find_id, found, snapshot, now);
}

void Engine::on_sealed(uint32_t generation, std::span<const Incarnation> streams, bool last_part,
                       Instant now) {
  impl_->on_sealed(generation, streams, last_part, now);
}

void Engine::on_due(Incarnation stream, Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_due(stream, now);
}

void Engine::on_trim(Incarnation stream, Position earliest, Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_trim(stream, earliest, now);
}

void Engine::on_peer(const PeerMessage& message, Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_peer(message, now);
}

void Engine::on_time(Instant now, Actions& out) {
  impl_->out = &out;
  impl_->on_time(now);
}

Instant Engine::next_deadline() const { return impl_->next_deadline(); }

void Engine::set_storage(wire::ErrorCode refusal) { impl_->set_storage(refusal); }

stream::ListingPart Engine::list(std::string_view prefix, std::string_view after,
                                 size_t limit) const {
  return impl_->list(prefix, after, limit);
}

const stream::StreamState* Engine::committed(std::string_view path) const {
  const StreamEntry* stream = impl_->committed(path);
  return stream == nullptr ? nullptr : &stream->state;
}

Instant Engine::expiry(std::string_view path) const {
  const StreamEntry* stream = impl_->committed(path);
  return stream == nullptr || stream->state.soft_deleted ? kNever : stream->expiry();
}

void Engine::end_live_readers(Instant now, Actions& out) {
  impl_->out = &out;
  impl_->end_live_readers(now);
}

std::optional<Batch> Engine::take_batch() { return impl_->take_batch(); }
uint32_t Engine::batch_ops() const { return impl_->batch_ops(); }
uint64_t Engine::batch_bytes() const { return impl_->batch_bytes(); }

bool Engine::has_batch() const { return impl_->has_batch(); }
uint64_t Engine::epoch() const { return impl_->epoch(); }
Engine::Stats Engine::stats() const { return impl_->stats(); }

}  // namespace ds::engine
