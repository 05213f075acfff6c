// What a connection still has to send, in order: copied text and shared slices, written with
// gathered, non-blocking writes.
//
// An empty queue holds no memory: what a queue is while it is not lies in a buffer that comes from
// and goes back to the loop's pool. What a queue cannot send at once counts as answer memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/slice.h"
#include "server/http/answer_memory.h"
#include "server/http/file_twin.h"

namespace ds::server {

// The contents of a queue.
struct OutputBuffer {
  // Text pieces have no data: they are the next `size` bytes of `text`.
  struct Piece {
    SharedBytes owner;
    const char* data;
    size_t size;
    bool held = false;
    FileTwinPtr twin = nullptr;  // of all of `owner`; null: none that is of any use
  };
  uint64_t bytes = 0;  // that have not been sent
  std::string text;
  uint64_t text_held = 0;  // bytes charged for it
  size_t text_begin = 0;   // of what has not been sent
  size_t text_mark = 0;    // of the text being appended
  std::vector<Piece> pieces;
  size_t first = 0;  // of the pieces that have not been sent
  size_t held = 0;   // pieces before this one have been held, or sent
};

// The buffers of one loop, for reuse.
class OutputPool {
 public:
  std::unique_ptr<OutputBuffer> take();
  // REQUIRES: there is nothing in it any more, and nothing is charged for it.
  void give(std::unique_ptr<OutputBuffer> buffer);

 private:
  // As many as may be in use in one turn, roughly.
  static constexpr size_t kPooledMax = 1024;
  // A buffer that has grown beyond these gives its memory back.
  static constexpr size_t kTextBytesMax = 16 << 10;
  static constexpr size_t kPiecesMax = 16;
  std::vector<std::unique_ptr<OutputBuffer>> free_;
};

class OutputQueue {
 public:
  OutputQueue(OutputPool& pool, AnswerMemory& memory) : pool_(pool), memory_(memory) {}
  ~OutputQueue() { clear(); }
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  bool empty() const { return bytes() == 0; }
  uint64_t bytes() const { return buffer_ == nullptr ? 0 : buffer_->bytes; }

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
  // The same, but the system may send it from a file that has all of slice.owner.
  void append_twinned(Slice slice, FileTwinPtr twin);

  enum class [[nodiscard]] Sent : uint8_t{kAll, kBlocked, kBroken};
  // Writes what the socket takes.
  Sent send(int socket);
  // The same for what is queued by this very call.
  // REQUIRES: empty(), and that there are bytes.
  Sent send_first(int socket, const Slice& slice);

  // What is queued now will have to wait: charges for it, until it has been sent or cleared.
  void hold();

  void clear();

 private:
  using Piece = OutputBuffer::Piece;
  OutputBuffer& buffer();
  Sent send_from_memory(int socket);
  Sent send_from_file(int socket);
  void consume(size_t bytes);
  void finish(Piece& piece);

  OutputPool& pool_;
  AnswerMemory& memory_;
  std::unique_ptr<OutputBuffer> buffer_;
};

}  // namespace ds::server
