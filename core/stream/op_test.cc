#include "core/stream/op.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/stream/op_record.h"
#include "tests/support/mutations.h"

namespace ds::stream {
namespace {

std::string record_of(const Op& op) {
  std::string out;
  append_record(out, op);
  return out;
}

Op base(OpType type) {
  Op op;
  op.type = type;
  op.stream = Incarnation{1767225600000001};
  op.path_hash = 0xfedcba9876543210;
  op.position = Position{123456789012};
  op.time = Instant{1767225600123456};
  return op;
}

// One op of every type, with everything that it may have, and with as little as it may.
std::vector<Op> all_ops() {
  std::vector<Op> ops;
  Op create = base(OpType::kCreate);
  create.position = Position{0};
  Op::Create& facts = create.create.emplace();
  facts.path = "p/stream";
  facts.content_type = "text/plain";
  facts.lives = {{Position{0}, create.stream, false}};
  ops.push_back(create);
  create.payload = "first message";
  create.closes = true;
  facts = *create.create;
  create.create->ttl_seconds = 0;
  ops.push_back(create);
  create.position = Position{77};
  create.create->ttl_seconds.reset();
  create.create->expires_at = Instant{-5};
  ForkOrigin& fork = create.create->fork.emplace();
  fork.source = Incarnation{17};
  fork.source_path_hash = 18;
  fork.source_path = "p/source";
  fork.anchor = Position{70};
  fork.sub_offset = 7;
  fork.position = Position{77};
  create.create->lives = {{Position{0}, Incarnation{17}, false},
                          {Position{9}, Incarnation{19}, true},
                          {Position{77}, create.stream, false}};
  ops.push_back(create);
  create.create->retention = {3600, uint64_t{1} << 40};
  create.earliest = Position{70};
  ops.push_back(create);
  create.create->retention = {std::nullopt, 1};
  create.earliest.reset();
  ops.push_back(create);

  Op append = base(OpType::kAppend);
  append.payload = std::string_view("bytes\0\xff", 7);
  ops.push_back(append);
  append.closes = true;
  append.producer = Op::Producer{"writer", 5, (uint64_t{1} << 53) - 1};
  append.stream_seq = "0042";
  ops.push_back(append);
  append.stream_seq = "";
  ops.push_back(append);

  Op close = base(OpType::kClose);
  close.closes = true;
  ops.push_back(close);
  close.producer = Op::Producer{"w", 0, 0};
  ops.push_back(close);

  for (const OpType type : {OpType::kDelete, OpType::kExpire, OpType::kTouch}) {
    ops.push_back(base(type));
  }
  for (const OpType type : {OpType::kPin, OpType::kUnpin}) {
    Op pin = base(type);
    pin.pin = Op::Pin{Incarnation{99}, 98, Position{97}};
    ops.push_back(pin);
  }
  Op life = base(OpType::kNewLife);
  life.new_life = Incarnation{1767225600000065};
  ops.push_back(life);
  Op trim = base(OpType::kTrim);
  trim.earliest = Position{123456789000};
  ops.push_back(trim);
  return ops;
}

void expect_equal(const Op& a, const Op& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.closes, b.closes);
  EXPECT_EQ(a.stream, b.stream);
  EXPECT_EQ(a.path_hash, b.path_hash);
  EXPECT_EQ(a.position, b.position);
  EXPECT_EQ(a.time, b.time);
  EXPECT_EQ(a.payload, b.payload);
  EXPECT_EQ(a.end(), b.end());
  EXPECT_EQ(a.stream_seq, b.stream_seq);
  EXPECT_EQ(a.new_life, b.new_life);
  EXPECT_EQ(a.earliest, b.earliest);
  ASSERT_EQ(a.producer.has_value(), b.producer.has_value());
  if (a.producer) {
    EXPECT_EQ(a.producer->id, b.producer->id);
    EXPECT_EQ(a.producer->epoch, b.producer->epoch);
    EXPECT_EQ(a.producer->seq, b.producer->seq);
  }
  ASSERT_EQ(a.pin.has_value(), b.pin.has_value());
  if (a.pin) {
    EXPECT_EQ(a.pin->child, b.pin->child);
    EXPECT_EQ(a.pin->child_path_hash, b.pin->child_path_hash);
    EXPECT_EQ(a.pin->position, b.pin->position);
  }
  ASSERT_EQ(a.create.has_value(), b.create.has_value());
  if (!a.create) return;
  EXPECT_EQ(a.create->path, b.create->path);
  EXPECT_EQ(a.create->content_type, b.create->content_type);
  EXPECT_EQ(a.create->ttl_seconds, b.create->ttl_seconds);
  EXPECT_EQ(a.create->expires_at, b.create->expires_at);
  EXPECT_EQ(a.create->retention, b.create->retention);
  ASSERT_EQ(a.create->lives.size(), b.create->lives.size());
  for (size_t i = 0; i < a.create->lives.size(); ++i) {
    EXPECT_EQ(a.create->lives[i].start, b.create->lives[i].start);
    EXPECT_EQ(a.create->lives[i].life, b.create->lives[i].life);
    EXPECT_EQ(a.create->lives[i].after_loss, b.create->lives[i].after_loss);
  }
  ASSERT_EQ(a.create->fork.has_value(), b.create->fork.has_value());
  if (!a.create->fork) return;
  EXPECT_EQ(a.create->fork->source, b.create->fork->source);
  EXPECT_EQ(a.create->fork->source_path_hash, b.create->fork->source_path_hash);
  EXPECT_EQ(a.create->fork->source_path, b.create->fork->source_path);
  EXPECT_EQ(a.create->fork->anchor, b.create->fork->anchor);
  EXPECT_EQ(a.create->fork->sub_offset, b.create->fork->sub_offset);
  EXPECT_EQ(a.create->fork->position, b.create->fork->position);
}

TEST(OpRecord, WhatIsRecordedIsReadBack) {
  for (const Op& op : all_ops()) {
    SCOPED_TRACE(static_cast<int>(op.type));
    const std::string record = record_of(op);
    EXPECT_EQ(peek_record_size(record), record.size());
    EXPECT_TRUE(record_intact(record));
    EXPECT_EQ(record_payload(record), op.payload);
    EXPECT_EQ(record_path_hash(record), op.path_hash);
    EXPECT_EQ(record_stream(record), op.stream.value);
    const auto decoded = decode_record(record);
    ASSERT_TRUE(decoded.has_value());
    expect_equal(op, *decoded);
    const auto unchecked = decode_record_unchecked(record);
    ASSERT_TRUE(unchecked.has_value());
    expect_equal(op, *unchecked);
    EXPECT_EQ(record_of(*decoded), record);
  }
}

TEST(OpRecord, RecordsFollowEachOther) {
  std::string all;
  std::vector<size_t> starts;
  const std::vector<Op> ops = all_ops();
  for (const Op& op : ops) starts.push_back(append_record(all, op));
  std::string_view left = all;
  for (size_t i = 0; i < ops.size(); ++i) {
    EXPECT_EQ(all.size() - left.size(), starts[i]);
    const auto size = peek_record_size(left);
    ASSERT_TRUE(size.has_value());
    const auto op = decode_record(left.substr(0, *size));
    ASSERT_TRUE(op.has_value());
    expect_equal(*op, ops[i]);
    left.remove_prefix(*size);
  }
  EXPECT_TRUE(left.empty());
}

TEST(OpRecord, ABodyIsStoredInPlaceOfThePayload) {
  std::vector<wire::JsonElement> elements;
  wire::Body body;
  ASSERT_EQ(wire::check_body(" [1, {\"a\": 2} ] ", "application/json", wire::EmptyArray::kRefused,
                             elements, body),
            wire::ErrorCode::kNone);
  std::string out = "before";
  const size_t at = append_record(out, base(OpType::kAppend), &body);
  EXPECT_EQ(at, 6u);
  const auto op = decode_record(std::string_view(out).substr(at));
  ASSERT_TRUE(op.has_value());
  EXPECT_EQ(op->payload, "1,{\"a\": 2},");
  EXPECT_EQ(op->payload.size(), body.stored_bytes());
}

TEST(OpRecord, AChangeToAnyByteIsFound) {
  for (const Op& op : all_ops()) {
    const std::string record = record_of(op);
    for (size_t i = 0; i < record.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = record;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        EXPECT_FALSE(decode_record(changed).has_value()) << i;
      }
      for (const int value : {0x00, 0xff, 0x80, 0x7f}) {
        std::string changed = record;
        changed[i] = static_cast<char>(value);
        EXPECT_TRUE(changed == record || !decode_record(changed).has_value()) << i;
      }
    }
  }
}

TEST(OpRecord, APartOfARecordIsNone) {
  for (const Op& op : all_ops()) {
    const std::string record = record_of(op);
    for (size_t size = 0; size < record.size(); ++size) {
      EXPECT_FALSE(decode_record(record.substr(0, size)).has_value());
      EXPECT_FALSE(decode_record_unchecked(record.substr(0, size)).has_value());
    }
    EXPECT_FALSE(decode_record(record + '\0').has_value());
    EXPECT_FALSE(record_intact(record + '\0'));
  }
}

TEST(OpRecord, WhateverComesIsSurvivedWithoutTheChecksumToo) {
  for (const Op& op : all_ops()) {
    tests::for_each_mutation(record_of(op), [](std::string_view input) {
      const auto decoded = decode_record_unchecked(input);
      if (!decoded) return;
      // What was understood can be recorded again, and is then understood in the same way.
      const std::string recorded = record_of(*decoded);
      const auto again = decode_record(recorded);
      ASSERT_TRUE(again.has_value());
      expect_equal(*decoded, *again);
    });
  }
}

TEST(OpRecord, AnOpWithoutWhatItsTypeNeedsIsNone) {
  EXPECT_FALSE(decode_record(record_of(base(OpType::kAppend))).has_value()) << "no payload";
  EXPECT_FALSE(decode_record(record_of(base(OpType::kCreate))).has_value()) << "no facts";
  EXPECT_FALSE(decode_record(record_of(base(OpType::kClose))).has_value()) << "does not close";
  EXPECT_FALSE(decode_record(record_of(base(OpType::kPin))).has_value()) << "no child";
  EXPECT_FALSE(decode_record(record_of(base(OpType::kUnpin))).has_value());
  EXPECT_FALSE(decode_record(record_of(base(OpType::kNewLife))).has_value()) << "no life";
  Op touch = base(OpType::kTouch);
  touch.payload = "x";
  EXPECT_FALSE(decode_record(record_of(touch)).has_value()) << "no payload allowed";
  EXPECT_FALSE(decode_record(record_of(base(static_cast<OpType>(0)))).has_value());
  EXPECT_FALSE(decode_record(record_of(base(OpType::kTrim))).has_value()) << "no position";
  Op trim = base(OpType::kTrim);
  trim.earliest = Position{5};
  trim.payload = "x";
  EXPECT_FALSE(decode_record(record_of(trim)).has_value()) << "no payload allowed";
  EXPECT_FALSE(decode_record(record_of(base(static_cast<OpType>(11)))).has_value());
}

TEST(OpRecord, TheFormatIsWhatItWas) {
  // Bytes that a server has written stay readable for ever: this text never changes.
  Op op = base(OpType::kAppend);
  op.payload = "hello";
  op.producer = Op::Producer{"w", 1, 2};
  std::string hex;
  for (const char c : record_of(op)) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  EXPECT_EQ(hex.substr(8),
            "4b000000"
            "02"
            "00"
            "0000"
            "05000000"
            "0140204648470600"
            "1032547698badcfe"
            "141a99be1c000000"
            "4022224648470600"
            "68656c6c6f"
            "01"
            "11000000"
            "0100000000000000"
            "0200000000000000"
            "77");
}

TEST(OpRecord, TheFormatOfRetentionIsWhatItWas) {
  // As above: type 10, and the tags 11, 12 and 13.
  const auto extras_of = [](const Op& op) {
    const std::string record = record_of(op);
    return record.substr(kRecordPayloadOffset + op.payload.size());
  };
  Op trim = base(OpType::kTrim);
  trim.earliest = Position{0x0102};
  EXPECT_EQ(record_of(trim)[8], 10);
  EXPECT_EQ(extras_of(trim), std::string("\x0d\x08\0\0\0\x02\x01\0\0\0\0\0\0", 13));
  Op create = base(OpType::kCreate);
  create.position = Position{0};
  create.create.emplace();
  create.create->path = "p/s";
  create.create->content_type = "a/b";
  create.create->lives = {{Position{0}, create.stream, false}};
  create.create->retention = {7, 9};
  const std::string extras = extras_of(create);
  const std::string age("\x0b\x08\0\0\0\x07\0\0\0\0\0\0\0", 13);
  const std::string bytes("\x0c\x08\0\0\0\x09\0\0\0\0\0\0\0", 13);
  EXPECT_NE(extras.find(age + bytes), std::string::npos);
}

}  // namespace
}  // namespace ds::stream
