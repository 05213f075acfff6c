#include "bench/load/other_protocol.h"

#include <algorithm>
#include <charconv>

namespace ds::bench {
namespace {

using Step = OtherProtocol::Step;

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

class Redis final : public OtherProtocol {
 public:
  explicit Redis(const OtherAppends& appends)
      : run_(appends.run),
        rest_(bulk("*") + bulk("d") + bulk(std::string(appends.body_bytes, 'x'))) {}

  std::string greeting() override { return ""; }

  std::string_view append(uint32_t stream) override {
    request_ = "*5\r\n" + bulk("XADD") + bulk(run_ + "-" + std::to_string(stream)) + rest_;
    return request_;
  }

  // "$15\r\n<the entry's id>\r\n"
  Step next(std::string_view& input) override {
    std::string_view line;
    while (take_line(input, line)) {
      if (id_follows_) {
        id_follows_ = false;
        return Step::kStored;
      }
      if (line.empty() || line.front() != '$') {
        error_ = line;
        return Step::kWrong;
      }
      id_follows_ = true;
    }
    return Step::kNeedMore;
  }

 private:
  std::string run_;
  std::string rest_;
  std::string request_;
  bool id_follows_ = false;
};

class Nats final : public OtherProtocol {
 public:
  Nats(const OtherAppends& appends, uint32_t connection)
      : appends_(appends),
        connection_(connection),
        inbox_("in." + std::to_string(connection)),
        rest_(" " + inbox_ + " " + std::to_string(appends.body_bytes) + "\r\n" +
              std::string(appends.body_bytes, 'x') + "\r\n") {}

  std::string greeting() override {
    std::string text = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB " + inbox_ + " 1\r\n";
    for (uint32_t s = connection_; s < appends_.streams; s += appends_.connections) {
      const std::string body = "{\"name\":\"" + name(s) + "\",\"subjects\":[\"" + subject(s) +
                               "\"],\"storage\":\"file\"}";
      text += "PUB $JS.API.STREAM.CREATE." + name(s) + " " + inbox_ + " " +
              std::to_string(body.size()) + "\r\n" + body + "\r\n";
      ++creating_;
    }
    if (creating_ == 0) text += "PING\r\n";
    return text;
  }

  std::string_view append(uint32_t stream) override {
    request_ = "PUB " + subject(stream) + rest_;
    return request_;
  }

  Step next(std::string_view& input) override {
    while (true) {
      if (payload_left_ > 0) {
        const size_t taken = std::min(payload_left_, input.size());
        payload_.append(input.substr(0, taken));
        input.remove_prefix(taken);
        payload_left_ -= taken;
        if (payload_left_ > 0) return Step::kNeedMore;
        if (creating_ > 1 && payload_.find("\"error\"") == std::string::npos) {
          --creating_;
          continue;
        }
        return take_payload();
      }
      std::string_view line;
      if (!take_line(input, line)) return Step::kNeedMore;
      if (line == "PING") {
        to_send_ = "PONG\r\n";
        return Step::kAnswer;
      }
      if (line == "PONG") return Step::kReady;
      if (line.substr(0, 4) == "MSG ") {
        const std::string_view size = line.substr(line.rfind(' ') + 1);
        if (std::from_chars(size.data(), size.data() + size.size(), payload_left_).ec !=
            std::errc()) {
          return wrong(line);
        }
        payload_left_ += 2;  // CRLF
        payload_.clear();
        continue;
      }
      if (line.substr(0, 4) != "INFO" && line != "+OK") return wrong(line);
    }
  }

 private:
  Step take_payload() {
    if (payload_.find("\"error\"") != std::string::npos) return wrong(payload_);
    if (creating_ > 0) {
      creating_ = 0;
      return Step::kReady;
    }
    if (payload_.find("\"seq\"") == std::string::npos) return wrong(payload_);
    return Step::kStored;
  }
  Step wrong(std::string_view what) {
    error_ = what;
    return Step::kWrong;
  }
  std::string name(uint32_t stream) const { return appends_.run + "-" + std::to_string(stream); }
  std::string subject(uint32_t stream) const { return "bench." + name(stream); }

  const OtherAppends appends_;
  const uint32_t connection_;
  const std::string inbox_;
  const std::string rest_;
  std::string request_;
  std::string payload_;
  size_t payload_left_ = 0;
  uint32_t creating_ = 0;
};

}  // namespace

bool OtherProtocol::take_line(std::string_view& input, std::string_view& line) {
  if (line_taken_) {
    carry_.clear();
    line_taken_ = false;
  }
  const size_t newline = input.find('\n');
  if (newline == std::string_view::npos) {
    carry_.append(input);
    input = {};
    return false;
  }
  line = input.substr(0, newline);
  input.remove_prefix(newline + 1);
  if (!carry_.empty()) {
    carry_.append(line);
    line = carry_;
    line_taken_ = true;
  }
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return true;
}

std::unique_ptr<OtherProtocol> make_redis(const OtherAppends& appends, uint32_t) {
  return std::make_unique<Redis>(appends);
}

std::unique_ptr<OtherProtocol> make_nats(const OtherAppends& appends, uint32_t connection) {
  return std::make_unique<Nats>(appends, connection);
}

}  // namespace ds::bench
