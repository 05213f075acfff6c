// Idempotent producers (PROTOCOL §5.2.1): one producer's fencing state and its recent receipts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/types.h"

namespace ds::producer {

// A retry of one of this many last sequences gets its own offset back; an older one gets the tail.
inline constexpr uint64_t kReceiptsMax = 32;

enum class [[nodiscard]] Verdict : uint8_t{
    kAccept,     // the next sequence of this epoch, or the first of a newer one: 200
    kDuplicate,  // accepted before: 204, stores nothing
    kFenced,     // an older epoch than the newest seen: 403
    kGap,        // a sequence was left out: 409 with the expected one
    kBadStart,   // a newer epoch that does not start at 0: 400
};

class ProducerState {
 public:
  ProducerState() = default;
  // For decoding a snapshot: `receipts` are the ends of the last sequences, oldest first.
  ProducerState(uint64_t epoch, uint64_t last_seq, std::vector<Position> receipts);

  uint64_t epoch() const { return epoch_; }
  uint64_t last_seq() const { return last_seq_; }
  // The sequence that would be accepted next in this epoch.
  uint64_t expected_seq() const { return last_seq_ + 1; }

  Verdict judge(uint64_t epoch, uint64_t seq) const;
  // Where the append with `seq` of the current epoch ended, if it is still known.
  std::optional<Position> receipt(uint64_t seq) const;
  // Takes up an accepted tuple whose append ended at `end`.
  // REQUIRES: judge(epoch, seq) == kAccept, or this is a producer's first tuple.
  void accept(uint64_t epoch, uint64_t seq, Position end);

  // The ends of the last sequences, oldest first, the last one being last_seq()'s.
  std::vector<Position> receipts() const;

 private:
  uint64_t epoch_ = 0;
  uint64_t last_seq_ = 0;
  uint32_t known_ = 0;          // receipts held, at most kReceiptsMax
  std::vector<Position> ends_;  // a ring: sequence s is at s % kReceiptsMax
};

// The verdict on a producer that a stream has never seen: any epoch, but sequence 0.
Verdict judge_unknown(uint64_t seq);

}  // namespace ds::producer
