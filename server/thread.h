// Threads of the server. One that cannot be made ends the process with a sentence: there is nothing
// that it could do without, and what has been started cannot be taken back.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

namespace ds::server {

template <typename Run>
std::thread start_thread(Run run) {
  try {
    return std::thread(std::move(run));
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "durable-streams: error: cannot start a thread: %s\n", error.what());
    std::_Exit(1);
  }
}

}  // namespace ds::server
