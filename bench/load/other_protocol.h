// Appends to servers that do not speak HTTP: how each says "append this" and "it is stored".
//
// One append is under way per connection, as in the HTTP scenarios, so that what is compared is the
// servers and not how much their clients may put on the wire at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ds::bench {

// One connection's side of a protocol. Bytes arrive in any pieces.
class OtherProtocol {
 public:
  enum class Step : uint8_t {
    kNeedMore,  // the input is used up
    kStored,    // the append under way is acknowledged
    kReady,     // ... or what was sent to begin with
    kAnswer,    // to_send() must go out: the server asked for it
    kWrong,     // refused, or not this protocol; error() says what arrived
  };

  virtual ~OtherProtocol() = default;

  // What a new connection sends first; empty: nothing, and the connection is ready at once. Stream
  // i exists when the connections with i mod `connections` == `connection` are ready.
  virtual std::string greeting() = 0;
  // The next append, to that stream. Valid until the next call.
  virtual std::string_view append(uint32_t stream) = 0;
  // Takes bytes from the front of `input`.
  virtual Step next(std::string_view& input) = 0;

  const std::string& to_send() const { return to_send_; }
  const std::string& error() const { return error_; }

 protected:
  // Moves the next line, without its CRLF, from `input` to `line`, which is valid until the next
  // call. False: it is not complete, and what there is of it is kept.
  bool take_line(std::string_view& input, std::string_view& line);

  std::string to_send_;
  std::string error_;

 private:
  std::string carry_;
  bool line_taken_ = false;
};

struct OtherAppends {
  std::string run;
  uint32_t streams = 1;
  uint32_t connections = 1;
  uint64_t body_bytes = 100;
};

// XADD <run>-<stream> * d <body>. Keys come into being with their first entry.
std::unique_ptr<OtherProtocol> make_redis(const OtherAppends& appends, uint32_t connection);

// A JetStream stream in files per stream, made by the connection that it belongs to; PUB with a
// reply subject, and the acknowledgement that arrives there.
std::unique_ptr<OtherProtocol> make_nats(const OtherAppends& appends, uint32_t connection);

}  // namespace ds::bench
