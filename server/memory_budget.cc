#include "server/memory_budget.h"

#include <memory>

namespace ds::server {

namespace {

// A deleter of its own type is how charged bytes are known from others.
struct ChargedDelete {
  MemoryCharge charge;
  void operator()(const std::string* bytes) {
    delete bytes;
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

SharedBytes share_charged(std::string bytes, MemoryCharge charge) {
  auto owned = std::make_unique<const std::string>(std::move(bytes));
  return SharedBytes(owned.release(), ChargedDelete{std::move(charge)});
}

bool is_charged(const SharedBytes& bytes) {
  return std::get_deleter<ChargedDelete>(bytes) != nullptr;
}

}  // namespace ds::server
