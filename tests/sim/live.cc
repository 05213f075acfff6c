#include "tests/sim/live.h"

#include <utility>

#include "core/wire/offset_text.h"
#include "tests/sim/violation.h"

namespace ds::sim {

namespace {

std::string from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  require(text.size() % 4 == 0, "an SSE event that is no base64");
  std::string out;
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t value = text[i] == '=' ? 0 : kAlphabet.find(text[i]);
    require(value != std::string_view::npos, "an SSE event that is no base64");
    group = group << 6 | static_cast<uint32_t>(value);
    if (i % 4 < 3) continue;
    for (uint32_t k = 0; k < 3; ++k) {
      if (text[i - 2 + k] != '=') out += static_cast<char>(group >> (16 - 8 * k));
    }
    group = 0;
  }
  return out;
}

std::string field(const std::string& data, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const size_t at = data.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return data.substr(begin, data.find('"', begin) - begin);
}

}  // namespace

void LiveReader::take(std::string_view bytes) {
  std::string type;
  std::string data;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    require(end != std::string_view::npos, "an SSE line without an end");
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (line.empty()) {
      if (!type.empty()) event(std::exchange(type, ""), std::exchange(data, ""));
    } else if (line.substr(0, 7) == "event: ") {
      type = line.substr(7);
    } else if (line.substr(0, 5) == "data:") {
      line.remove_prefix(5);
      if (line.substr(0, 1) == " ") line.remove_prefix(1);
      if (!data.empty()) data += '\n';
      data += line;
    } else {
      require(line.front() == ':', "an SSE line of an unknown kind");
    }
  }
  require(type.empty(), "an SSE event without an end");
}

void LiveReader::event(const std::string& type, const std::string& data) {
  if (type == "data") {
    std::string stored = data;
    if (kind_ == Kind::kBinary) stored = from_base64(data);
    if (kind_ == Kind::kJson) {
      require(data.size() > 2 && data.front() == '[' && data.back() == ']', "an SSE array");
      stored = data.substr(1, data.size() - 2) + ",";
    }
    seen_ += stored;
    position_ += stored.size();
    return;
  }
  require(type == "control", "an SSE event of an unknown kind");
  const auto offset = wire::parse_offset(field(data, "streamNextOffset"));
  require(offset && offset->kind != wire::OffsetParam::Kind::kNow, "a control event's offset");
  require(offset->at.position.value == position_,
          "a live reader is told another offset than its data end at");
  told_ = offset->at;
  closed_ = closed_ || data.find("\"streamClosed\":true") != std::string::npos;
}

std::string LiveReader::take_seen() {
  begin_ = position_;
  return std::exchange(seen_, "");
}

}  // namespace ds::sim
