#include "bench/load/sse_parser.h"

namespace ds::bench {
namespace {

// The field's value when `line` is that field: without the colon and one space after it.
bool take_field(std::string_view line, std::string_view field, std::string_view& value) {
  if (line.substr(0, field.size()) != field) return false;
  value = line.substr(field.size());
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return true;
}

}  // namespace

SseParser::Step SseParser::next(std::string_view& input, std::string_view& line) {
  while (true) {
    if (line_taken_) {
      carry_.clear();
      line_taken_ = false;
    }
    const size_t newline = input.find('\n');
    if (newline == std::string_view::npos) {
      carry_.append(input);
      input = {};
      return Step::kNeedMore;
    }
    std::string_view text = input.substr(0, newline);
    input.remove_prefix(newline + 1);
    if (!carry_.empty()) {
      carry_.append(text);
      text = carry_;
      line_taken_ = true;
    }
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);

    std::string_view value;
    if (text.empty()) {
      event_ = Event::kOther;
    } else if (take_field(text, "event:", value)) {
      event_ = value == "data"      ? Event::kData
               : value == "control" ? Event::kControl
                                    : Event::kOther;
    } else if (take_field(text, "data:", value) && (event_ != Event::kOther || nameless_)) {
      line = value;
      return event_ == Event::kControl ? Step::kControl : Step::kData;
    }
  }
}

void SseParser::reset() {
  event_ = Event::kOther;
  line_taken_ = false;
  carry_.clear();
}

std::string_view json_string_member(std::string_view json, std::string_view key) {
  const size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  const size_t open = json.find('"', at + key.size());
  if (open == std::string_view::npos) return {};
  const size_t close = json.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  return json.substr(open + 1, close - open - 1);
}

}  // namespace ds::bench
