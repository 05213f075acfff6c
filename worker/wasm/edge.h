// What the worker in front of the objects does with a request: answers it, or says whose it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ds::worker {

struct EdgeDecision {
  enum class Kind : uint8_t {
    kAnswer,  // with `status`, `head` and `body`
    kStream,  // `name` is the stream's canonical path
  };
  Kind kind = Kind::kAnswer;
  uint16_t status = 0;
  std::string head;
  std::string body;
  std::string name;
  bool read = false;  // its answer may come from a cache, or be kept in one
  // It may share the answer to an equal request that is under way: it asks for what follows a place
  // in a life, which never changes once it is there, or waits for it.
  bool shared = false;
  bool sse = false;
};

// `head` as in decode_request(); `request_id` for an answer to a client that sent none.
EdgeDecision decide_at_edge(std::string_view head, std::string_view request_id);

}  // namespace ds::worker
