// StreamObject: what goes on between a fork and its source.
#include <utility>

#include "core/base/hash.h"
#include "worker/wasm/stream_object.h"

namespace ds::worker {

using stream::PinReply;
using stream::PinRequest;
using stream::Unpin;

void StreamObject::carry_out(engine::PeerMessage& action) {
  if (const auto* request = std::get_if<PinRequest>(&action.body)) {
    ask_for_pin(*request);
  } else if (const auto* reply = std::get_if<PinReply>(&action.body)) {
    answer_pin(*reply);
  } else {
    links_.note_release(std::get<Unpin>(action.body));
  }
}

void StreamObject::look_after_links() {
  links_.release(now_);
  links_.audit(now_, [this](Incarnation child) {
    release_child(Unpin{stream_, path_hash(path_), child});
  });
}

// --- The child's side ---------------------------------------------------------------------------

void StreamObject::ask_for_pin(const PinRequest& request) {
  links_.note_source(path_hash(request.source_path), request.source_path);
  // A life that a source has heard of is never given out again.
  journal_.put_highest_life(request.child);
  const uint64_t attempt = request.attempt;
  forking_.emplace(attempt, request.child);
  calls_.peer(request.source_path, PinCall{request, path_}, [this, attempt](PeerAnswer answer) {
    engine::PeerMessage message;
    message.to_path_hash = path_hash(path_);
    PinReply& reply = message.body.emplace<PinReply>();
    if (auto* pinned = std::get_if<PinAnswer>(&answer)) reply = std::move(pinned->reply);
    const bool told = reply.base != nullptr || reply.newer_than != Incarnation{};
    if (!told && reply.error == wire::ErrorCode::kNone) reply.error = wire::ErrorCode::kOverloaded;
    reply.attempt = attempt;
    engine_.on_peer(message, now_, actions_);
    settle();
    forking_.erase(attempt);
  });
}

void StreamObject::on_peer_reply(Token token, bool answered, std::string_view message,
                                 Instant now) {
  now_ = now;
  calls_.on_peer_reply(token, answered, message);
  settle();
}

// --- The source's side --------------------------------------------------------------------------

void StreamObject::on_peer(Token token, std::string_view path, std::string_view message,
                           Instant now) {
  now_ = now;
  const std::optional<PeerCall> call = decode_call(message);
  if (damaged_ || !call) return host_.answer_peer(token, encode_answer(Failed{}));
  if (stream_ == Incarnation{}) path_ = path;
  std::visit([&](const auto& one) { answer_call(token, one); }, *call);
  settle();
}

void StreamObject::answer_call(Token token, const PinCall& call) {
  pinning_[token] = PinFor{call.request.attempt, call.child_path, call.request.child};
  engine::PeerMessage message;
  message.to_path_hash = path_hash(path_);
  PinRequest request = call.request;
  request.attempt = token;
  message.body = std::move(request);
  engine_.on_peer(message, now_, actions_);
}

void StreamObject::answer_pin(const PinReply& reply) {
  const auto found = pinning_.find(static_cast<Token>(reply.attempt));
  if (found == pinning_.end()) return;
  PinAnswer answer{reply};
  answer.reply.attempt = found->second.attempt;
  if (reply.base != nullptr) {
    links_.note_child(found->second.child, found->second.child_path, now_);
  }
  host_.answer_peer(found->first, encode_answer(answer));
  pinning_.erase(found);
}

void StreamObject::release_child(const Unpin& unpin) {
  engine::PeerMessage message;
  message.to_path_hash = unpin.source_path_hash;
  message.body = unpin;
  engine_.on_peer(message, now_, actions_);
  links_.forget_child(unpin.child);
}

void StreamObject::answer_call(Token token, const UnpinCall& call) {
  release_child(call.unpin);
  // Stored before the answer leaves.
  settle();
  host_.answer_peer(token, encode_answer(Done{}));
}

void StreamObject::answer_call(Token token, const ReadCall& call) {
  history_.read(call.read, [this, token](engine::LoadOutcome outcome, segment::SealedChunk chunk) {
    if (outcome == engine::LoadOutcome::kFailed) {
      return host_.answer_peer(token, encode_answer(Failed{}));
    }
    ReadAnswer answer;
    answer.corrupt = outcome != engine::LoadOutcome::kDone;
    if (!answer.corrupt) answer.chunk = std::move(chunk);
    host_.answer_peer(token, encode_answer(answer));
  });
}

void StreamObject::answer_call(Token token, const AskCall& call) {
  AskAnswer answer;
  answer.existence = stream_ == call.child ? Existence::kYes : Existence::kNo;
  for (const auto& [attempt, child] : forking_) {
    if (child == call.child && answer.existence == Existence::kNo) {
      answer.existence = Existence::kNotYet;
    }
  }
  host_.answer_peer(token, encode_answer(answer));
}

}  // namespace ds::worker
