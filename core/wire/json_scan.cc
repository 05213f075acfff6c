#include "core/wire/json_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/wire/utf8.h"

namespace ds::wire {
namespace {

// The top bit of each byte of `word` that a string cannot just contain: quotes, backslashes,
// control characters and whatever is not ASCII. Bits above the lowest one set may be wrong.
uint64_t string_stops(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kTops = 0x8080808080808080;
  const uint64_t quote = word ^ (kOnes * '"');
  const uint64_t backslash = word ^ (kOnes * '\\');
  const uint64_t below = ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) |
                         ((word - kOnes * 0x20) & ~word);
  return (below | word) & kTops;
}

#ifdef __SSE2__
// The same for 16 bytes, exactly: bit i for byte i.
uint32_t string_stops_16(const char* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  // As signed numbers, what is not ASCII is below the blank too.
  const __m128i others = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
  const __m128i stops = _mm_or_si128(_mm_or_si128(quotes, backslashes), others);
  return static_cast<uint32_t>(_mm_movemask_epi8(stops));
}
#endif

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool hex_digit(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// One pass over one text. Containers that are open are a stack of bits instead of recursion: the
// depth limit is ours, not the machine's.
class Scanner {
 public:
  Scanner(std::string_view text, std::vector<JsonElement>& elements)
      : begin_(text.data()),
        p_(text.data()),
        end_(text.data() + text.size()),
        elements_(elements) {}

  JsonVerdict run() {
    skip_blanks();
    const bool array = p_ != end_ && *p_ == '[';
    // A top-level array's elements begin at depth 1, any other text is itself the one element.
    element_depth_ = array ? 1 : 0;
    if (!document()) return too_deep_ ? JsonVerdict::kTooDeep : JsonVerdict::kInvalid;
    skip_blanks();
    if (p_ != end_) return JsonVerdict::kInvalid;
    if (!array) return JsonVerdict::kValue;
    return elements_.empty() ? JsonVerdict::kEmptyArray : JsonVerdict::kArray;
  }

 private:
  // Everything from the first value to the end of the outermost one.
  bool document() {
    while (true) {
      // At a value, blanks skipped.
      if (depth_ == element_depth_) elements_.push_back({offset(), 0});
      if (p_ == end_) return false;
      if (*p_ == '{' || *p_ == '[') {
        bool empty = false;
        if (!open(empty)) return false;
        if (!empty) continue;  // at its first value
      } else if (!scalar()) {
        return false;
      }
      bool done = false;
      if (!after_value(done)) return false;
      if (done) return true;
    }
  }

  // Enters the container at p_, up to its first value; leaves it again if it is empty.
  bool open(bool& empty) {
    const bool object = *p_ == '{';
    if (depth_ == kJsonDepthMax) {
      too_deep_ = true;
      return false;
    }
    uint64_t& word = objects_[depth_ / 64];
    const uint64_t bit = uint64_t{1} << (depth_ % 64);
    word = object ? word | bit : word & ~bit;
    ++depth_;
    ++p_;
    skip_blanks();
    if (p_ == end_) return false;
    if (*p_ == (object ? '}' : ']')) {
      ++p_;
      --depth_;
      empty = true;
      return true;
    }
    return !object || key();
  }

  // After a value that ended at p_: closes what ends here, and goes to the next value.
  bool after_value(bool& done) {
    while (true) {
      if (depth_ == element_depth_) elements_.back().end = offset();
      if (depth_ == 0) {
        done = true;
        return true;
      }
      skip_blanks();
      if (p_ == end_) return false;
      const bool object = (objects_[(depth_ - 1) / 64] >> ((depth_ - 1) % 64) & 1) != 0;
      if (*p_ == ',') {
        ++p_;
        skip_blanks();
        return !object || key();
      }
      if (*p_ != (object ? '}' : ']')) return false;
      ++p_;
      --depth_;
    }
  }

  // A key, its colon, and the blanks up to its value.
  bool key() {
    if (p_ == end_ || *p_ != '"' || !string()) return false;
    skip_blanks();
    if (p_ == end_ || *p_ != ':') return false;
    ++p_;
    skip_blanks();
    return true;
  }

  bool scalar() {
    switch (*p_) {
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        return number();
    }
  }

  bool literal(std::string_view word) {
    if (std::string_view(p_, left()).substr(0, word.size()) != word) return false;
    p_ += word.size();
    return true;
  }

  bool number() {
    if (*p_ == '-') ++p_;
    if (p_ != end_ && *p_ == '0') {
      ++p_;
    } else if (!digits()) {
      return false;
    }
    if (p_ != end_ && *p_ == '.') {
      ++p_;
      if (!digits()) return false;
    }
    if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
      ++p_;
      if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
      if (!digits()) return false;
    }
    return true;
  }

  bool digits() {
    const char* first = p_;
    while (p_ != end_ && digit(*p_)) ++p_;
    return p_ != first;
  }

  // REQUIRES: p_ is at the opening quote.
  bool string() {
    ++p_;
    while (true) {
      to_stop();
      if (p_ == end_) return false;
      const auto c = static_cast<unsigned char>(*p_);
      if (c == '"') {
        ++p_;
        return true;
      }
      if (c < 0x20) return false;
      if (c == '\\') {
        if (!escape()) return false;
      } else if (c < 0x80) {
        ++p_;
      } else {
        const size_t length = utf8_character_bytes({p_, left()});
        if (length == 0) return false;
        p_ += length;
      }
    }
  }

  // Skips what a string can just contain, or most of it.
  void to_stop() {
#ifdef __SSE2__
    while (left() >= 16) {
      const uint32_t stops = string_stops_16(p_);
      if (stops != 0) {
        p_ += std::countr_zero(stops);
        return;
      }
      p_ += 16;
    }
#endif
    while (left() >= 8) {
      const uint64_t stops = string_stops(load_le64(p_));
      if (stops != 0) {
        p_ += std::countr_zero(stops) / 8;
        return;
      }
      p_ += 8;
    }
  }

  // A lone surrogate is as good as any other escape.
  bool escape() {
    if (left() < 2) return false;
    const char c = p_[1];
    if (c == 'u') {
      if (left() < 6) return false;
      for (int i = 2; i < 6; ++i) {
        if (!hex_digit(p_[i])) return false;
      }
      p_ += 6;
      return true;
    }
    p_ += 2;
    return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
           c == 't';
  }

  void skip_blanks() {
    while (p_ != end_ && blank(*p_)) ++p_;
  }
  size_t left() const { return static_cast<size_t>(end_ - p_); }
  uint32_t offset() const { return static_cast<uint32_t>(p_ - begin_); }

  const char* const begin_;
  const char* p_;
  const char* const end_;
  std::vector<JsonElement>& elements_;
  uint32_t element_depth_ = 0;
  uint32_t depth_ = 0;                                // containers open
  std::array<uint64_t, kJsonDepthMax / 64> objects_;  // bit d: container d is an object
  bool too_deep_ = false;
};
static_assert(kJsonDepthMax % 64 == 0);

}  // namespace

JsonVerdict scan_json(std::string_view text, std::vector<JsonElement>& elements) {
  DS_ASSERT(text.size() <= UINT32_MAX);
  elements.clear();
  const JsonVerdict verdict = Scanner(text, elements).run();
  if (verdict != JsonVerdict::kValue && verdict != JsonVerdict::kArray) elements.clear();
  return verdict;
}

std::optional<uint64_t> stored_json_prefix(std::string_view stored, uint64_t count) {
  uint64_t depth = 0;
  for (size_t i = 0; count > 0; ++i) {
    if (i >= stored.size()) return std::nullopt;
    switch (stored[i]) {
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        --depth;
        break;
      case '"':
        for (++i; i < stored.size() && stored[i] != '"'; ++i) {
          if (stored[i] == '\\') ++i;
        }
        break;
      case ',':
        if (depth == 0 && --count == 0) return i + 1;
        break;
      default:
        break;
    }
  }
  return 0;
}

}  // namespace ds::wire
