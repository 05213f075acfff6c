// What is kept beside an SSE reader's connection, so that the reader can go on at another stay of
// its stream in memory: text, opaque to whoever keeps it. Its position is kept apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/wire/text.h"

namespace ds::worker {

struct ReaderToken {
  Incarnation stream;
  std::optional<uint64_t> cursor;  // the one that it brought

  // "<stream>" or "<stream>.<cursor>", decimal.
  std::string encode() const {
    std::string text;
    wire::append_decimal(text, stream.value);
    if (cursor) {
      text += '.';
      wire::append_decimal(text, *cursor);
    }
    return text;
  }

  static std::optional<ReaderToken> decode(std::string_view text) {
    const size_t dot = text.find('.');
    const auto stream = wire::parse_decimal(text.substr(0, dot), UINT64_MAX);
    if (!stream) return std::nullopt;
    ReaderToken token{Incarnation{*stream}, std::nullopt};
    if (dot == std::string_view::npos) return token;
    token.cursor = wire::parse_decimal(text.substr(dot + 1), UINT64_MAX);
    return token.cursor ? std::optional(token) : std::nullopt;
  }
};

}  // namespace ds::worker
