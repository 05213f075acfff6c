// What stream objects say to each other: the pin protocol of forks, and reads of what a fork shares
// with its source. One message asks, one answers. Bytes within one deployment; a message that
// cannot be read is answered with kFailed and tried again later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/types.h"
#include "core/segment/sealed_read.h"
#include "core/stream/fork_link.h"

namespace ds::worker {

// To a source.
struct PinCall {
  stream::PinRequest request;
  std::string child_path;
};
struct UnpinCall {
  stream::Unpin unpin;
};
struct ReadCall {
  segment::SealedRead read;
};
// To a child: has the fork with this life come to be?
struct AskCall {
  Incarnation child;
};
using PeerCall = std::variant<PinCall, UnpinCall, ReadCall, AskCall>;

struct Done {};
struct Failed {};
struct PinAnswer {
  stream::PinReply reply;  // its base without messages: they stay with the source
};
struct ReadAnswer {
  bool corrupt = false;
  segment::SealedChunk chunk;
};
enum class Existence : uint8_t { kNo, kYes, kNotYet };
struct AskAnswer {
  Existence existence = Existence::kNotYet;
};
using PeerAnswer = std::variant<Failed, Done, PinAnswer, ReadAnswer, AskAnswer>;

std::string encode_call(const PeerCall& call);
std::optional<PeerCall> decode_call(std::string_view bytes);
std::string encode_answer(const PeerAnswer& answer);
// kFailed if the bytes cannot be read.
PeerAnswer decode_answer(std::string_view bytes);

}  // namespace ds::worker
