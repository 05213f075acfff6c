// Copies of large bodies that are sent again and again from memory, in a file without a disk
// (memfd): the system sends its pages as they are, where it would copy those of the heap for each
// client. A copy is made when a body is sent the second time, and kept for as long as the body.
//
// A place in the file is used once: what is on its way to a client still refers to its pages.
//
// One per event loop, on its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/base/slice.h"
#include "server/http/file_twin.h"

namespace ds::server {

class SendCache {
 public:
  // Smaller ones are not worth it; larger ones would hold up the loop while they are copied.
  static constexpr uint64_t kBodyBytesMin = 64 << 10;
  static constexpr uint64_t kBodyBytesMax = 4 << 20;
  // Bodies that are known, with a copy or without.
  static constexpr size_t kBodiesMax = 1024;

  // Copies take at most `budget_bytes` together; none are made if it is 0.
  explicit SendCache(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}
  SendCache(const SendCache&) = delete;
  SendCache& operator=(const SendCache&) = delete;

  // `body` is about to be sent, most of it. Returns its copy, or null: it is the first time, there
  // is no room, or the system has no such file.
  FileTwinPtr copy_of(const SharedBytes& body);

  // Lets go of the copies of bodies that nobody has any more.
  void sweep();

  // Memory of all copies.
  uint64_t bytes() const { return memory_ == nullptr ? 0 : memory_->bytes; }

 private:
  struct Memory {
    explicit Memory(int file) : descriptor(file) {}
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    int descriptor;
    uint64_t end = 0;    // of what has been used
    uint64_t bytes = 0;  // of copies that are there
  };
  // One body's place; its pages are given back when it ends.
  struct Place {
    std::shared_ptr<Memory> memory;
    uint64_t offset;
    uint64_t size;  // whole pages
    Place(std::shared_ptr<Memory> in, uint64_t at, uint64_t bytes);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
  };
  struct Entry {
    std::weak_ptr<const std::string> body;
    FileTwinPtr copy;
  };

  FileTwinPtr copy(const std::string& body);

  const uint64_t budget_bytes_;
  bool failed_ = false;  // the system has no such file
  std::shared_ptr<Memory> memory_;
  std::unordered_map<const std::string*, Entry> bodies_;
};

}  // namespace ds::server
