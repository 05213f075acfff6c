// Server-Sent Events as PROTOCOL §5.8 uses them: the data lines of `data` and `control` events, cut
// out of whatever pieces the body arrives in. Lines end in LF or CRLF (a bare CR does not end one).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ds::bench {

class SseParser {
 public:
  // With `nameless` the data lines of events without a name are data lines of data events.
  explicit SseParser(bool nameless = false) : nameless_(nameless) {}

  enum class Step : uint8_t {
    kNeedMore,  // the input is used up
    kData,      // `line` is one data line of a data event
    kControl,   // `line` is one data line of a control event
  };

  // Takes bytes from the front of `input` until there is something to say. `line` is valid until
  // the next call.
  Step next(std::string_view& input, std::string_view& line);

  // Forgets everything, for a new connection.
  void reset();

 private:
  enum class Event : uint8_t { kData, kControl, kOther };

  const bool nameless_;
  Event event_ = Event::kOther;
  bool line_taken_ = false;  // carry_ holds a line that was handed out
  std::string carry_;        // an incomplete line
};

// The value of a string member of flat JSON, such as a control event's streamNextOffset; empty when
// it is not there. `key` is quoted: "\"streamNextOffset\"". Escapes are left as they are.
std::string_view json_string_member(std::string_view json, std::string_view key);

}  // namespace ds::bench
