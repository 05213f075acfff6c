// The scanner against a plain reading of RFC 8259: both accept the same texts. What it accepts it
// splits into messages that it accepts alone, that lie in order with nothing but blanks and commas
// between them, and whose stored form can be counted off again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "core/wire/json_scan.h"

namespace {

using ds::wire::JsonElement;
using ds::wire::JsonVerdict;

constexpr std::string_view kBlanks = " \t\n\r";

// --- The grammar, rule by rule; simple and slow -------------------------------------------------

class Reference {
 public:
  explicit Reference(std::string_view text) : text_(text) {}

  // Whether the whole text is one JSON value, however deep.
  bool valid() {
    skip_blanks();
    if (!value(0)) return false;
    skip_blanks();
    return at_ == text_.size();
  }
  // How many arrays and objects are open at most.
  uint32_t depth() const { return depth_; }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void skip_blanks() {
    while (at_ < text_.size() && kBlanks.find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  bool value(uint32_t level) {
    switch (peek()) {
      case '{':
        return container(level + 1, '}', true);
      case '[':
        return container(level + 1, ']', false);
      case '"':
        return string();
      case 't':
        return take("true");
      case 'f':
        return take("false");
      case 'n':
        return take("null");
      default:
        return number();
    }
  }
  bool container(uint32_t level, char end, bool object) {
    if (level > depth_) depth_ = level;
    ++at_;
    skip_blanks();
    if (peek() == end) return ++at_, true;
    for (;;) {
      skip_blanks();
      if (object) {
        if (peek() != '"' || !string()) return false;
        skip_blanks();
        if (!take(":")) return false;
        skip_blanks();
      }
      if (!value(level)) return false;
      skip_blanks();
      if (peek() == end) return ++at_, true;
      if (!take(",")) return false;
    }
  }
  bool number() {
    take("-");
    if (!take("0") && !digits()) return false;
    if (take(".") && !digits()) return false;
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      return digits();
    }
    return true;
  }
  bool string() {
    ++at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') return ++at_, true;
      if (c < 0x20) return false;
      if (c == '\\') {
        ++at_;
        if (!escape()) return false;
      } else if (c < 0x80) {
        ++at_;
      } else if (!character()) {
        return false;
      }
    }
    return false;
  }
  bool escape() {
    if (std::string_view("\"\\/bfnrt").find(peek()) != std::string_view::npos) return ++at_, true;
    if (!take("u")) return false;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!hex) return false;
    }
    return true;
  }
  // A character of more than one byte, by its code point (RFC 3629).
  bool character() {
    const auto first = static_cast<unsigned char>(text_[at_]);
    const uint32_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc0 || first >= 0xf8) return false;
    if (text_.size() - at_ <= more) return false;
    uint32_t point = first & (0x3fu >> more);
    for (uint32_t i = 1; i <= more; ++i) {
      const auto byte = static_cast<unsigned char>(text_[at_ + i]);
      if ((byte & 0xc0) != 0x80) return false;
      point = point << 6 | (byte & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10ffff) return false;
    if (point >= 0xd800 && point < 0xe000) return false;
    at_ += more + 1;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  uint32_t depth_ = 0;
};

void check_verdict(std::string_view text, JsonVerdict verdict) {
  Reference reference(text);
  const bool valid = reference.valid();
  if (verdict == JsonVerdict::kTooDeep) {
    DS_ASSERT(reference.depth() > ds::wire::kJsonDepthMax || !valid);
    return;
  }
  DS_ASSERT((verdict != JsonVerdict::kInvalid) ==
            (valid && reference.depth() <= ds::wire::kJsonDepthMax));
  if (verdict == JsonVerdict::kInvalid) return;
  const bool array = text[text.find_first_not_of(kBlanks)] == '[';
  DS_ASSERT(array == (verdict != JsonVerdict::kValue));
}

// --- The messages -------------------------------------------------------------------------------

// What lies around the messages is only what an array has around its elements.
void check_between(std::string_view text, JsonVerdict verdict,
                   const std::vector<JsonElement>& elements) {
  std::string outside;
  size_t at = 0;
  for (const JsonElement& element : elements) {
    outside += text.substr(at, element.begin - at);
    outside += 'x';
    at = element.end;
  }
  outside += text.substr(at);
  std::string expected = verdict == JsonVerdict::kValue ? "x" : "[";
  if (verdict != JsonVerdict::kValue) {
    for (size_t i = 0; i < elements.size(); ++i) expected += i == 0 ? "x" : ",x";
    expected += "]";
  }
  std::string tight;
  for (const char c : outside) {
    if (kBlanks.find(c) == std::string_view::npos) tight += c;
  }
  DS_ASSERT(tight == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<JsonElement> elements;
  const JsonVerdict verdict = ds::wire::scan_json(text, elements);
  check_verdict(text, verdict);
  DS_ASSERT(!elements.empty() ==
            (verdict == JsonVerdict::kValue || verdict == JsonVerdict::kArray));
  DS_ASSERT(verdict != JsonVerdict::kValue || elements.size() == 1);
  DS_ASSERT(elements.size() <= size);

  std::string stored;
  std::vector<JsonElement> inner;
  uint32_t end = 0;
  for (const JsonElement& element : elements) {
    DS_ASSERT(end <= element.begin);
    DS_ASSERT(element.begin < element.end);
    DS_ASSERT(element.end <= size);
    end = element.end;
    const std::string_view message = text.substr(element.begin, element.end - element.begin);
    const JsonVerdict alone = ds::wire::scan_json(message, inner);
    DS_ASSERT(alone != JsonVerdict::kInvalid);
    DS_ASSERT(alone != JsonVerdict::kTooDeep);
    stored += message;
    stored += ',';
    DS_ASSERT(kBlanks.find(message.front()) == std::string_view::npos);
    DS_ASSERT(kBlanks.find(message.back()) == std::string_view::npos);
  }
  if (verdict != JsonVerdict::kInvalid && verdict != JsonVerdict::kTooDeep) {
    check_between(text, verdict, elements);
  }
  // A read of all messages is an array of the same ones.
  if (!stored.empty()) {
    const std::string shown = "[" + stored.substr(0, stored.size() - 1) + "]";
    DS_ASSERT(ds::wire::scan_json(shown, inner) == JsonVerdict::kArray ||
              verdict == JsonVerdict::kValue);
    if (verdict == JsonVerdict::kArray) DS_ASSERT(inner.size() == elements.size());
  }
  DS_ASSERT(ds::wire::stored_json_prefix(stored, elements.size()) == stored.size());
  DS_ASSERT(!ds::wire::stored_json_prefix(stored, elements.size() + 1));
  // Counting in text that is not well-formed gives a wrong number, and nothing worse.
  const auto prefix = ds::wire::stored_json_prefix(text, 2);
  DS_ASSERT(!prefix || *prefix <= size);
  return 0;
}
