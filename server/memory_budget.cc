#include "server/memory_budget.h"

#include <memory>

namespace ds::server {

namespace {

// A deleter of its own type is how charged bytes are known from others.
struct ChargedRelease {
  SharedBytes bytes;
  MemoryCharge charge;
  void operator()(const std::string*) {
    bytes.reset();
    charge.resize(0);
  }
};

}  // namespace

void MemoryCharge::resize(uint64_t bytes) {
  if (budget_ == nullptr) return;
  if (bytes > bytes_) budget_->charge(bytes - bytes_);
  if (bytes < bytes_) budget_->release(bytes_ - bytes);
  bytes_ = bytes;
}

SharedBytes charged(SharedBytes bytes, MemoryCharge charge) {
  const std::string* text = bytes.get();
  return SharedBytes(text, ChargedRelease{std::move(bytes), std::move(charge)});
}

bool is_charged(const SharedBytes& bytes) {
  return std::get_deleter<ChargedRelease>(bytes) != nullptr;
}

const SharedBytes& uncharged(const SharedBytes& bytes) {
  const auto* charged = std::get_deleter<ChargedRelease>(bytes);
  return charged != nullptr ? charged->bytes : bytes;
}

}  // namespace ds::server
