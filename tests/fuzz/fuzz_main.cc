// Feeds a fuzz target seeded random input where no fuzzing engine is at hand: the same run for the
// same seed. Input is made by mutating what was tried before, what is between two quotes of the
// dictionary below included, so that it gets past a parser's first byte.
//
//   fuzz_<name> [--runs N] [--seed N] [FILE|DIRECTORY...]   files are tried first, as they are
//
// In the preset `fuzz`, libFuzzer takes the place of this file (tests/fuzz/run).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kInputBytesMax = 2048;
constexpr size_t kCorpusMax = 512;
constexpr std::string_view kDictionary[] = {
    "-1",
    "now",
    "0000000000000000_0000000000000000",
    "9999999999999999_9999999999999999",
    "\"",
    "\\u",
    "\\ud800",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "null",
    "true",
    "false",
    "1e400",
    "-0.5E+10",
    "%2F",
    "%2e",
    "..",
    "/",
    "?",
    "&",
    "offset",
    "live",
    "long-poll",
    "sse",
    "=",
    "\r\n",
    "\xef\xbb\xbf",
    "\xf0\x9f\x98\x80",
    "\xed\xa0\x80",
    "W/\"",
    "*",
    "2026-01-02T03:04:05Z",
    "18446744073709551616",
    "\xff",
    " ",
};

// splitmix64: small, seeded, the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // REQUIRES: n > 0.
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }

 private:
  uint64_t state_;
};

void mutate(std::string& input, const std::vector<std::string>& corpus, Random& random) {
  const size_t at = random.below(input.size() + 1);
  switch (random.below(6)) {
    case 0:  // a random byte in place of another
      if (at < input.size()) input[at] = static_cast<char>(random.below(256));
      break;
    case 1:  // a word of the dictionary
      input.insert(at, kDictionary[random.below(std::size(kDictionary))]);
      break;
    case 2:  // a piece left out
      input.erase(at, random.below(8) + 1);
      break;
    case 3:  // a piece twice
      input.insert(at, input.substr(at, random.below(16) + 1));
      break;
    case 4:  // a bit turned
      if (at < input.size()) {
        input[at] = static_cast<char>(input[at] ^ static_cast<char>(1u << random.below(8)));
      }
      break;
    default: {  // the end of another one
      const std::string& other = corpus[random.below(corpus.size())];
      input.resize(at);
      input += other.substr(random.below(other.size() + 1));
      break;
    }
  }
  if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
}

void try_one(const std::string& input) {
  // A copy of exactly this size, so that a sanitizer sees one byte read too many.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

// The files that an argument names, in an order that is always the same.
std::vector<std::filesystem::path> files_of(const char* argument) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_regular_file(argument)) files.emplace_back(argument);
  if (std::filesystem::is_directory(argument)) {
    for (const auto& entry : std::filesystem::directory_iterator(argument)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 500000;
  uint64_t seed = 1;
  std::vector<std::string> corpus = {""};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--runs" && i + 1 < argc) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      const std::vector<std::filesystem::path> files = files_of(argv[i]);
      if (files.empty()) {
        std::printf("nothing at %s\n", argv[i]);
        return 1;
      }
      for (const std::filesystem::path& path : files) {
        std::ifstream file(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        try_one(corpus.back());
      }
    }
  }
  for (const std::string_view word : kDictionary) corpus.emplace_back(word);

  Random random(seed);
  for (uint64_t run = 0; run < runs; ++run) {
    std::string input = corpus[random.below(corpus.size())];
    for (size_t n = random.below(4) + 1; n > 0; --n) mutate(input, corpus, random);
    try_one(input);
    if (corpus.size() < kCorpusMax) {
      corpus.push_back(input);
    } else if (random.below(16) == 0) {
      corpus[random.below(corpus.size())] = input;
    }
  }
  std::printf("%llu runs with seed %llu\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(seed));
  return 0;
}
