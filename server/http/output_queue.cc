#include "server/http/output_queue.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/base/assert.h"

namespace ds::server {

namespace {
constexpr size_t kCopiedMax = 2048;  // below this a copy is cheaper than one more part of a write
constexpr size_t kPartsMax = 64;
constexpr size_t kTextBytesReserved = 2048;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

}  // namespace

std::unique_ptr<OutputBuffer> OutputPool::take() {
  if (free_.empty()) return std::make_unique<OutputBuffer>();
  std::unique_ptr<OutputBuffer> buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void OutputPool::give(std::unique_ptr<OutputBuffer> buffer) {
  if (free_.size() >= kPooledMax) return;
  if (buffer->text.capacity() > kTextBytesMax) buffer->text = std::string();
  if (buffer->pieces.capacity() > kPiecesMax) buffer->pieces = std::vector<OutputBuffer::Piece>();
  buffer->text.clear();
  buffer->pieces.clear();
  buffer->first = buffer->held = buffer->text_begin = 0;
  free_.push_back(std::move(buffer));
}

OutputBuffer& OutputQueue::buffer() {
  if (buffer_ == nullptr) buffer_ = pool_.take();
  return *buffer_;
}

std::string& OutputQueue::begin_text() {
  OutputBuffer& queued = buffer();
  if (queued.text.capacity() < kTextBytesReserved) queued.text.reserve(kTextBytesReserved);
  queued.text_mark = queued.text.size();
  return queued.text;
}

void OutputQueue::end_text() {
  OutputBuffer& queued = *buffer_;
  const size_t added = queued.text.size() - queued.text_mark;
  if (added == 0) return;
  queued.bytes += added;
  std::vector<Piece>& pieces = queued.pieces;
  if (queued.first < pieces.size() && pieces.back().data == nullptr) {
    pieces.back().size += added;
  } else {
    pieces.push_back({nullptr, nullptr, added});
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
  OutputBuffer& queued = buffer();
  queued.bytes += slice.bytes.size();
  queued.pieces.push_back({std::move(slice.owner), slice.bytes.data(), slice.bytes.size()});
}

void OutputQueue::append_twinned(Slice slice, FileTwinPtr twin) {
  if (slice.bytes.empty()) return;
  append_shared(std::move(slice));
  buffer_->pieces.back().twin = std::move(twin);
}

OutputQueue::Sent OutputQueue::send_first(int socket, const Slice& slice) {
  DS_ASSERT(empty());
  const ssize_t sent =
      ::send(socket, slice.bytes.data(), slice.bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(slice.bytes.size())) return Sent::kAll;
  append_shared(slice);
  if (sent > 0) consume(static_cast<size_t>(sent));
  return send(socket);
}

OutputQueue::Sent OutputQueue::send(int socket) {
  while (!empty()) {
    const bool in_file = buffer_->pieces[buffer_->first].twin != nullptr;
    const Sent sent = in_file ? send_from_file(socket) : send_from_memory(socket);
    if (sent != Sent::kAll) return sent;
  }
  clear();
  return Sent::kAll;
}

// Sends the pieces before the next one that a file has, or as many as go at once.
OutputQueue::Sent OutputQueue::send_from_memory(int socket) {
  const OutputBuffer& queued = *buffer_;
  iovec parts[kPartsMax];
  size_t count = 0;
  size_t offered = 0;
  size_t text_at = queued.text_begin;
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  for (size_t i = queued.first; i < queued.pieces.size() && count < kPartsMax; ++i) {
    const Piece& piece = queued.pieces[i];
    if (piece.twin != nullptr) {
      flags |= MSG_MORE;
      break;
    }
    const char* data = piece.data != nullptr ? piece.data : queued.text.data() + text_at;
    if (piece.data == nullptr) text_at += piece.size;
    parts[count++] = {const_cast<char*>(data), piece.size};
    offered += piece.size;
  }
  ssize_t sent = 0;
  do {
    if (count == 1) {
      sent = ::send(socket, parts[0].iov_base, parts[0].iov_len, flags);
    } else {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = count;
      sent = ::sendmsg(socket, &message, flags);
    }
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return would_block(errno) ? Sent::kBlocked : Sent::kBroken;
  consume(static_cast<size_t>(sent));
  return static_cast<size_t>(sent) < offered ? Sent::kBlocked : Sent::kAll;
}

// Sends of the first piece, which a file has; or finds that it is better sent from memory.
OutputQueue::Sent OutputQueue::send_from_file(int socket) {
  Piece& piece = buffer_->pieces[buffer_->first];
  const FileTwin& twin = *piece.twin;
  const auto file = twin.file.lock();
  if (file == nullptr || std::chrono::steady_clock::now() >= twin.good_until) {
    piece.twin.reset();
    return Sent::kAll;
  }
  auto at =
      static_cast<off_t>(twin.offset + static_cast<uint64_t>(piece.data - piece.owner->data()));
  ssize_t sent = 0;
  do {
    sent = ::sendfile(socket, twin.descriptor, &at, piece.size);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && would_block(errno)) return Sent::kBlocked;
  if (sent <= 0) {
    // If it was the socket and not the file, sending from memory fails, too.
    piece.twin.reset();
    return Sent::kAll;
  }
  consume(static_cast<size_t>(sent));
  return Sent::kAll;
}

void OutputQueue::consume(size_t bytes) {
  OutputBuffer& queued = *buffer_;
  DS_ASSERT(bytes <= queued.bytes);
  queued.bytes -= bytes;
  while (bytes > 0) {
    Piece& piece = queued.pieces[queued.first];
    const size_t taken = std::min(bytes, piece.size);
    if (piece.data == nullptr) {
      queued.text_begin += taken;
    } else {
      piece.data += taken;
    }
    piece.size -= taken;
    bytes -= taken;
    if (piece.size > 0) break;
    finish(piece);
    ++queued.first;
  }
  // A queue that never runs empty must not keep what it has sent.
  if (queued.first > 64 && queued.first * 2 > queued.pieces.size()) {
    queued.pieces.erase(queued.pieces.begin(),
                        queued.pieces.begin() + static_cast<ptrdiff_t>(queued.first));
    queued.held = queued.held > queued.first ? queued.held - queued.first : 0;
    queued.first = 0;
  }
  if (queued.text_begin > (16 << 10) && queued.text_begin * 2 > queued.text.size()) {
    queued.text.erase(0, queued.text_begin);
    queued.text_begin = 0;
  }
}

void OutputQueue::finish(Piece& piece) {
  if (piece.held) memory_.drop(piece.owner);
  piece.held = false;
  piece.owner.reset();
  piece.twin.reset();
}

void OutputQueue::hold() {
  if (buffer_ == nullptr) return;
  OutputBuffer& queued = *buffer_;
  for (queued.held = std::max(queued.held, queued.first); queued.held < queued.pieces.size();
       ++queued.held) {
    Piece& piece = queued.pieces[queued.held];
    if (piece.owner == nullptr) continue;
    memory_.hold(piece.owner);
    piece.held = true;
  }
  const size_t text = queued.text.size();
  if (text > queued.text_held) memory_.charge(text - queued.text_held);
  if (text < queued.text_held) memory_.release(queued.text_held - text);
  queued.text_held = text;
}

void OutputQueue::clear() {
  if (buffer_ == nullptr) return;
  OutputBuffer& queued = *buffer_;
  for (size_t i = queued.first; i < queued.pieces.size(); ++i) finish(queued.pieces[i]);
  if (queued.text_held > 0) memory_.release(queued.text_held);
  queued.text_held = 0;
  queued.bytes = 0;
  pool_.give(std::move(buffer_));
}

}  // namespace ds::server
