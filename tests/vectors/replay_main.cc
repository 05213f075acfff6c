// Replays the shared test vectors of the core and compares what comes out with what is written:
//
//   ds_vectors FILE.txt...            the last line is "N passed, N failed"
//   ds_vectors --print FILE.txt       the transcript as it comes out, for writing a vector
//
// The same program runs natively and in wasm, over the same files.
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "tests/vectors/script.h"

namespace {

std::optional<std::string> read_file(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return std::nullopt;
  std::string text;
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, got);
  std::fclose(file);
  return text;
}

std::string_view line_at(std::string_view text, size_t at) {
  return text.substr(at, text.find('\n', at) - at);
}

// Prints the first line that differs, with its number.
void print_difference(const char* path, std::string_view expected, std::string_view actual) {
  size_t line = 1;
  size_t begin = 0;
  for (size_t i = 0; i < expected.size() && i < actual.size() && expected[i] == actual[i]; ++i) {
    if (expected[i] == '\n') {
      ++line;
      begin = i + 1;
    }
  }
  const std::string_view wanted = line_at(expected, begin);
  const std::string_view got = line_at(actual, begin);
  std::printf("%s:%u: expected: %.*s\n", path, static_cast<unsigned>(line),
              static_cast<int>(wanted.size()), wanted.data());
  std::printf("%s:%u: came out: %.*s\n", path, static_cast<unsigned>(line),
              static_cast<int>(got.size()), got.data());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--print") {
    const auto text = read_file(argv[2]);
    if (!text) return 1;
    const std::string out = ds::vectors::replay_script(*text);
    std::fwrite(out.data(), 1, out.size(), stdout);
    return 0;
  }
  unsigned passed = 0;
  unsigned failed = 0;
  for (int i = 1; i < argc; ++i) {
    const auto text = read_file(argv[i]);
    if (!text) {
      std::printf("%s: cannot be read\n", argv[i]);
      ++failed;
      continue;
    }
    const std::string out = ds::vectors::replay_script(*text);
    if (out == *text) {
      ++passed;
    } else {
      ++failed;
      print_difference(argv[i], *text, out);
    }
  }
  std::printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
