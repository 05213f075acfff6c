// A request as the text that a server gets.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "core/wire/request.h"
#include "tests/sim/model.h"
#include "tests/sim/oracle.h"

namespace ds::sim {

std::string offset_text(Offset offset);

// A request's text and the strings that it borrows.
struct RequestBytes {
  wire::RequestText text;
  std::deque<std::string> strings;

  std::string_view keep(std::string bytes) { return strings.emplace_back(std::move(bytes)); }
  void set(wire::HeaderId id, std::string value) {
    text.headers[static_cast<size_t>(id)] = keep(std::move(value));
  }
};

void fill(RequestBytes& out, const Sent& sent, Model& model);

}  // namespace ds::sim
