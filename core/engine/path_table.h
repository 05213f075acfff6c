// The newest stream of each path. A table without chains: with many streams nearly all that a
// lookup costs is memory that no cache holds, and here that is one line of the table, and then the
// stream itself.
//
// Borrows the streams; a stream's path must not change while it is here. References to nothing in
// it are given out. Keyed hashing: nobody outside can choose paths that collide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/hash.h"
#include "core/engine/stream_entry.h"

namespace ds::engine {

class PathTable {
 public:
  explicit PathTable(HashKey key) : key_(key) {}

  // nullptr: there is none.
  StreamEntry* find(std::string_view path) const;
  // Puts `stream` in the place of the one that has its path, which is returned; nullptr: none had.
  StreamEntry* put(StreamEntry& stream);
  // REQUIRES: find(stream.state.path) == &stream.
  void remove(const StreamEntry& stream);

  size_t size() const { return size_; }
  size_t capacity() const { return slots_.size(); }
  // Gives memory back if much fewer streams are left than it has been made for.
  void shrink();

 private:
  struct Slot {
    uint64_t hash = 0;
    StreamEntry* stream = nullptr;  // nullptr: free
  };

  size_t home(uint64_t hash) const { return static_cast<size_t>(hash) & (slots_.size() - 1); }
  size_t next(size_t at) const { return (at + 1) & (slots_.size() - 1); }
  // The slot that has `path`, or the free one where it belongs. REQUIRES: capacity() > 0.
  size_t seek(std::string_view path, uint64_t hash) const;
  void resize(size_t capacity);

  const HashKey key_;
  std::vector<Slot> slots_;  // none, or a power of two; at most three quarters in use
  size_t size_ = 0;
};

}  // namespace ds::engine
