#include "server/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "core/wire/text.h"
#include "server/log_writer.h"

namespace ds::server {

namespace {

constexpr size_t kWaitingBytesMax = 4 << 20;

// Formats lines and leaves them to the writer.
class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  WriterSink()
      : writer_(STDERR_FILENO, kWaitingBytesMax,
                [this](uint64_t lines) { return lost_line(lines); }) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_.put({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  std::string lost_line(uint64_t lines);

  LogWriter writer_;
};

struct Log {
  Log() : logger(std::make_shared<spdlog::logger>("server", std::make_shared<WriterSink>())) {
    set_pattern();
  }
  void set_pattern() {
    logger->set_pattern(format == LogFormat::kText
                            ? "%Y-%m-%dT%H:%M:%S.%e%z %^%-5l%$ %v"
                            : R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
  }

  std::shared_ptr<spdlog::logger> logger;
  std::atomic<LogFormat> format{LogFormat::kText};
};

Log& the_log() {
  static Log log;
  return log;
}

std::string WriterSink::lost_line(uint64_t lines) {
  const std::string text =
      render_event(the_log().format, "log lines were lost: nobody took them", {{"lines", lines}});
  const spdlog::details::log_msg message("server", spdlog::level::warn, text);
  spdlog::memory_buf_t line;
  const std::lock_guard lock(mutex_);
  formatter_->format(message, line);
  return {line.data(), line.size()};
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

// Bytes beyond ASCII may be anything, and a line of JSON must be UTF-8.
void append_quoted(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && static_cast<unsigned char>(text[plain]) < 0x80) ++plain;
    wire::append_json_escaped(out, text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto byte = static_cast<unsigned char>(text.front());
    out += "\\u00";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
    text.remove_prefix(1);
  }
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

bool LogLimit::admits(Instant now, uint64_t* left_out) {
  if (now < next_) {
    ++left_out_;
    return false;
  }
  next_ = now + interval_;
  *left_out = std::exchange(left_out_, 0);
  return true;
}

}  // namespace ds::server
