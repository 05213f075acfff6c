#include "server/http/file_twin.h"

#include <string>
#include <utility>

#include "server/memory_budget.h"

namespace ds::server {

namespace {

// A deleter of its own type is how bytes with a twin are known from others.
struct TwinnedRelease {
  SharedBytes bytes;
  FileTwinPtr twin;
  void operator()(const std::string*) { bytes.reset(); }
};

}  // namespace

SharedBytes with_twin(SharedBytes bytes, FileTwinPtr twin) {
  const std::string* text = bytes.get();
  return SharedBytes(text, TwinnedRelease{std::move(bytes), std::move(twin)});
}

FileTwinPtr twin_of(const SharedBytes& bytes) {
  const auto* twinned = std::get_deleter<TwinnedRelease>(uncharged(bytes));
  return twinned != nullptr ? twinned->twin : nullptr;
}

}  // namespace ds::server
