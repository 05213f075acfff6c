// Writes lines to a descriptor on a thread of its own, so that nobody who logs ever waits for it: a
// pipe that nobody reads would otherwise stop the event loops. What waits is bounded: when it is
// too much the oldest lines go, and the next thing that is written says how many.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace ds::server {

class LogWriter {
 public:
  // Makes the line that stands for `lines` lost ones. Called on the writer's thread.
  using LostLine = std::function<std::string(uint64_t lines)>;

  // Borrows `descriptor`. At most `bytes_max` wait, and some that are being written.
  LogWriter(int descriptor, size_t bytes_max, LostLine lost_line);
  // Writes what waits, unless the descriptor takes nothing for a second.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Any thread. `line` ends with its line feed.
  void put(std::string_view line);

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;  // with the thread, which may be left behind
  std::thread thread_;
};

}  // namespace ds::server
