// Small text ↔ value codecs: integers, durations, timestamps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"

namespace ds::wire {

void append_decimal(std::string& out, uint64_t value);

// Digits only: no sign, no leading zero (but "0"), no more than `max`.
std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t max);

bool equals_ignoring_case(std::string_view a, std::string_view b);

// RFC 3339 with 'Z' or a numeric zone and optional fraction, which is cut to microseconds; leap
// second 60 counts as 59. In UTC the year lies between 0000 and 9999.
std::optional<Instant> parse_rfc3339(std::string_view text);

// "2026-01-02T03:04:05.678Z". REQUIRES: a year between 0000 and 9999, as parse_rfc3339 gives.
void append_rfc3339(std::string& out, Instant instant);

// Appends `text` as the inside of a JSON string, without the quotes. Bytes from 0x80 on pass as
// they are: REQUIRES valid UTF-8 where the reader insists on it.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace ds::wire
