// The bytes of a response's head: status line, what the protocol says (wire::append_headers), and
// what every answer carries: CORS, browser security, Date, X-Request-Id.
//
// One per event loop, on its thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/wire/response.h"

namespace ds::server {

// "Not Found" for 404; "Unknown" for a status that we never send.
std::string_view status_reason(uint16_t status);

class ResponseWriter {
 public:
  // `seed` makes the request ids of this loop differ from those of others.
  explicit ResponseWriter(uint64_t seed);

  // Renews the Date, which is good for one second.
  void set_time(Instant now);

  struct Framing {
    std::string_view request_id;  // to echo; "" makes one up
    std::string_view allow;       // Allow, beside what the response says
    bool head_only = false;       // the request was HEAD: no body follows
    bool close = false;           // Connection: close
    bool chunked = false;         // a body of unknown length in chunks
    bool until_close = false;     // a body of unknown length that ends with the connection
  };

  // Appends the whole head. For an error whose body is the table's, and `head_only` is not set,
  // the body too. Other bodies are the caller's to send.
  void append_head(std::string& out, const wire::Response& response, const Framing& framing);

  // Appends a complete answer to OPTIONS: 204 that allows every method and header of the protocol.
  void append_preflight(std::string& out, std::string_view request_id, bool close);

  // The id of the last response written: for the access log.
  std::string_view last_request_id() const { return last_id_; }

 private:
  void append_common(std::string& out, std::string_view request_id, bool close);

  uint64_t id_base_;
  uint64_t ids_ = 0;
  std::string last_id_;
  int64_t second_ = -1;
  std::string common_;  // Date and the headers that never change
};

}  // namespace ds::server
