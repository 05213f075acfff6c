#include "bench/load/response_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ds::bench {
namespace {

constexpr size_t kHeadBytesMax = 64 * 1024;

// `lower` is in lower case; only letters and '-' occur in it, for which OR 0x20 is enough.
bool same_name(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if ((name[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// True when all of `text` is one number.
template <typename T>
bool parse_number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

void ResponseParser::parse_header(std::string_view name, std::string_view value) {
  // The length tells almost all names apart, so that most headers cost one comparison.
  switch (name.size()) {
    case 10:
      if (same_name(name, "connection")) head_.connection_close = same_name(value, "close");
      break;
    case 13:
      if (same_name(name, "stream-cursor")) head_.cursor.assign(value);
      if (same_name(name, "stream-closed")) head_.closed = same_name(value, "true");
      break;
    case 14:
      if (same_name(name, "content-length") && !parse_number(value, head_.content_length)) {
        state_ = State::kBroken;
      }
      break;
    case 17:
      if (same_name(name, "transfer-encoding")) head_.chunked = same_name(value, "chunked");
      if (same_name(name, "stream-up-to-date")) head_.up_to_date = true;
      break;
    case 18:
      if (same_name(name, "stream-next-offset")) head_.next_offset.assign(value);
      break;
    default:
      break;
  }
}

int64_t ResponseParser::parse_head(std::string_view text) {
  head_.status = 0;
  head_.content_length = -1;
  head_.chunked = head_.connection_close = head_.up_to_date = head_.closed = false;
  head_.next_offset.clear();
  head_.cursor.clear();

  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* line = begin;
  for (bool first = true;; first = false) {
    const auto left = static_cast<size_t>(end - line);
    const auto* newline = static_cast<const char*>(std::memchr(line, '\n', left));
    if (newline == nullptr) return 0;
    const std::string_view whole(line, static_cast<size_t>(newline - line));
    line = newline + 1;
    if (first) {
      if (whole.size() < 12 || whole.substr(0, 7) != "HTTP/1." ||
          !parse_number(whole.substr(9, 3), head_.status)) {
        return -1;
      }
      continue;
    }
    if (whole.empty() || whole == "\r") break;
    const auto* colon = static_cast<const char*>(std::memchr(whole.data(), ':', whole.size()));
    if (colon == nullptr) return -1;
    const auto name_size = static_cast<size_t>(colon - whole.data());
    parse_header(whole.substr(0, name_size), trimmed(whole.substr(name_size + 1)));
    if (state_ == State::kBroken) return -1;
  }
  return line - begin;
}

ResponseParser::Step ResponseParser::take_head(std::string_view& input) {
  std::string_view text = input;
  if (!carry_.empty()) {
    carry_.append(input);
    text = carry_;
  }
  const size_t carried = text.size() - input.size();
  const int64_t used = parse_head(text);
  if (used < 0) return broken();
  if (used == 0) {
    if (text.size() > kHeadBytesMax) return broken();
    if (carry_.empty()) carry_.assign(input);
    input = {};
    return Step::kNeedMore;
  }
  input.remove_prefix(static_cast<size_t>(used) - carried);
  carry_.clear();
  if (head_.status < 200) {
    // 100 Continue and its like announce another head. 101 cannot come: nobody asked for it.
    return input.empty() ? Step::kNeedMore : take_head(input);
  }
  state_ = State::kBodyStart;
  return Step::kHead;
}

bool ResponseParser::take_line(std::string_view& input, std::string_view& line) {
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

ResponseParser::Step ResponseParser::next(std::string_view& input, std::string_view& body) {
  std::string_view line;
  while (true) {
    switch (state_) {
      case State::kHead:
        if (input.empty()) return Step::kNeedMore;
        return take_head(input);

      case State::kBodyStart:
        if (head_.status == 204 || head_.status == 304) {
          state_ = State::kEnd;
        } else if (head_.chunked) {
          state_ = State::kChunkSize;
        } else if (head_.content_length >= 0) {
          left_ = static_cast<uint64_t>(head_.content_length);
          state_ = State::kFixed;
        } else {
          state_ = State::kUntilClose;
        }
        break;

      case State::kFixed:
      case State::kChunkData: {
        if (left_ == 0) {
          state_ = state_ == State::kFixed ? State::kEnd : State::kChunkEnd;
          break;
        }
        if (input.empty()) return Step::kNeedMore;
        const auto taken = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
        body = input.substr(0, taken);
        input.remove_prefix(taken);
        left_ -= taken;
        return Step::kBody;
      }

      case State::kChunkSize: {
        if (!take_line(input, line)) {
          return carry_.size() > kHeadBytesMax ? broken() : Step::kNeedMore;
        }
        const std::string_view size = trimmed(line.substr(0, line.find(';')));
        if (!parse_number(size, left_, 16)) return broken();
        state_ = left_ == 0 ? State::kTrailer : State::kChunkData;
        break;
      }

      case State::kChunkEnd:
        if (!take_line(input, line)) return carry_.size() > 1 ? broken() : Step::kNeedMore;
        if (!line.empty()) return broken();
        state_ = State::kChunkSize;
        break;

      case State::kTrailer:
        if (!take_line(input, line)) {
          return carry_.size() > kHeadBytesMax ? broken() : Step::kNeedMore;
        }
        if (line.empty()) state_ = State::kEnd;
        break;

      case State::kUntilClose:
        if (input.empty()) return Step::kNeedMore;
        body = input;
        input = {};
        return Step::kBody;

      case State::kEnd:
        carry_.clear();
        line_taken_ = false;
        state_ = State::kHead;
        return Step::kDone;

      case State::kBroken:
        return Step::kMalformed;
    }
  }
}

ResponseParser::Step ResponseParser::broken() {
  state_ = State::kBroken;
  return Step::kMalformed;
}

void ResponseParser::reset() {
  state_ = State::kHead;
  line_taken_ = false;
  left_ = 0;
  carry_.clear();
}

}  // namespace ds::bench
