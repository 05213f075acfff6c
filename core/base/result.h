// Result<T, E>: a value or the reason why there is none. The one home-made vocabulary type.
#pragma once

#include <utility>
#include <variant>

#include "core/base/assert.h"

namespace ds {

template <typename T, typename E>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& value() & {
    DS_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    DS_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    DS_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES: !ok().
  const E& error() const {
    DS_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, E> state_;
};

}  // namespace ds
