#include "server/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "core/wire/text.h"

namespace ds::server {

namespace {

struct Log {
  Log()
      : logger(std::make_shared<spdlog::logger>(
            "server", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
    set_pattern();
    logger->flush_on(spdlog::level::info);
  }
  void set_pattern() {
    logger->set_pattern(format == LogFormat::kText
                            ? "%Y-%m-%dT%H:%M:%S.%e%z %^%-5l%$ %v"
                            : R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
  }

  std::shared_ptr<spdlog::logger> logger;
  LogFormat format = LogFormat::kText;
};

Log& the_log() {
  static Log log;
  return log;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  wire::append_json_escaped(out, text);
  out += '"';
}

// A bare word needs no quotes in a text line.
bool is_plain(std::string_view text) {
  for (char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  }
  return !text.empty();
}

}  // namespace

std::string render_event(LogFormat format, std::string_view message,
                         std::initializer_list<LogField> fields) {
  std::string out;
  if (format == LogFormat::kText) {
    out = message;
    for (const LogField& field : fields) {
      out += ' ';
      out += field.name;
      out += '=';
      if (is_plain(field.value)) {
        out += field.value;
      } else {
        append_quoted(out, field.value);
      }
    }
    return out;
  }
  out = "\"message\":";
  append_quoted(out, message);
  for (const LogField& field : fields) {
    out += ',';
    append_quoted(out, field.name);
    out += ':';
    if (field.is_number) {
      out += field.value;
    } else {
      append_quoted(out, field.value);
    }
  }
  return out;
}

void configure_log(LogFormat format, LogLevel level) {
  Log& log = the_log();
  log.format = format;
  log.set_pattern();
  log.logger->set_level(to_spdlog(level));
}

void log_event(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  Log& log = the_log();
  const auto spdlog_level = to_spdlog(level);
  if (!log.logger->should_log(spdlog_level)) return;
  const std::string text = render_event(log.format, message, fields);
  log.logger->log(spdlog_level, spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace ds::server
