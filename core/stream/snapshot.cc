#include "core/stream/snapshot.h"

#include <utility>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"

namespace ds::stream {
namespace {

constexpr std::string_view kMagic = "DSS1";

constexpr uint16_t kHasTtl = 1;
constexpr uint16_t kHasExpiresAt = 2;
constexpr uint16_t kIsFork = 4;
constexpr uint16_t kClosed = 8;
constexpr uint16_t kHasSeq = 16;
constexpr uint16_t kSoftDeleted = 32;
constexpr uint16_t kGone = 64;
constexpr uint16_t kHasMaxAge = 128;
constexpr uint16_t kHasMaxBytes = 256;

uint16_t flags_of(const StreamState& state) {
  uint32_t flags = 0;
  if (state.config.ttl_seconds) flags |= kHasTtl;
  if (state.config.expires_at) flags |= kHasExpiresAt;
  if (state.config.fork) flags |= kIsFork;
  if (state.writer.closed) flags |= kClosed;
  if (state.writer.has_seq) flags |= kHasSeq;
  if (state.soft_deleted) flags |= kSoftDeleted;
  if (state.gone) flags |= kGone;
  if (state.config.retention.max_age_seconds) flags |= kHasMaxAge;
  if (state.config.retention.max_bytes) flags |= kHasMaxBytes;
  return static_cast<uint16_t>(flags);
}

void put_fork(std::string& out, const ForkOrigin& fork) {
  put(out, fork.source.value);
  put(out, fork.source_path_hash);
  put_string(out, fork.source_path);
  put(out, fork.anchor.value);
  put(out, fork.sub_offset);
  put(out, fork.position.value);
}

ForkOrigin take_fork(ByteReader& in) {
  ForkOrigin fork;
  fork.source.value = in.take<uint64_t>();
  fork.source_path_hash = in.take<uint64_t>();
  fork.source_path = in.take_string();
  fork.anchor.value = in.take<uint64_t>();
  fork.sub_offset = in.take<uint64_t>();
  fork.position.value = in.take<uint64_t>();
  return fork;
}

void put_producers(std::string& out, const ProducerTable& producers) {
  put(out, static_cast<uint32_t>(producers.size()));
  for (const auto& [id, state] : producers) {
    put_string(out, id);
    put(out, state.epoch());
    put(out, state.last_seq());
    const std::vector<Position> receipts = state.receipts();
    put(out, static_cast<uint8_t>(receipts.size()));
    for (const Position end : receipts) put(out, end.value);
  }
}

void take_producers(ByteReader& in, ProducerTable& producers) {
  const uint32_t count = in.take<uint32_t>();
  for (uint32_t i = 0; i < count && !in.failed(); ++i) {
    std::string id(in.take_string());
    const uint64_t epoch = in.take<uint64_t>();
    const uint64_t last_seq = in.take<uint64_t>();
    std::vector<Position> receipts(in.take<uint8_t>());
    for (Position& end : receipts) end.value = in.take<uint64_t>();
    producers.emplace(std::move(id), producer::ProducerState(epoch, last_seq, std::move(receipts)));
  }
}

}  // namespace

void append_snapshot(std::string& out, const StreamState& state) {
  const size_t start = out.size();
  out.append(kMagic);
  put(out, flags_of(state));
  put(out, state.id.value);
  put(out, state.path_hash);
  put_string(out, state.path);
  put_string(out, state.config.content_type);
  put(out, state.config.ttl_seconds.value_or(0));
  put(out, static_cast<uint64_t>(state.config.expires_at.value_or(Instant{}).us));
  put(out, state.config.retention.max_age_seconds.value_or(0));
  put(out, state.config.retention.max_bytes.value_or(0));
  if (state.config.fork) put_fork(out, *state.config.fork);
  put(out, state.writer.tail.value);
  put(out, state.earliest.value);
  put(out, state.newest_ms);
  put_string(out, state.writer.last_seq);
  put(out, static_cast<uint64_t>(state.accessed.us));
  put(out, static_cast<uint32_t>(state.lives.size()));
  for (const LifeSpan& span : state.lives) {
    put(out, span.start.value);
    put(out, span.life.value);
    put(out, static_cast<uint8_t>(span.after_loss));
  }
  put(out, static_cast<uint32_t>(state.pins.size()));
  for (const auto& [child, pin] : state.pins) {
    put(out, child.value);
    put(out, pin.child_path_hash);
    put(out, pin.position.value);
  }
  put_producers(out, state.producers);
  put(out, crc32c(std::string_view(out).substr(start)));
}

std::optional<StreamState> decode_snapshot(std::string_view bytes) {
  constexpr size_t kCrcBytes = 4;
  if (bytes.size() < kMagic.size() + kCrcBytes) return std::nullopt;
  const std::string_view content = bytes.substr(0, bytes.size() - kCrcBytes);
  if (get_at<uint32_t>(bytes, content.size()) != crc32c(content)) return std::nullopt;
  ByteReader in(content);
  if (in.take_bytes(kMagic.size()) != kMagic) return std::nullopt;

  StreamState state;
  const uint16_t flags = in.take<uint16_t>();
  state.id.value = in.take<uint64_t>();
  state.path_hash = in.take<uint64_t>();
  state.path = in.take_string();
  state.config.content_type = in.take_string();
  state.config.kind = wire::content_kind(state.config.content_type);
  const uint64_t ttl = in.take<uint64_t>();
  if ((flags & kHasTtl) != 0) state.config.ttl_seconds = ttl;
  const Instant expires_at{static_cast<int64_t>(in.take<uint64_t>())};
  if ((flags & kHasExpiresAt) != 0) state.config.expires_at = expires_at;
  const uint64_t max_age = in.take<uint64_t>();
  if ((flags & kHasMaxAge) != 0) state.config.retention.max_age_seconds = max_age;
  const uint64_t max_bytes = in.take<uint64_t>();
  if ((flags & kHasMaxBytes) != 0) state.config.retention.max_bytes = max_bytes;
  if ((flags & kIsFork) != 0) state.config.fork = take_fork(in);
  state.writer.tail.value = in.take<uint64_t>();
  state.earliest.value = in.take<uint64_t>();
  state.newest_ms = in.take<uint64_t>();
  state.writer.closed = (flags & kClosed) != 0;
  state.writer.has_seq = (flags & kHasSeq) != 0;
  state.writer.last_seq = in.take_string();
  state.accessed.us = static_cast<int64_t>(in.take<uint64_t>());
  for (uint32_t left = in.take<uint32_t>(); left > 0 && !in.failed(); --left) {
    LifeSpan span;
    span.start.value = in.take<uint64_t>();
    span.life.value = in.take<uint64_t>();
    span.after_loss = in.take<uint8_t>() != 0;
    state.lives.push_back(span);
  }
  for (uint32_t left = in.take<uint32_t>(); left > 0 && !in.failed(); --left) {
    const Incarnation child{in.take<uint64_t>()};
    Pin pin;
    pin.child_path_hash = in.take<uint64_t>();
    pin.position.value = in.take<uint64_t>();
    state.pins.emplace(child, pin);
  }
  take_producers(in, state.producers);
  state.index.start_at(state.writer.tail);
  state.soft_deleted = (flags & kSoftDeleted) != 0;
  state.gone = (flags & kGone) != 0;
  if (in.failed() || !in.at_end() || state.lives.empty()) return std::nullopt;
  return state;
}

}  // namespace ds::stream
