#include "server/http/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/assert.h"

namespace ds::server {

namespace {
constexpr size_t kCopiedMax = 2048;  // below this a copy is cheaper than one more part of a write
constexpr size_t kPartsMax = 64;
constexpr size_t kTextBytesReserved = 2048;
}  // namespace

std::string TextPool::take() {
  if (free_.empty()) {
    std::string fresh;
    fresh.reserve(kTextBytesReserved);
    return fresh;
  }
  std::string text = std::move(free_.back());
  free_.pop_back();
  return text;
}

void TextPool::give(std::string&& text) {
  if (free_.size() >= kPooledMax || text.capacity() > kCapacityMax) return;
  text.clear();
  free_.push_back(std::move(text));
}

std::string& OutputQueue::begin_text() {
  if (text_.capacity() < kTextBytesReserved) text_ = pool_.take();
  text_mark_ = text_.size();
  return text_;
}

void OutputQueue::end_text() {
  const size_t added = text_.size() - text_mark_;
  if (added == 0) return;
  bytes_ += added;
  if (!pieces_.empty() && first_ < pieces_.size() && pieces_.back().data == nullptr) {
    pieces_.back().size += added;
  } else {
    pieces_.push_back({nullptr, nullptr, added});
  }
}

void OutputQueue::append(const Slice& slice) {
  if (slice.bytes.size() <= kCopiedMax) {
    append_text(slice.bytes);
  } else {
    append_shared(slice);
  }
}

void OutputQueue::append_shared(Slice slice) {
  if (slice.bytes.empty()) return;
  bytes_ += slice.bytes.size();
  pieces_.push_back({std::move(slice.owner), slice.bytes.data(), slice.bytes.size()});
}

OutputQueue::Sent OutputQueue::send(int socket, bool* progress) {
  *progress = false;
  while (bytes_ > 0) {
    iovec parts[kPartsMax];
    size_t count = 0;
    size_t offered = 0;
    size_t text_at = text_begin_;
    for (size_t i = first_; i < pieces_.size() && count < kPartsMax; ++i) {
      const Piece& piece = pieces_[i];
      const char* data = piece.data != nullptr ? piece.data : text_.data() + text_at;
      if (piece.data == nullptr) text_at += piece.size;
      parts[count++] = {const_cast<char*>(data), piece.size};
      offered += piece.size;
    }
    ssize_t sent = 0;
    if (count == 1) {
      sent = ::send(socket, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = count;
      sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? Sent::kBlocked
                                                                         : Sent::kBroken;
    }
    *progress = true;
    consume(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < offered) return Sent::kBlocked;
  }
  clear();
  return Sent::kAll;
}

void OutputQueue::consume(size_t bytes) {
  DS_ASSERT(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes > 0) {
    Piece& piece = pieces_[first_];
    const size_t taken = std::min(bytes, piece.size);
    if (piece.data == nullptr) {
      text_begin_ += taken;
    } else {
      piece.data += taken;
    }
    piece.size -= taken;
    bytes -= taken;
    if (piece.size > 0) break;
    finish(piece);
    ++first_;
  }
  // A queue that never runs empty must not keep what it has sent.
  if (first_ > 64 && first_ * 2 > pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(first_));
    held_ = held_ > first_ ? held_ - first_ : 0;
    first_ = 0;
  }
  if (text_begin_ > (16 << 10) && text_begin_ * 2 > text_.size()) {
    text_.erase(0, text_begin_);
    text_begin_ = 0;
  }
}

void OutputQueue::finish(Piece& piece) {
  if (piece.held) memory_.drop(piece.owner);
  piece.held = false;
  piece.owner.reset();
}

void OutputQueue::hold() {
  for (held_ = std::max(held_, first_); held_ < pieces_.size(); ++held_) {
    Piece& piece = pieces_[held_];
    if (piece.owner == nullptr) continue;
    memory_.hold(piece.owner);
    piece.held = true;
  }
  if (text_.size() > text_held_) memory_.charge(text_.size() - text_held_);
  if (text_.size() < text_held_) memory_.release(text_held_ - text_.size());
  text_held_ = text_.size();
}

void OutputQueue::clear() {
  for (size_t i = first_; i < pieces_.size(); ++i) finish(pieces_[i]);
  if (text_held_ > 0) memory_.release(text_held_);
  text_held_ = 0;
  held_ = 0;
  if (text_.capacity() >= kTextBytesReserved) pool_.give(std::exchange(text_, std::string()));
  text_begin_ = 0;
  if (pieces_.capacity() > 16) {
    std::vector<Piece>().swap(pieces_);
  } else {
    pieces_.clear();
  }
  first_ = 0;
  bytes_ = 0;
}

}  // namespace ds::server
