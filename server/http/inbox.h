// Where a connection receives: a buffer, the parser of the request at its front, and that request's
// body if it did not come with the head. Borrowed from the loop's pool while there is something to
// receive; an idle connection has none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/byte_buffer.h"
#include "server/http/chunk_decoder.h"
#include "server/http/request_parser.h"
#include "server/http/target.h"

namespace ds::server {

class Inbox {
 public:
  Inbox(const ParserLimits& limits, uint64_t body_bytes_max)
      : capacity(std::max(limits.head_bytes_max, kHeadBytesMin) + kRoomMin),
        data(new char[capacity]),
        parser(limits),
        chunks(body_bytes_max) {}

  std::string_view unread() const { return {data.get() + begin, end - begin}; }
  bool empty() const { return begin == end; }
  size_t room() const { return capacity - end; }

  // Moves what is unread to the front. REQUIRES: nobody looks at a parsed head.
  void compact() {
    if (begin == 0) return;
    std::memmove(data.get(), data.get() + begin, end - begin);
    end -= begin;
    begin = 0;
  }

  static constexpr size_t kHeadBytesMin = 12 << 10;
  static constexpr size_t kRoomMin = 4 << 10;  // behind the longest head

  const size_t capacity;
  std::unique_ptr<char[]> data;
  size_t begin = 0;
  size_t end = 0;
  RequestParser parser;
  ChunkDecoder chunks;
  size_t body_begin = 0;       // where the head at the front ends
  bool head_begun = false;     // the parser has seen the first bytes of a request
  bool body_in_place = false;  // the body lies behind the head, in the buffer
  Target target;
  Route route = Route::kNone;
  ByteBuffer body;            // what came of a body that is not wholly in the buffer
  uint64_t body_charged = 0;  // bytes of it that count against the loop's budget
};

class InboxPool {
 public:
  InboxPool(const ParserLimits& limits, uint64_t body_bytes_max)
      : limits_(limits), body_bytes_max_(body_bytes_max) {}

  std::unique_ptr<Inbox> take() {
    if (free_.empty()) return std::make_unique<Inbox>(limits_, body_bytes_max_);
    std::unique_ptr<Inbox> inbox = std::move(free_.back());
    free_.pop_back();
    return inbox;
  }
  // REQUIRES: nothing unread, no body.
  void give(std::unique_ptr<Inbox> inbox) {
    if (free_.size() >= kPooledMax) return;
    inbox->begin = inbox->end = 0;
    free_.push_back(std::move(inbox));
  }

 private:
  static constexpr size_t kPooledMax = 64;
  ParserLimits limits_;
  uint64_t body_bytes_max_;
  std::vector<std::unique_ptr<Inbox>> free_;
};

}  // namespace ds::server
