// For tests of engines: what a host has sealed, in memory. Sealing is the recovery of a generation.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/slice.h"
#include "core/engine/actions.h"
#include "core/stream/op_record.h"
#include "core/stream/snapshot.h"
#include "core/stream/state.h"

namespace ds::engine::test {

class TestCatalog {
 public:
  struct Touched {
    Incarnation id;
    uint64_t path_hash = 0;
  };

  bool empty() const { return sealed_through_ == 0; }
  uint32_t sealed_through() const { return sealed_through_; }
  Incarnation highest_life() const { return highest_life_; }
  const std::map<Incarnation, Incarnation>& open_pins() const { return open_pins_; }

  // Takes the records of one generation out of the log.
  std::vector<Touched> seal(uint32_t generation, std::map<LogPosition, std::string>& log) {
    EXPECT_EQ(generation, sealed_through_ + 1);
    sealed_through_ = generation;
    std::map<Incarnation, stream::StreamState> states;
    std::set<Incarnation> unpinned;
    const auto until = log.lower_bound(log_position(generation + 1, 0));
    for (auto at = log.begin(); at != until; ++at) {
      const auto op = stream::decode_record(at->second);
      highest_life_ = std::max(highest_life_, op->stream);
      if (op->new_life) highest_life_ = std::max(highest_life_, *op->new_life);
      if (op->pin) highest_life_ = std::max(highest_life_, op->pin->child);
      if (op->type == stream::OpType::kPin) open_pins_[op->pin->child] = op->stream;
      if (op->type == stream::OpType::kUnpin) {
        open_pins_.erase(op->pin->child);
        unpinned.insert(op->pin->child);
      }
      if (op->type == stream::OpType::kCreate) open_pins_.erase(op->stream);
      auto state = states.find(op->stream);
      if (state == states.end()) {
        const auto known = streams_.find(op->stream);
        auto begun = known == streams_.end() ? stream::new_state(*op, {})
                                             : *stream::decode_snapshot(known->second.snapshot);
        state = states.emplace(op->stream, std::move(begun)).first;
      }
      EXPECT_TRUE(stream::apply(state->second, *op, at->first));
      if (!op->payload.empty()) {
        const Message message{op->position, op->end(), static_cast<uint64_t>(op->time.us / 1000),
                              std::string(op->payload)};
        messages_[op->stream].emplace(op->end(), message);
      }
    }
    log.erase(log.begin(), until);
    std::vector<Touched> touched;
    for (auto& [id, state] : states) {
      if (state.gone) {
        if (state.config.fork && unpinned.count(id) == 0) {
          open_pins_[id] = state.config.fork->source;
        }
        streams_.erase(id);
        messages_.erase(id);
        continue;
      }
      touched.push_back({id, state.path_hash});
      Sealed& sealed = streams_[id];
      sealed.path = state.path;
      sealed.snapshot.clear();
      stream::append_snapshot(sealed.snapshot, state);
      std::erase_if(messages_[id], [&, &state = state](const auto& entry) {
        return !stream::needs(state, entry.second.begin, entry.second.end);
      });
    }
    return touched;
  }

  std::optional<std::string> snapshot(Incarnation id) const {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return std::nullopt;
    return found->second.snapshot;
  }
  std::optional<std::string> find(const Find& find) const {
    if (find.path.empty()) return snapshot(find.stream);
    for (const auto& [id, sealed] : streams_) {
      if (sealed.path == find.path) return sealed.snapshot;
    }
    return std::nullopt;
  }

  // Nothing if it is not there: corrupt.
  std::optional<segment::SealedChunk> read(const segment::SealedRead& read) const {
    segment::SealedChunk chunk;
    std::string bytes;
    Position boundary = read.boundary;
    bool begun = false;
    EXPECT_FALSE(read.pieces.empty());
    Position at = read.pieces.front().from;
    for (const segment::SealedPiece& piece : read.pieces) {
      EXPECT_LT(piece.from, piece.to);
      EXPECT_LE(piece.from, at);
      const auto owner = messages_.find(piece.owner);
      while (at < piece.to) {
        if (owner == messages_.end()) return std::nullopt;
        const auto found = owner->second.upper_bound(at);
        if (found == owner->second.end() || found->second.begin > at) return std::nullopt;
        if (damaged_.count(found->first) > 0) return std::nullopt;
        const Message& message = found->second;
        if (!begun) {
          begun = true;
          chunk.begin = message.begin;
          if (boundary == Position{}) {
            boundary = segment::chunk_boundary(chunk.begin, read.max_chunk_bytes);
          }
        }
        const Position end = std::min(message.end, piece.to);
        bytes += message.bytes.substr(0, static_cast<size_t>(end - message.begin));
        chunk.ends.push_back(end);
        chunk.newest_ms = message.time_ms;
        chunk.end = at = end;
        if (end >= boundary) break;
      }
      if (begun && at >= boundary) break;
    }
    chunk.bytes = share(std::move(bytes));
    return chunk;
  }

  // The message that ends there can no longer be read.
  void damage(Position end) { damaged_.insert(end); }
  size_t streams() const { return streams_.size(); }

 private:
  struct Sealed {
    std::string path;
    std::string snapshot;
  };
  struct Message {
    Position begin;
    Position end;
    uint64_t time_ms = 0;
    std::string bytes;
  };
  uint32_t sealed_through_ = 0;
  Incarnation highest_life_;
  std::map<Incarnation, Sealed> streams_;
  std::map<Incarnation, std::map<Position, Message>> messages_;  // by end
  std::map<Incarnation, Incarnation> open_pins_;                 // source by fork
  std::set<Position> damaged_;
};

}  // namespace ds::engine::test
