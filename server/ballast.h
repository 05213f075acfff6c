// A file of the data directory that only takes space, so that a full disk is never quite full: when
// something finds no room the ballast is given up, and from then on nothing is stored that can be
// refused. What remains, deletions, closes, expiry, and the sealing that turns them into free
// space, goes on in the room that it left.
//
// It is made again when there is room for it twice, so that the state does not flutter. While it is
// not there the disk counts as full: after a restart as well, however much is free by then, as long
// as there is no room for it and one generation of the log.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace ds::server {

inline constexpr const char* kBallastName = "ballast";
// "auto": sealing one generation takes up to one more in segments, the next one has to be made, and
// the catalog grows.
inline constexpr uint64_t kBallastGenerations = 2;
inline constexpr uint64_t kBallastCatalogBytes = 16 << 20;

class Ballast {
 public:
  struct Options {
    std::string data_dir;           // is there, and locked
    uint64_t bytes = 0;             // 0: no ballast; the disk never counts as full
    uint64_t generation_bytes = 0;  // of the op log
  };
  explicit Ballast(const Options& options);
  ~Ballast();
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

  // Before anything else of the directory is opened: finds the file, makes it, or gives it up if
  // what is free is too little to start with.
  void prepare();
  // Begins to look for room. `on_change` is told each time the disk becomes full, before full()
  // says so, or is no longer, afterwards; on whatever thread finds it, which must not wait for
  // another.
  void start(std::function<void(bool full)> on_change);
  void stop();

  // --- Any thread
  // ---------------------------------------------------------------------------------

  // Something had no room. True: there may be some now, try again.
  bool make_room();
  bool full() const { return full_.load(std::memory_order_acquire); }
  // What upkeep may use of the disk without taking it from the log. All there is without ballast.
  uint64_t spare_bytes() const;

  struct Stats {
    uint64_t bytes = 0;     // of the ballast; 0 while it is given up
    uint64_t releases = 0;  // since the start
    uint64_t free_bytes = 0;
    bool full = false;
  };
  Stats stats() const;

 private:
  void run();
  // Whether it is there now. Needs mutex_.
  bool make();
  void give_up();
  bool in_place() const;
  uint64_t free_bytes() const;

  const Options options_;
  const std::string path_;
  std::function<void(bool)> on_change_;  // fixed by start()
  std::atomic<bool> full_{false};
  std::atomic<uint64_t> releases_{0};

  std::mutex mutex_;  // guards the file and the next one
  bool stopped_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace ds::server
