// Inputs made from a good one, for tests that say "whatever comes, the parser survives it".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ds::tests {

// Calls f(std::string_view) with every prefix and suffix of `text`, and with every byte of it left
// out, doubled, and replaced by each of some nasty ones. Each input is a heap block of exactly its
// size, so that a sanitizer sees one byte read too many.
template <typename F>
void for_each_mutation(std::string_view text, F f) {
  const auto call = [&f](const std::string& input) {
    const std::string exact(input.begin(), input.end());
    f(std::string_view(exact));
  };
  constexpr std::string_view kNasty(
      "\0\x01\t\n\r \"%&*+,-./0129:;=?AZ[\\]_az{}\x7f\x80\xbf\xc2\xff", 38);
  for (size_t i = 0; i <= text.size(); ++i) {
    call(std::string(text.substr(0, i)));
    call(std::string(text.substr(i)));
  }
  for (size_t i = 0; i < text.size(); ++i) {
    std::string input(text);
    call(input.substr(0, i) + input.substr(i + 1));
    call(input.substr(0, i) + input[i] + input.substr(i));
    for (const char byte : kNasty) {
      input[i] = byte;
      call(input);
    }
  }
}

// splitmix64: small, seeded, the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // REQUIRES: n > 0.
  uint64_t below(uint64_t n) { return next() % n; }

 private:
  uint64_t state_;
};

}  // namespace ds::tests
