// A request with bytes of its own: for one that has to wait, or to travel to another engine.
#pragma once

#include <string>

#include "core/engine/actions.h"
#include "core/wire/request.h"

namespace ds::engine {

// Not movable: `text` points into `bytes`.
struct OwnedRequest {
  OwnedRequest(RequestId request_id, const wire::RequestText& request);
  OwnedRequest(const OwnedRequest&) = delete;
  OwnedRequest& operator=(const OwnedRequest&) = delete;

  RequestId id;
  wire::RequestText text;
  std::string bytes;
};

}  // namespace ds::engine
