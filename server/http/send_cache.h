// Copies of large bodies that are sent again and again from memory, each in a file without a disk
// (memfd): the system sends its pages as they are, where it would copy those of the heap for each
// client. A copy is made when a body is sent the second time, and kept for as long as the body is
// there and is sent.
//
// A file is written once and given back by closing it: what is on its way to a client still refers
// to its pages, which keep what they hold unless they are written again or cut off.
//
// One per event loop, on its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/base/slice.h"
#include "core/base/types.h"
#include "server/http/file_twin.h"

namespace ds::server {

class SendCache {
 public:
  // Larger bodies would hold up the loop while they are copied.
  static constexpr uint64_t kBodyBytesMax = 4 << 20;
  // Bodies that are known, with a copy or without.
  static constexpr size_t kBodiesMax = 1024;
  // A copy that was not sent for as long gives way to others; a body without one is forgotten.
  static constexpr Duration kIdle = seconds(1);
  // A copy that was not sent for as long ends.
  static constexpr Duration kKept = seconds(10);
  // How often it is looked what has ended, and for room for a body that found none.
  static constexpr Duration kSweep = milliseconds(250);
  // For how long nothing is copied after the system had no file or no memory for it.
  static constexpr Duration kRetry = seconds(10);

  // Copies take at most `budget_bytes` and `files_max` descriptors together; none are made if one
  // of them is 0.
  SendCache(uint64_t budget_bytes, uint64_t files_max)
      : budget_bytes_(budget_bytes), files_max_(files_max) {}
  SendCache(const SendCache&) = delete;
  SendCache& operator=(const SendCache&) = delete;

  // `body` is about to be sent, most of it. Returns its copy, or null: it is the first time, there
  // is no room, or the system could not make one.
  FileTwinPtr copy_of(const SharedBytes& body, Instant now);

  // Lets go of what has ended. To be called again and again while there are copies.
  void on_time(Instant now);

  // Memory of all copies, as the system counts it.
  uint64_t bytes() const { return bytes_; }

 private:
  struct File {
    int descriptor;
    explicit File(int opened) : descriptor(opened) {}
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
  };
  struct Entry {
    std::weak_ptr<const std::string> body;
    Instant sent;                      // last
    std::shared_ptr<const File> file;  // null: there is no copy
    uint64_t bytes = 0;                // that it takes
    FileTwinPtr copy;
    Instant next_try;  // none before, for want of room
    Entry(std::weak_ptr<const std::string> of, Instant now) : body(std::move(of)), sent(now) {}
  };

  void copy(Entry& entry, const std::string& body, Instant now);
  bool find_room(uint64_t bytes, Instant now);
  bool fits(uint64_t bytes, uint64_t idle_bytes = 0, uint64_t idle_files = 0) const;
  void drop_copy(Entry& entry);

  const uint64_t budget_bytes_;
  const uint64_t files_max_;
  uint64_t bytes_ = 0;
  uint64_t files_ = 0;
  Instant next_copy_;  // none before, since the system could not make one
  Instant next_sweep_;
  std::unordered_map<const std::string*, Entry> bodies_;
};

}  // namespace ds::server
