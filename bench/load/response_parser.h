// HTTP/1.1 responses, cut out of whatever pieces the socket delivers.
//
// It reads only what a load generator needs: the status, how long the body is, and the headers that
// say where the stream stands. It is lenient where that costs nothing (a bare LF ends a line) and
// never copies a body. Requests with HEAD are not supported: their responses announce a body that
// never comes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ds::bench {

struct ResponseHead {
  int status = 0;
  int64_t content_length = -1;  // -1: not given
  bool chunked = false;
  bool connection_close = false;
  bool up_to_date = false;
  bool closed = false;
  std::string next_offset;  // empty: not given
  std::string cursor;       // empty: not given
};

class ResponseParser {
 public:
  enum class Step : uint8_t {
    kNeedMore,   // the input is used up
    kHead,       // head() is complete
    kBody,       // `body` holds the next bytes of the body
    kDone,       // the response ended; the next call starts on the next one
    kMalformed,  // final
  };

  // Takes bytes from the front of `input` until there is something to say. `body` borrows from
  // `input`.
  Step next(std::string_view& input, std::string_view& body);

  // The peer closed the connection. True when that is how the current response ends.
  bool ends_with_connection() const { return state_ == State::kUntilClose; }
  // Nothing of a response has arrived yet.
  bool between_responses() const { return state_ == State::kHead && carry_.empty(); }
  // Forgets everything, for a new connection.
  void reset();

  // Valid from kHead until the next response's first byte.
  const ResponseHead& head() const { return head_; }

 private:
  enum class State : uint8_t {
    kHead,
    kBodyStart,
    kFixed,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailer,
    kUntilClose,
    kEnd,
    kBroken,
  };

  // Finds one line in the input, across calls; its end is stripped. False: not complete yet.
  bool take_line(std::string_view& input, std::string_view& line);
  // The number of bytes of the head at the front of `text`; 0: incomplete, -1: malformed.
  int64_t parse_head(std::string_view text);
  void parse_header(std::string_view name, std::string_view value);
  Step take_head(std::string_view& input);
  Step broken();

  State state_ = State::kHead;
  bool line_taken_ = false;  // carry_ holds a line that was handed out
  uint64_t left_ = 0;        // bytes of the body or of the chunk that are still to come
  ResponseHead head_;
  std::string carry_;  // an incomplete head or line
};

}  // namespace ds::bench
