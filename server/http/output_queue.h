// What a connection still has to send, in order: copied text and shared slices, written with
// gathered, non-blocking writes.
//
// An empty queue holds no memory: its text buffer comes from and goes back to the loop's pool. What
// a queue cannot send at once counts as answer memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/slice.h"
#include "server/http/answer_memory.h"

namespace ds::server {

// Text buffers of one loop, for reuse.
class TextPool {
 public:
  std::string take();
  void give(std::string&& text);

 private:
  static constexpr size_t kPooledMax = 256;
  static constexpr size_t kCapacityMax = 64 << 10;
  std::vector<std::string> free_;
};

class OutputQueue {
 public:
  OutputQueue(TextPool& pool, AnswerMemory& memory) : pool_(pool), memory_(memory) {}
  ~OutputQueue() { clear(); }
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  bool empty() const { return bytes_ == 0; }
  uint64_t bytes() const { return bytes_; }

  // Where text is appended; end_text() must follow before anything else.
  std::string& begin_text();
  void end_text();

  void append_text(std::string_view text) {
    begin_text().append(text);
    end_text();
  }
  // By reference, or copied if it is small.
  void append(const Slice& slice);
  void append_shared(Slice slice);

  enum class [[nodiscard]] Sent : uint8_t{kAll, kBlocked, kBroken};
  // Writes what the socket takes. `*progress` tells whether that was anything.
  Sent send(int socket, bool* progress);

  // What is queued now will have to wait: charges for it, until it has been sent or cleared.
  void hold();

  void clear();

 private:
  // Text pieces have no data: they are the next `size` bytes of text_.
  struct Piece {
    SharedBytes owner;
    const char* data;
    size_t size;
    bool held = false;
  };
  void consume(size_t bytes);
  void finish(Piece& piece);

  TextPool& pool_;
  AnswerMemory& memory_;
  std::string text_;
  uint64_t text_held_ = 0;  // bytes charged for text_
  size_t text_begin_ = 0;   // of what has not been sent
  size_t text_mark_ = 0;    // of the text being appended
  std::vector<Piece> pieces_;
  size_t first_ = 0;  // of the pieces that have not been sent
  size_t held_ = 0;   // pieces before this one have been held, or sent
  uint64_t bytes_ = 0;
};

}  // namespace ds::server
