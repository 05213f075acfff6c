#include "core/producer/producer_state.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace ds::producer {
namespace {

enum class Epoch : uint8_t { kOlder, kSame, kNewer };
enum class Seq : uint8_t { kAny, kRepeat, kNext, kGap, kZero };

struct FenceRule {
  Epoch epoch;
  Seq seq;
  Verdict verdict;
};

// First match wins.
constexpr FenceRule kFenceRules[] = {
    {Epoch::kOlder, Seq::kAny, Verdict::kFenced},       // a zombie
    {Epoch::kSame, Seq::kRepeat, Verdict::kDuplicate},  // a retry
    {Epoch::kSame, Seq::kNext, Verdict::kAccept},       //
    {Epoch::kSame, Seq::kGap, Verdict::kGap},           // a request before it is missing
    {Epoch::kNewer, Seq::kZero, Verdict::kAccept},      // a restarted producer claims its id
    {Epoch::kNewer, Seq::kAny, Verdict::kBadStart},     // a new epoch starts at 0
};

// Where the receipt of `seq` is in the ring.
size_t slot_of(uint64_t seq) { return static_cast<size_t>(seq % kReceiptsMax); }

}  // namespace

ProducerState::ProducerState(uint64_t epoch, uint64_t last_seq, std::vector<Position> receipts)
    : epoch_(epoch), last_seq_(last_seq) {
  const uint64_t count = std::min<uint64_t>({receipts.size(), kReceiptsMax, last_seq + 1});
  ends_.resize(static_cast<size_t>(std::min<uint64_t>(kReceiptsMax, last_seq + 1)));
  for (uint64_t i = 0; i < count; ++i) {
    ends_[slot_of(last_seq - i)] = receipts[receipts.size() - 1 - static_cast<size_t>(i)];
  }
  known_ = static_cast<uint32_t>(count);
}

Verdict ProducerState::judge(uint64_t epoch, uint64_t seq) const {
  const Epoch e = epoch < epoch_ ? Epoch::kOlder : epoch == epoch_ ? Epoch::kSame : Epoch::kNewer;
  for (const FenceRule& rule : kFenceRules) {
    if (rule.epoch != e) continue;
    const bool matches = rule.seq == Seq::kAny || (rule.seq == Seq::kRepeat && seq <= last_seq_) ||
                         (rule.seq == Seq::kNext && seq == last_seq_ + 1) ||
                         (rule.seq == Seq::kGap && seq > last_seq_ + 1) ||
                         (rule.seq == Seq::kZero && seq == 0);
    if (matches) return rule.verdict;
  }
  return Verdict::kBadStart;
}

std::optional<Position> ProducerState::receipt(uint64_t seq) const {
  if (seq > last_seq_ || last_seq_ - seq >= known_) return std::nullopt;
  return ends_[slot_of(seq)];
}

void ProducerState::accept(uint64_t epoch, uint64_t seq, Position end) {
  DS_ASSERT(epoch > epoch_ || known_ == 0 || seq == last_seq_ + 1);
  if (epoch != epoch_) {
    known_ = 0;
    ends_.clear();
  }
  epoch_ = epoch;
  last_seq_ = seq;
  const size_t slot = slot_of(seq);
  if (ends_.size() <= slot) ends_.resize(slot + 1);
  ends_[slot] = end;
  known_ = static_cast<uint32_t>(std::min<uint64_t>(known_ + 1, kReceiptsMax));
}

std::vector<Position> ProducerState::receipts() const {
  std::vector<Position> out;
  out.reserve(known_);
  for (uint64_t i = known_; i-- > 0;) out.push_back(ends_[slot_of(last_seq_ - i)]);
  return out;
}

Verdict judge_unknown(uint64_t seq) { return seq == 0 ? Verdict::kAccept : Verdict::kGap; }

}  // namespace ds::producer
