#include "core/stream/op.h"

#include <algorithm>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"

namespace ds::stream {
namespace {

using layout::Tag;

constexpr size_t kLifeSpanBytes = 17;

void put_extra_head(std::string& out, Tag tag, size_t size) {
  put(out, static_cast<uint8_t>(tag));
  put(out, static_cast<uint32_t>(size));
}

void put_extra(std::string& out, Tag tag, std::string_view bytes) {
  put_extra_head(out, tag, bytes.size());
  out.append(bytes);
}

void put_extra(std::string& out, Tag tag, uint64_t value) {
  put_extra_head(out, tag, sizeof(value));
  put(out, value);
}

void put_create(std::string& out, const Op::Create& create) {
  put_extra(out, Tag::kPath, create.path);
  put_extra(out, Tag::kContentType, create.content_type);
  if (create.ttl_seconds) put_extra(out, Tag::kTtl, *create.ttl_seconds);
  if (create.expires_at)
    put_extra(out, Tag::kExpiresAt, static_cast<uint64_t>(create.expires_at->us));
  if (create.retention.max_age_seconds) {
    put_extra(out, Tag::kMaxAge, *create.retention.max_age_seconds);
  }
  if (create.retention.max_bytes) put_extra(out, Tag::kMaxBytes, *create.retention.max_bytes);
  if (create.fork) {
    const ForkOrigin& fork = *create.fork;
    put_extra_head(out, Tag::kFork, 40 + fork.source_path.size());
    put(out, fork.source.value);
    put(out, fork.source_path_hash);
    put(out, fork.anchor.value);
    put(out, fork.sub_offset);
    put(out, fork.position.value);
    out.append(fork.source_path);
  }
  put_extra_head(out, Tag::kLives, create.lives.size() * kLifeSpanBytes);
  for (const LifeSpan& span : create.lives) {
    put(out, span.start.value);
    put(out, span.life.value);
    put(out, static_cast<uint8_t>(span.after_loss));
  }
}

ForkOrigin take_fork(ByteReader& in) {
  ForkOrigin fork;
  fork.source.value = in.take<uint64_t>();
  fork.source_path_hash = in.take<uint64_t>();
  fork.anchor.value = in.take<uint64_t>();
  fork.sub_offset = in.take<uint64_t>();
  fork.position.value = in.take<uint64_t>();
  fork.source_path = in.take_bytes(in.left());
  return fork;
}

// One extra of a record. False if it is not well-formed or not known.
bool take_extra(Op& op, Tag tag, std::string_view bytes) {
  ByteReader in(bytes);
  auto create = [&op]() -> Op::Create& { return op.create ? *op.create : op.create.emplace(); };
  switch (tag) {
    case Tag::kProducer: {
      Op::Producer producer;
      producer.epoch = in.take<uint64_t>();
      producer.seq = in.take<uint64_t>();
      producer.id = in.take_bytes(in.left());
      op.producer = producer;
      break;
    }
    case Tag::kStreamSeq:
      op.stream_seq = in.take_bytes(in.left());
      break;
    case Tag::kPath:
      create().path = in.take_bytes(in.left());
      break;
    case Tag::kContentType:
      create().content_type = in.take_bytes(in.left());
      break;
    case Tag::kTtl:
      create().ttl_seconds = in.take<uint64_t>();
      break;
    case Tag::kExpiresAt:
      create().expires_at = Instant{static_cast<int64_t>(in.take<uint64_t>())};
      break;
    case Tag::kFork:
      create().fork = take_fork(in);
      break;
    case Tag::kLives:
      while (!in.at_end()) {
        LifeSpan span;
        span.start.value = in.take<uint64_t>();
        span.life.value = in.take<uint64_t>();
        span.after_loss = in.take<uint8_t>() != 0;
        create().lives.push_back(span);
      }
      break;
    case Tag::kPin: {
      Op::Pin pin;
      pin.child.value = in.take<uint64_t>();
      pin.child_path_hash = in.take<uint64_t>();
      pin.position.value = in.take<uint64_t>();
      op.pin = pin;
      break;
    }
    case Tag::kNewLife:
      op.new_life = Incarnation{in.take<uint64_t>()};
      break;
    case Tag::kMaxAge:
      create().retention.max_age_seconds = in.take<uint64_t>();
      break;
    case Tag::kMaxBytes:
      create().retention.max_bytes = in.take<uint64_t>();
      break;
    case Tag::kEarliest:
      op.earliest = Position{in.take<uint64_t>()};
      break;
    default:
      return false;
  }
  return !in.failed() && in.at_end();
}

// Whether the op has what its type needs.
bool complete(const Op& op) {
  switch (op.type) {
    case OpType::kCreate:
      return op.create && !op.create->path.empty() && !op.create->content_type.empty() &&
             !op.create->lives.empty() && op.create->lives.front().start == Position{0};
    case OpType::kAppend:
      return !op.payload.empty();
    case OpType::kClose:
      return op.closes && op.payload.empty();
    case OpType::kDelete:
    case OpType::kExpire:
    case OpType::kTouch:
      return op.payload.empty();
    case OpType::kPin:
    case OpType::kUnpin:
      return op.pin.has_value() && op.payload.empty();
    case OpType::kNewLife:
      return op.new_life.has_value() && op.payload.empty();
    case OpType::kTrim:
      return op.earliest.has_value() && op.payload.empty();
  }
  return false;
}

// From this size on a payload's room is made at once, with some for what comes behind it.
constexpr uint64_t kReservedMin = 4096;
constexpr size_t kExtrasBytes = 256;

}  // namespace

size_t append_record(std::string& out, const Op& op, const wire::Body* body) {
  const size_t start = out.size();
  const uint64_t payload_bytes = body != nullptr ? body->stored_bytes() : op.payload.size();
  const size_t needed =
      start + kRecordHeaderBytes + static_cast<size_t>(payload_bytes) + kExtrasBytes;
  if (payload_bytes > kReservedMin && needed > out.capacity()) {
    // Exactly for the first, which is often the only one; by doubling if more are to come.
    out.reserve(std::max(needed, start == 0 ? 0 : 2 * out.capacity()));
  }
  out.resize(start + kRecordHeaderBytes);
  if (body != nullptr) {
    body->append_stored(out);
  } else {
    out.append(op.payload);
  }
  const size_t payload_size = out.size() - start - kRecordHeaderBytes;
  if (op.producer) {
    put_extra_head(out, Tag::kProducer, 16 + op.producer->id.size());
    put(out, op.producer->epoch);
    put(out, op.producer->seq);
    out.append(op.producer->id);
  }
  if (op.stream_seq) put_extra(out, Tag::kStreamSeq, *op.stream_seq);
  if (op.create) put_create(out, *op.create);
  if (op.pin) {
    put_extra_head(out, Tag::kPin, 24);
    put(out, op.pin->child.value);
    put(out, op.pin->child_path_hash);
    put(out, op.pin->position.value);
  }
  if (op.new_life) put_extra(out, Tag::kNewLife, op.new_life->value);
  if (op.earliest) put_extra(out, Tag::kEarliest, op.earliest->value);

  const size_t size = out.size() - start;
  DS_ASSERT(size <= UINT32_MAX);
  put_at(out, start + layout::kSize, static_cast<uint32_t>(size));
  put_at(out, start + layout::kType, static_cast<uint8_t>(op.type));
  put_at(out, start + layout::kFlags, op.closes ? layout::kFlagCloses : uint8_t{0});
  put_at(out, start + layout::kReserved, uint16_t{0});
  put_at(out, start + layout::kPayloadSize, static_cast<uint32_t>(payload_size));
  put_at(out, start + layout::kStream, op.stream.value);
  put_at(out, start + layout::kPathHash, op.path_hash);
  put_at(out, start + layout::kPosition, op.position.value);
  put_at(out, start + layout::kTime, static_cast<uint64_t>(op.time.us));
  const std::string_view checked = std::string_view(out).substr(start + layout::kSize);
  put_at(out, start + layout::kCrc, crc32c(checked));
  return start;
}

std::optional<Op> decode_record_unchecked(std::string_view record) {
  const std::optional<uint32_t> size = peek_record_size(record);
  if (!size || *size != record.size()) return std::nullopt;
  Op op;
  op.type = static_cast<OpType>(get_at<uint8_t>(record, layout::kType));
  const uint8_t flags = get_at<uint8_t>(record, layout::kFlags);
  if ((flags & ~layout::kFlagCloses) != 0 || get_at<uint16_t>(record, layout::kReserved) != 0) {
    return std::nullopt;
  }
  op.closes = (flags & layout::kFlagCloses) != 0;
  op.stream.value = get_at<uint64_t>(record, layout::kStream);
  op.path_hash = get_at<uint64_t>(record, layout::kPathHash);
  op.position.value = get_at<uint64_t>(record, layout::kPosition);
  op.time.us = static_cast<int64_t>(get_at<uint64_t>(record, layout::kTime));
  op.payload = record_payload(record);
  ByteReader extras(record.substr(kRecordPayloadOffset + op.payload.size()));
  while (!extras.at_end()) {
    const Tag tag = static_cast<Tag>(extras.take<uint8_t>());
    const std::string_view bytes = extras.take_string();
    if (extras.failed() || !take_extra(op, tag, bytes)) return std::nullopt;
  }
  if (!complete(op)) return std::nullopt;
  return op;
}

std::optional<Op> decode_record(std::string_view record) {
  if (!record_intact(record)) return std::nullopt;
  return decode_record_unchecked(record);
}

}  // namespace ds::stream
