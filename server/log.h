// The server's log: one line per event, as text ("message key=value") or as a JSON object. Never
// holds stream data, queries or credentials. Lines go to the standard error; nobody waits for it to
// take them (server/log_writer.h).
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "server/config/config.h"

namespace ds::server {

// A named value of an event.
struct LogField {
  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const char* text) : name(field), value(text) {}
  LogField(std::string_view field, const std::string& text) : name(field), value(text) {}
  LogField(std::string_view field, std::integral auto number)
      : name(field), value(std::to_string(number)), is_number(true) {}

  std::string_view name;
  std::string value;
  bool is_number = false;
};

// Once, before any thread is started. Until then events go out as text at level info.
void configure_log(LogFormat format, LogLevel level);

// Any thread.
void log_event(LogLevel level, std::string_view message,
               std::initializer_list<LogField> fields = {});

// For events that could come by the thousands: lets one through now and then, and counts the
// others.
class LogLimit {
 public:
  explicit LogLimit(Duration interval) : interval_(interval) {}
  // Whether to log an event now; `*left_out` is then how many were not since the last one.
  bool admits(Instant now, uint64_t* left_out);

 private:
  const Duration interval_;
  Instant next_;
  uint64_t left_out_ = 0;
};

// What an event looks like behind its time and level. Exposed for tests.
std::string render_event(LogFormat format, std::string_view message,
                         std::initializer_list<LogField> fields);

}  // namespace ds::server
