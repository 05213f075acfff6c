// ds-instructions: takes one path so many times, for a tool that counts instructions.
//
//   ds-instructions PATH TIMES      after TIMES / 4 + 64 to warm up
//   ds-instructions --list
//
// Only what happens in measured_part() is to be counted (callgrind: --toggle-collect).
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/micro/paths.h"

extern "C" [[gnu::noinline]] bool measured_part(ds::bench::Path& path, int times) {
  bool good = true;
  for (int i = 0; i < times; ++i) good = path.once() && good;
  return good;
}

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const std::string_view name : ds::bench::Path::names()) {
      std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
    }
    return 0;
  }
  const int times = argc == 3 ? std::atoi(argv[2]) : 0;
  bool known = false;
  for (const std::string_view name : ds::bench::Path::names()) known |= argc > 1 && name == argv[1];
  if (!known || times <= 0) {
    std::fprintf(stderr, "usage: ds-instructions PATH TIMES | --list\n");
    return 2;
  }
  ds::bench::Path path(argv[1]);
  bool good = true;
  for (int i = 0; i < times / 4 + 64; ++i) good = path.once() && good;
  good = measured_part(path, times) && good;
  if (!good) std::fprintf(stderr, "ds-instructions: an answer was wrong\n");
  return good ? 0 : 1;
}
