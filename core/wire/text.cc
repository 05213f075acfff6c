#include "core/wire/text.h"

#include <array>
#include <charconv>

#include "core/base/assert.h"

namespace ds::wire {
namespace {

constexpr int64_t kUsPerSecond = 1000000;
constexpr int64_t kUsPerDay = 86400 * kUsPerSecond;
constexpr uint32_t kMonthDays[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

// 0000-01-01T00:00:00Z and 10000-01-01T00:00:00Z: what four digits of a year can say.
constexpr int64_t kYear0Us = -719528 * kUsPerDay;
constexpr int64_t kYear10000Us = 2932897 * kUsPerDay;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool leap_year(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

// The days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years are counted from
// March, so that the leap day comes last.
int64_t days_from_date(int64_t year, uint32_t month, uint32_t day) {
  if (month <= 2) --year;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

struct Date {
  int64_t year;
  uint32_t month;
  uint32_t day;
};

Date date_from_days(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return {year, static_cast<uint32_t>(month), static_cast<uint32_t>(day)};
}

// Reads fixed-width numbers and single characters off the front of a text.
class Fields {
 public:
  explicit Fields(std::string_view text) : left_(text) {}

  // The next `width` digits as a number no greater than `max`.
  bool number(size_t width, uint32_t max, uint32_t& out) {
    if (left_.size() < width) return false;
    uint32_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      if (left_[i] < '0' || left_[i] > '9') return false;
      value = value * 10 + static_cast<uint32_t>(left_[i] - '0');
    }
    left_.remove_prefix(width);
    out = value;
    return value <= max;
  }

  // The next character, in either case.
  bool character(char expected) {
    if (left_.empty() || lower(left_[0]) != expected) return false;
    left_.remove_prefix(1);
    return true;
  }

  // Any number of digits, at least one, as a fraction of a second, cut to microseconds.
  bool fraction(int64_t& us) {
    size_t digits = 0;
    int64_t scale = kUsPerSecond / 10;
    for (us = 0; digits < left_.size() && left_[digits] >= '0' && left_[digits] <= '9'; ++digits) {
      us += scale * (left_[digits] - '0');
      scale /= 10;
    }
    left_.remove_prefix(digits);
    return digits > 0;
  }

  // 'Z', or hours and minutes east of it.
  bool zone(int64_t& us) {
    us = 0;
    if (character('z')) return true;
    const bool east = character('+');
    if (!east && !character('-')) return false;
    uint32_t hours = 0;
    uint32_t minutes = 0;
    if (!number(2, 23, hours) || !character(':') || !number(2, 59, minutes)) return false;
    us = (static_cast<int64_t>(hours) * 3600 + static_cast<int64_t>(minutes) * 60) * kUsPerSecond;
    if (!east) us = -us;
    return true;
  }

  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

void append_padded(std::string& out, uint32_t value, size_t width) {
  char digits[10];
  size_t begin = sizeof digits;
  while (begin > sizeof digits - width) {
    digits[--begin] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out.append(digits + begin, width);
}

}  // namespace

void append_decimal(std::string& out, uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t max) {
  if (text.empty()) return std::nullopt;
  if (text[0] == '0' && text.size() > 1) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (digit > max || value > (max - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::optional<Instant> parse_rfc3339(std::string_view text) {
  Fields fields(text);
  uint32_t year = 0;
  uint32_t month = 0;
  uint32_t day = 0;
  uint32_t hour = 0;
  uint32_t minute = 0;
  uint32_t second = 0;
  if (!fields.number(4, 9999, year) || !fields.character('-')) return std::nullopt;
  if (!fields.number(2, 12, month) || month == 0 || !fields.character('-')) return std::nullopt;
  const uint32_t days = kMonthDays[month - 1] + (month == 2 && leap_year(year) ? 1 : 0);
  if (!fields.number(2, days, day) || day == 0 || !fields.character('t')) return std::nullopt;
  if (!fields.number(2, 23, hour) || !fields.character(':')) return std::nullopt;
  if (!fields.number(2, 59, minute) || !fields.character(':')) return std::nullopt;
  if (!fields.number(2, 60, second)) return std::nullopt;
  if (second == 60) second = 59;
  int64_t fraction_us = 0;
  int64_t zone_us = 0;
  if (fields.character('.') && !fields.fraction(fraction_us)) return std::nullopt;
  if (!fields.zone(zone_us) || !fields.at_end()) return std::nullopt;

  const int64_t second_of_day = (static_cast<int64_t>(hour) * 60 + minute) * 60 + second;
  const int64_t us = days_from_date(year, month, day) * kUsPerDay + second_of_day * kUsPerSecond +
                     fraction_us - zone_us;
  if (us < kYear0Us || us >= kYear10000Us) return std::nullopt;
  return Instant{us};
}

void append_rfc3339(std::string& out, Instant instant) {
  DS_ASSERT(instant.us >= kYear0Us);
  DS_ASSERT(instant.us < kYear10000Us);
  int64_t days = instant.us / kUsPerDay;
  int64_t us_of_day = instant.us % kUsPerDay;
  if (us_of_day < 0) {
    --days;
    us_of_day += kUsPerDay;
  }
  const Date date = date_from_days(days);
  const auto ms_of_day = static_cast<uint32_t>(us_of_day / 1000);
  append_padded(out, static_cast<uint32_t>(date.year), 4);
  out += '-';
  append_padded(out, date.month, 2);
  out += '-';
  append_padded(out, date.day, 2);
  out += 'T';
  append_padded(out, ms_of_day / 3600000, 2);
  out += ':';
  append_padded(out, ms_of_day / 60000 % 60, 2);
  out += ':';
  append_padded(out, ms_of_day / 1000 % 60, 2);
  out += '.';
  append_padded(out, ms_of_day % 1000, 3);
  out += 'Z';
}

void append_json_escaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte == 0x7f) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else {
          out += c;
        }
    }
  }
}

}  // namespace ds::wire
