#include "tests/vectors/script.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "core/engine/config.h"
#include "core/wire/text.h"
#include "tests/vectors/escape.h"
#include "tests/vectors/virtual_host.h"
#include "tests/vectors/wire_commands.h"

namespace ds::vectors {
namespace {

uint64_t number(std::string_view text) { return wire::parse_decimal(text, UINT64_MAX).value_or(0); }

// "500ms", "30s", "5m", "2h".
Duration duration(std::string_view text) {
  const size_t unit = text.find_first_not_of("0123456789");
  const auto value = static_cast<int64_t>(number(text.substr(0, unit)));
  const std::string_view name = unit == std::string_view::npos ? "" : text.substr(unit);
  if (name == "ms") return milliseconds(value);
  if (name == "m") return seconds(value * 60);
  if (name == "h") return seconds(value * 3600);
  return seconds(value);
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = text.find(' ');
    if (end != 0) words.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text = text.substr(end + 1);
  }
  return words;
}

wire::Method method_of(std::string_view name) {
  if (name == "GET") return wire::Method::kGet;
  if (name == "HEAD") return wire::Method::kHead;
  if (name == "PUT") return wire::Method::kPut;
  if (name == "POST") return wire::Method::kPost;
  if (name == "DELETE") return wire::Method::kDelete;
  return wire::Method::kOther;
}

class Script {
 public:
  std::string run(std::string_view text);

 private:
  VirtualHost& host();
  void input_line(std::string_view text);
  void request_line(std::string_view text);
  void end_request();
  void command(std::string_view text);
  bool host_command(std::string_view name, const std::vector<std::string_view>& words);
  void start_engines(const std::vector<std::string_view>& words);
  bool set_limit(std::string_view name, std::string_view value);
  // {next N}, {etag N} and {cursor N}: what answer N said.
  std::string expand(std::string_view text);

  std::string out_;
  engine::EngineConfig config_;
  uint32_t engines_ = 1;
  std::optional<VirtualHost> host_;
  std::optional<RequestInput> request_;
};

VirtualHost& Script::host() {
  if (!host_) host_.emplace(config_, engines_, &out_);
  return *host_;
}

std::string Script::expand(std::string_view text) {
  std::string out;
  while (true) {
    const size_t open = text.find('{');
    const size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) return out + std::string(text);
    const auto words = words_of(text.substr(open + 1, close - open - 1));
    out += text.substr(0, open);
    const auto known =
        words.size() == 2 ? host().remembered().find(number(words[1])) : host().remembered().end();
    if (known != host().remembered().end() && words[0] == "next") {
      out += known->second.next_offset;
    } else if (known != host().remembered().end() && words[0] == "etag") {
      out += known->second.etag;
    } else if (known != host().remembered().end() && words[0] == "cursor") {
      out += known->second.cursor;
    } else {
      out += text.substr(open, close - open + 1);
    }
    text = text.substr(close + 1);
  }
}

// "> PUT /path", "> Name: value", ">> body", ">>* COUNT body".
void Script::request_line(std::string_view text) {
  const bool body = text.substr(0, 2) == ">>";
  text = text.substr(body ? 2 : 1);
  const bool repeated = body && !text.empty() && text[0] == '*';
  if (repeated) text = text.substr(1);
  if (!text.empty() && text[0] == ' ') text = text.substr(1);
  if (repeated) {
    const size_t space = text.find(' ');
    const std::string piece = unescape(text.substr(space + 1));
    for (uint64_t n = number(text.substr(0, space)); n > 0; --n) request_->body += piece;
  } else if (body) {
    request_->body += unescape(text);
  } else if (!request_) {
    const std::string line = expand(text);
    const size_t space = line.find(' ');
    request_.emplace();
    request_->method = method_of(std::string_view(line).substr(0, space));
    request_->target = unescape(std::string_view(line).substr(space + 1));
  } else {
    const size_t colon = text.find(':');
    std::string value = unescape(expand(text.substr(colon + 1)));
    value.erase(0, value.find_first_not_of(' '));
    request_->headers.emplace_back(std::string(text.substr(0, colon)), std::move(value));
  }
}

void Script::end_request() {
  if (!request_) return;
  const RequestInput input = std::move(*request_);
  request_.reset();
  host().request(input);
}

bool Script::set_limit(std::string_view name, std::string_view value) {
  if (name == "engines") {
    engines_ = static_cast<uint32_t>(number(value));
  } else if (name == "chunk") {
    config_.max_chunk_bytes = number(value);
  } else if (name == "cache") {
    config_.tail_cache_bytes = number(value);
  } else if (name == "long-poll") {
    config_.long_poll_timeout = duration(value);
  } else if (name == "sse-lifetime") {
    config_.sse_lifetime = duration(value);
  } else if (name == "sse-heartbeat") {
    config_.sse_heartbeat = duration(value);
  } else if (name == "readers") {
    config_.live_readers_max = static_cast<uint32_t>(number(value));
  } else if (name == "loads") {
    config_.pending_loads_max = static_cast<uint32_t>(number(value));
  } else {
    return false;
  }
  return true;
}

// engine [limit=value]...
void Script::start_engines(const std::vector<std::string_view>& words) {
  config_ = engine::EngineConfig{};
  engines_ = 1;
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (!set_limit(words[i].substr(0, equals), words[i].substr(equals + 1))) {
      out_ += "< no such limit\n";
    }
  }
  host_.reset();
  host_.emplace(config_, engines_, &out_);
}

bool Script::host_command(std::string_view name, const std::vector<std::string_view>& words) {
  const std::string_view first = words.size() > 1 ? words[1] : std::string_view{};
  using engine::CommitOutcome;
  using LoadResult = VirtualHost::LoadResult;
  if (name == "wait") {
    host().advance(duration(first));
  } else if (name == "time") {
    host().set_time(wire::parse_rfc3339(first).value_or(Instant{}));
  } else if (name == "commits") {
    host().commit_by_hand(first == "by-hand");
  } else if (name == "take") {
    host().take();
  } else if (name == "commit") {
    host().commit(first == "fails"       ? CommitOutcome::kFailed
                  : first == "disk-full" ? CommitOutcome::kDiskFull
                                         : CommitOutcome::kDurable);
  } else if (name == "loads") {
    host().load_by_hand(first == "by-hand");
  } else if (name == "load") {
    host().load(first == "fails"     ? LoadResult::kFailed
                : first == "corrupt" ? LoadResult::kCorrupt
                                     : LoadResult::kOk);
  } else if (name == "disconnect") {
    host().disconnect(number(first));
  } else if (name == "stall") {
    host().stall(number(first));
  } else if (name == "drain") {
    host().drain(number(first));
  } else if (name == "restart") {
    host().restart(first == "lost-writes");
  } else if (name == "end-live-readers") {
    host().end_live_readers();
  } else if (name == "check-replay") {
    host().check_replay();
  } else if (name == "log") {
    host().print_log();
  } else if (name == "stats") {
    host().print_stats();
  } else {
    return false;
  }
  return true;
}

void Script::command(std::string_view text) {
  const auto words = words_of(text);
  const std::string_view name = words[0];
  if (name == "engine") {
    start_engines(words);
    return;
  }
  const size_t space = text.find(' ');
  const std::string argument =
      space == std::string_view::npos ? std::string() : unescape(text.substr(space + 1));
  if (const auto answer = run_wire_command(name, argument)) {
    out_ += "< " + escape(*answer) + "\n";
  } else if (!host_command(name, words)) {
    out_ += "< no such command\n";
  }
}

void Script::input_line(std::string_view text) {
  if (!text.empty() && text[0] == '>') {
    // A new method line begins a new request.
    const std::string_view rest = text.substr(text.size() > 1 ? 2 : 1);
    const bool first_line = text.substr(0, 2) != ">>" && rest.find(':') > rest.find(' ');
    if (first_line) end_request();
    if (first_line || request_) {
      out_ += std::string(text) + "\n";
      request_line(text);
      return;
    }
  }
  end_request();
  out_ += std::string(text) + "\n";
  if (!text.empty() && text[0] != '#') command(text);
}

std::string Script::run(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    // Expected lines come where their input has been said.
    if (!line.empty() && line[0] == '<') {
      end_request();
    } else {
      input_line(line);
    }
  }
  end_request();
  return std::move(out_);
}

}  // namespace

std::string replay_script(std::string_view text) {
  Script script;
  return script.run(text);
}

}  // namespace ds::vectors
