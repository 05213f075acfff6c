// What this object has asked of others and not been answered yet: whom to tell when it has.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "worker/wasm/host.h"
#include "worker/wasm/peer_message.h"

namespace ds::worker {

class Calls {
 public:
  using PeerDone = std::function<void(PeerAnswer)>;
  using ObjectDone = std::function<void(ObjectOutcome, std::string_view)>;

  explicit Calls(Host& host) : host_(host) {}

  void peer(std::string_view path, const PeerCall& call, PeerDone done) {
    const Token token = next_++;
    peers_.emplace(token, std::move(done));
    host_.call_peer(token, path, encode_call(call));
  }
  void put_object(std::string_view key, std::string_view bytes, ObjectDone done) {
    host_.put_object(expect(std::move(done)), key, bytes);
  }
  void get_object(std::string_view key, uint64_t offset, uint64_t size, ObjectDone done) {
    host_.get_object(expect(std::move(done)), key, offset, size);
  }
  void delete_object(std::string_view key, ObjectDone done) {
    host_.delete_object(expect(std::move(done)), key);
  }

  void on_peer_reply(Token token, bool answered, std::string_view message) {
    const auto found = peers_.find(token);
    if (found == peers_.end()) return;
    const PeerDone done = std::move(found->second);
    peers_.erase(found);
    done(answered ? decode_answer(message) : PeerAnswer(Failed{}));
  }
  void on_object(Token token, ObjectOutcome outcome, std::string_view bytes) {
    const auto found = objects_.find(token);
    if (found == objects_.end()) return;
    const ObjectDone done = std::move(found->second);
    objects_.erase(found);
    done(outcome, bytes);
  }
  bool waiting() const { return !peers_.empty() || !objects_.empty(); }

 private:
  Token expect(ObjectDone done) {
    const Token token = next_++;
    objects_.emplace(token, std::move(done));
    return token;
  }

  Host& host_;
  Token next_ = 1;
  std::map<Token, PeerDone> peers_;
  std::map<Token, ObjectDone> objects_;
};

}  // namespace ds::worker
