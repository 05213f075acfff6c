// Shared immutable bytes. A committed batch, an encoded SSE frame or a long-poll answer exists once
// and is referred to by everybody who sends it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace ds {

// Bytes that never change once shared. May be referred to from any thread.
using SharedBytes = std::shared_ptr<const std::string>;

inline SharedBytes share(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

// A range of shared bytes that keeps them alive. Without an owner it refers to static storage.
struct Slice {
  SharedBytes owner;
  std::string_view bytes;

  Slice() = default;
  Slice(SharedBytes all) : owner(std::move(all)), bytes(*owner) {}
  Slice(SharedBytes from, std::string_view part) : owner(std::move(from)), bytes(part) {}
  static Slice of_static(std::string_view literal) { return Slice{nullptr, literal}; }
};

}  // namespace ds
