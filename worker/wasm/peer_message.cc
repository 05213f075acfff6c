#include "worker/wasm/peer_message.h"

#include <utility>

#include "core/base/bytes.h"

namespace ds::worker {

namespace {

template <typename T>
void put_value(std::string& out, T value) {
  put(out, value.value);
}

template <typename T>
T take_value(ByteReader& in) {
  return T{in.take<uint64_t>()};
}

void put_optional(std::string& out, std::optional<uint64_t> value) {
  put(out, static_cast<uint8_t>(value.has_value()));
  put(out, value.value_or(0));
}

std::optional<uint64_t> take_optional(ByteReader& in) {
  const bool there = in.take<uint8_t>() != 0;
  const auto value = in.take<uint64_t>();
  return there ? std::optional(value) : std::nullopt;
}

// No list has more elements than bytes that could hold them.
size_t take_count(ByteReader& in, size_t element_bytes) {
  const auto count = in.take<uint32_t>();
  if (count > in.left() / element_bytes) in.fail();
  return in.failed() ? 0 : count;
}

// --- Calls

void put_call(std::string& out, const PinCall& call) {
  const stream::PinRequest& request = call.request;
  put(out, request.attempt);
  put(out, request.child_path_hash);
  put_value(out, request.child);
  put_string(out, request.source_path);
  put(out, static_cast<uint8_t>(request.offset.has_value()));
  put_value(out, request.offset.value_or(Offset{}).life);
  put_value(out, request.offset.value_or(Offset{}).position);
  put(out, request.sub_offset);
  put_string(out, request.content_type);
  put_string(out, call.child_path);
}

PinCall take_pin_call(ByteReader& in) {
  PinCall call;
  stream::PinRequest& request = call.request;
  request.attempt = in.take<uint64_t>();
  request.child_path_hash = in.take<uint64_t>();
  request.child = take_value<Incarnation>(in);
  request.source_path = in.take_string();
  const bool has_offset = in.take<uint8_t>() != 0;
  const auto life = take_value<Incarnation>(in);
  const auto position = take_value<Position>(in);
  if (has_offset) request.offset = Offset{life, position};
  request.sub_offset = in.take<uint64_t>();
  request.content_type = in.take_string();
  call.child_path = in.take_string();
  return call;
}

void put_call(std::string& out, const UnpinCall& call) {
  put_value(out, call.unpin.source);
  put(out, call.unpin.source_path_hash);
  put_value(out, call.unpin.child);
}

UnpinCall take_unpin_call(ByteReader& in) {
  UnpinCall call;
  call.unpin.source = take_value<Incarnation>(in);
  call.unpin.source_path_hash = in.take<uint64_t>();
  call.unpin.child = take_value<Incarnation>(in);
  return call;
}

void put_call(std::string& out, const ReadCall& call) {
  put(out, call.read.max_chunk_bytes);
  put_value(out, call.read.boundary);
  put(out, static_cast<uint32_t>(call.read.pieces.size()));
  for (const segment::SealedPiece& piece : call.read.pieces) {
    put_value(out, piece.owner);
    put_value(out, piece.from);
    put_value(out, piece.to);
  }
}

ReadCall take_read_call(ByteReader& in) {
  ReadCall call;
  call.read.max_chunk_bytes = in.take<uint64_t>();
  call.read.boundary = take_value<Position>(in);
  call.read.pieces.resize(take_count(in, 24));
  for (segment::SealedPiece& piece : call.read.pieces) {
    piece.owner = take_value<Incarnation>(in);
    piece.from = take_value<Position>(in);
    piece.to = take_value<Position>(in);
  }
  return call;
}

void put_call(std::string& out, const AskCall& call) { put_value(out, call.child); }

// --- Answers

void put_answer(std::string&, const Failed&) {}
void put_answer(std::string&, const Done&) {}

void put_answer(std::string& out, const PinAnswer& answer) {
  const stream::PinReply& reply = answer.reply;
  put(out, reply.attempt);
  put(out, static_cast<uint8_t>(reply.error));
  put_value(out, reply.newer_than);
  put(out, static_cast<uint8_t>(reply.base != nullptr));
  if (reply.base == nullptr) return;
  const stream::ForkBase& base = *reply.base;
  put_value(out, base.source);
  put(out, base.source_path_hash);
  put_value(out, base.anchor);
  put_value(out, base.position);
  put_string(out, base.content_type);
  put_optional(out, base.ttl_seconds);
  put(out, static_cast<uint8_t>(base.expires_at.has_value()));
  put(out, base.expires_at.value_or(Instant{}).us);
  put_value(out, base.earliest);
  put(out, static_cast<uint32_t>(base.lives.size()));
  for (const stream::LifeSpan& span : base.lives) {
    put_value(out, span.start);
    put_value(out, span.life);
    put(out, static_cast<uint8_t>(span.after_loss));
  }
}

PinAnswer take_pin_answer(ByteReader& in) {
  PinAnswer answer;
  stream::PinReply& reply = answer.reply;
  reply.attempt = in.take<uint64_t>();
  const auto error = in.take<uint8_t>();
  if (error >= static_cast<uint8_t>(wire::ErrorCode::kCount)) in.fail();
  reply.error = static_cast<wire::ErrorCode>(error);
  reply.newer_than = take_value<Incarnation>(in);
  if (in.take<uint8_t>() == 0) return answer;
  reply.base = std::make_shared<stream::ForkBase>();
  stream::ForkBase& base = *reply.base;
  base.source = take_value<Incarnation>(in);
  base.source_path_hash = in.take<uint64_t>();
  base.anchor = take_value<Position>(in);
  base.position = take_value<Position>(in);
  base.content_type = in.take_string();
  base.ttl_seconds = take_optional(in);
  const bool expires = in.take<uint8_t>() != 0;
  const Instant at{in.take<int64_t>()};
  if (expires) base.expires_at = at;
  base.earliest = take_value<Position>(in);
  base.lives.resize(take_count(in, 17));
  for (stream::LifeSpan& span : base.lives) {
    span.start = take_value<Position>(in);
    span.life = take_value<Incarnation>(in);
    span.after_loss = in.take<uint8_t>() != 0;
  }
  base.index.start_at(base.position);
  return answer;
}

void put_answer(std::string& out, const ReadAnswer& answer) {
  put(out, static_cast<uint8_t>(answer.corrupt));
  const segment::SealedChunk& chunk = answer.chunk;
  put_value(out, chunk.begin);
  put_value(out, chunk.end);
  put(out, chunk.newest_ms);
  put(out, static_cast<uint32_t>(chunk.ends.size()));
  for (const Position end : chunk.ends) put_value(out, end);
  if (chunk.bytes != nullptr) out.append(*chunk.bytes);
}

ReadAnswer take_read_answer(ByteReader& in) {
  ReadAnswer answer;
  answer.corrupt = in.take<uint8_t>() != 0;
  segment::SealedChunk& chunk = answer.chunk;
  chunk.begin = take_value<Position>(in);
  chunk.end = take_value<Position>(in);
  chunk.newest_ms = in.take<uint64_t>();
  chunk.ends.resize(take_count(in, 8));
  for (Position& end : chunk.ends) end = take_value<Position>(in);
  chunk.bytes = share(std::string(in.take_bytes(in.left())));
  if (!answer.corrupt && chunk.bytes->size() != chunk.end.value - chunk.begin.value) in.fail();
  return answer;
}

void put_answer(std::string& out, const AskAnswer& answer) {
  put(out, static_cast<uint8_t>(answer.existence));
}

}  // namespace

std::string encode_call(const PeerCall& call) {
  std::string out;
  put(out, static_cast<uint8_t>(call.index()));
  std::visit([&out](const auto& one) { put_call(out, one); }, call);
  return out;
}

std::optional<PeerCall> decode_call(std::string_view bytes) {
  ByteReader in(bytes);
  PeerCall call;
  switch (in.take<uint8_t>()) {
    case 0:
      call = take_pin_call(in);
      break;
    case 1:
      call = take_unpin_call(in);
      break;
    case 2:
      call = take_read_call(in);
      break;
    case 3:
      call = AskCall{take_value<Incarnation>(in)};
      break;
    default:
      in.fail();
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return call;
}

std::string encode_answer(const PeerAnswer& answer) {
  std::string out;
  put(out, static_cast<uint8_t>(answer.index()));
  std::visit([&out](const auto& one) { put_answer(out, one); }, answer);
  return out;
}

PeerAnswer decode_answer(std::string_view bytes) {
  ByteReader in(bytes);
  PeerAnswer answer;
  switch (in.take<uint8_t>()) {
    case 1:
      answer = Done{};
      break;
    case 2:
      answer = take_pin_answer(in);
      break;
    case 3:
      answer = take_read_answer(in);
      break;
    case 4: {
      const auto existence = in.take<uint8_t>();
      if (existence > static_cast<uint8_t>(Existence::kNotYet)) in.fail();
      answer = AskAnswer{static_cast<Existence>(existence)};
      break;
    }
    default:
      break;
  }
  if (in.failed()) return Failed{};
  return answer;
}

}  // namespace ds::worker
