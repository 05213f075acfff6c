#include "worker/wasm/history.h"

#include <algorithm>
#include <utility>

#include "core/stream/op.h"

namespace ds::worker {

using engine::LoadOutcome;
using segment::SealedChunk;
using segment::SealedPiece;
using segment::SealedRead;

struct History::Reading {
  SealedRead read;
  Done done;
  size_t piece = 0;
  bool begun = false;
  bool whole = false;  // has reached its boundary
  SealedChunk chunk;
  std::string bytes;

  void begin_at(Position begin) {
    begun = true;
    chunk.begin = chunk.end = begin;
    if (read.boundary == Position{}) {
      read.boundary = segment::chunk_boundary(begin, read.max_chunk_bytes);
    }
  }
  // A message [begin, end) that ends after the place looked for. False: it cannot be the next one.
  bool take(Position begin, Position end, uint64_t time_ms, std::string_view stored, Position to) {
    if (!begun) begin_at(begin);
    if (begin != chunk.end) return false;
    chunk.end = std::min(end, to);
    chunk.ends.push_back(chunk.end);
    chunk.newest_ms = time_ms;
    bytes.append(stored.substr(0, static_cast<size_t>(chunk.end - begin)));
    whole = chunk.end >= read.boundary;
    return true;
  }
};

void History::set_owner(Incarnation owner, std::string source_path) {
  owner_ = owner;
  source_path_ = std::move(source_path);
  lists_.reset();
}

void History::read(SealedRead read, Done done) {
  const auto reading = std::make_shared<Reading>();
  reading->read = std::move(read);
  reading->done = std::move(done);
  go_on(reading);
}

void History::finish(const ReadingPtr& reading, LoadOutcome outcome) {
  reading->chunk.bytes = share(std::move(reading->bytes));
  reading->done(outcome, std::move(reading->chunk));
}

void History::go_on(const ReadingPtr& reading) {
  while (!reading->whole && reading->piece < reading->read.pieces.size()) {
    const SealedPiece piece = reading->read.pieces[reading->piece];
    const Position at = reading->begun ? std::max(piece.from, reading->chunk.end) : piece.from;
    if (at >= piece.to) {
      ++reading->piece;
      continue;
    }
    if (piece.owner != owner_) return ask_source(reading, at);
    const std::optional<Part> part = journal_.part_around(at);
    if (part && !part->object.empty()) {
      if (lists_ == nullptr || lists_->object != part->object) return read_lists(reading, *part);
      return read_data(reading, at, piece.to);
    }
    const uint32_t generation = part ? part->generation : journal_.open_generation();
    const bool intact = take_rows(*reading, generation, at, piece.to);
    if (!intact || !reading->begun || reading->chunk.end <= at) {
      return finish(reading, LoadOutcome::kCorrupt);
    }
  }
  finish(reading, LoadOutcome::kDone);
}

bool History::take_rows(Reading& reading, uint32_t generation, Position at, Position to) {
  bool intact = true;
  const bool scanned =
      journal_.read_generation(generation, [&](std::string_view record, LogPosition) {
        const std::optional<stream::Op> op = stream::decode_record(record);
        intact = op.has_value();
        if (!intact) return false;
        if (op->payload.empty() || op->end() <= at || op->stream != owner_) return true;
        intact = reading.take(op->position, op->end(), static_cast<uint64_t>(op->time.us / 1000),
                              op->payload, to);
        return intact && !reading.whole && reading.chunk.end < to;
      });
  return scanned && intact;
}

// --- Of a fork's source -------------------------------------------------------------------------

void History::ask_source(const ReadingPtr& reading, Position at) {
  if (source_path_.empty()) return finish(reading, LoadOutcome::kCorrupt);
  ReadCall call;
  call.read.max_chunk_bytes = reading->read.max_chunk_bytes;
  call.read.boundary = reading->read.boundary;
  for (size_t i = reading->piece; i < reading->read.pieces.size(); ++i) {
    const SealedPiece& piece = reading->read.pieces[i];
    if (piece.owner == owner_) break;
    call.read.pieces.push_back(piece);
  }
  call.read.pieces.front().from = at;
  calls_.peer(source_path_, call, [this, reading, at](const PeerAnswer& answer) {
    const auto* read = std::get_if<ReadAnswer>(&answer);
    if (read == nullptr) return finish(reading, LoadOutcome::kFailed);
    const SealedChunk& chunk = read->chunk;
    if (!reading->begun) reading->begin_at(chunk.begin);
    const bool follows = !read->corrupt && chunk.end > at && chunk.begin == reading->chunk.end;
    if (!follows) return finish(reading, LoadOutcome::kCorrupt);
    reading->bytes.append(*chunk.bytes);
    reading->chunk.ends.insert(reading->chunk.ends.end(), chunk.ends.begin(), chunk.ends.end());
    reading->chunk.end = chunk.end;
    reading->chunk.newest_ms = chunk.newest_ms;
    reading->whole = chunk.end >= reading->read.boundary;
    go_on(reading);
  });
}

// --- In objects ---------------------------------------------------------------------------------

void History::read_lists(const ReadingPtr& reading, const Part& part) {
  const uint64_t size = part.head_offset + part.head_bytes - part.lists_offset;
  const auto read = [this, reading, part](ObjectOutcome outcome, std::string_view bytes) {
    if (outcome == ObjectOutcome::kFailed) return finish(reading, LoadOutcome::kFailed);
    const size_t lists_bytes = static_cast<size_t>(part.head_offset - part.lists_offset);
    if (outcome == ObjectOutcome::kMissing || bytes.size() != lists_bytes + part.head_bytes) {
      return finish(reading, LoadOutcome::kCorrupt);
    }
    auto head = segment::decode_head(bytes.substr(lists_bytes));
    if (!head || head->extent.begin != part.begin || head->extent.end != part.end) {
      return finish(reading, LoadOutcome::kCorrupt);
    }
    auto lists = std::make_shared<Lists>();
    lists->object = part.object;
    for (const segment::Block& block : head->blocks) {
      const uint64_t at = block.list_offset - part.lists_offset;
      if (at > lists_bytes || block.list_bytes > lists_bytes - at) {
        return finish(reading, LoadOutcome::kCorrupt);
      }
      const auto messages =
          segment::decode_messages(block, bytes.substr(static_cast<size_t>(at), block.list_bytes));
      if (!messages) return finish(reading, LoadOutcome::kCorrupt);
      lists->messages.insert(lists->messages.end(), messages->begin(), messages->end());
    }
    lists->head = std::move(*head);
    lists_ = std::move(lists);
    go_on(reading);
  };
  calls_.get_object(part.object, part.lists_offset, size, read);
}

void History::read_data(const ReadingPtr& reading, Position at, Position to) {
  const std::shared_ptr<const Lists> lists = lists_;
  const std::vector<segment::Block>& blocks = lists->head.blocks;
  const auto first =
      std::upper_bound(blocks.begin(), blocks.end(), at,
                       [](Position p, const segment::Block& block) { return p < block.end; });
  // The answer cannot go on behind this.
  const Position reach = reading->read.boundary == Position{} ? at + reading->read.max_chunk_bytes
                                                              : reading->read.boundary;
  const Position target = std::min(reach, to);
  auto last = std::find_if(first, blocks.end(),
                           [target](const segment::Block& block) { return block.end >= target; });
  if (last == blocks.end()) --last;
  if (first > last) return finish(reading, LoadOutcome::kCorrupt);
  const auto first_index = static_cast<size_t>(first - blocks.begin());
  const auto last_index = static_cast<size_t>(last - blocks.begin());
  const auto read = [this, reading, lists, first_index, last_index, at, to](ObjectOutcome outcome,
                                                                            std::string_view data) {
    if (outcome == ObjectOutcome::kFailed) return finish(reading, LoadOutcome::kFailed);
    lists_ = lists;
    const bool taken = outcome == ObjectOutcome::kDone &&
                       take_blocks(*reading, first_index, last_index, data, at, to);
    if (!taken || reading->chunk.end <= at) return finish(reading, LoadOutcome::kCorrupt);
    go_on(reading);
  };
  calls_.get_object(lists->object, first->data_offset, last->end - first->begin, read);
}

bool History::take_blocks(Reading& reading, size_t first, size_t last, std::string_view data,
                          Position at, Position to) {
  const std::vector<segment::Block>& blocks = lists_->head.blocks;
  const Position origin = blocks[first].begin;
  if (data.size() != blocks[last].end - origin) return false;
  for (size_t i = first; i <= last; ++i) {
    const auto part = data.substr(static_cast<size_t>(blocks[i].begin - origin),
                                  static_cast<size_t>(blocks[i].end - blocks[i].begin));
    if (!segment::data_intact(blocks[i], part)) return false;
  }
  const std::vector<segment::Message>& messages = lists_->messages;
  auto message = std::upper_bound(messages.begin(), messages.end(), at,
                                  [](Position p, const segment::Message& m) { return p < m.end; });
  Position begin =
      message == messages.begin() ? lists_->head.extent.begin : std::prev(message)->end;
  for (; message != messages.end() && message->end <= blocks[last].end; ++message) {
    const auto stored =
        data.substr(static_cast<size_t>(begin - origin), static_cast<size_t>(message->end - begin));
    if (!reading.take(begin, message->end, message->time_ms, stored, to)) return false;
    if (reading.whole || reading.chunk.end >= to) return true;
    begin = message->end;
  }
  return true;
}

}  // namespace ds::worker
