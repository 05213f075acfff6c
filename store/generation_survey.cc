#include "store/generation_survey.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"

namespace ds::store {
namespace {

using stream::Op;
using stream::OpType;

// Sums up what each stream has, in memory for the streams, however many records there are.
class StreamSums {
 public:
  void add(const StreamSurvey& record) {
    if (!sums_.empty() && sums_.back().id == record.id) {
      add_to(sums_.back(), record);
      return;
    }
    if (sums_.size() == limit_) {
      sum_up();
      limit_ = std::max(kLimitMin, 2 * sums_.size());
    }
    sums_.push_back(record);
  }

  std::vector<StreamSurvey> result() {
    sum_up();
    return std::move(sums_);
  }

 private:
  static constexpr size_t kLimitMin = 4096;

  static void add_to(StreamSurvey& sum, const StreamSurvey& record) {
    sum.records += record.records;
    sum.record_bytes += record.record_bytes;
    sum.payload_bytes += record.payload_bytes;
  }

  void sum_up() {
    std::sort(sums_.begin(), sums_.end(),
              [](const StreamSurvey& a, const StreamSurvey& b) { return a.id < b.id; });
    size_t kept = 0;
    for (const StreamSurvey& each : sums_) {
      if (kept > 0 && sums_[kept - 1].id == each.id) {
        add_to(sums_[kept - 1], each);
      } else {
        sums_[kept++] = each;
      }
    }
    sums_.resize(kept);
  }

  std::vector<StreamSurvey> sums_;  // perhaps several of one stream
  size_t limit_ = kLimitMin;
};

class Surveyor {
 public:
  explicit Surveyor(Catalog& catalog) : catalog_(catalog) {}

  bool take(std::string_view record) {
    const Incarnation id{stream::record_stream(record)};
    streams_.add({id, 1, record.size(), stream::record_payload(record).size()});
    see(id);
    switch (static_cast<OpType>(record[stream::layout::kType])) {
      case OpType::kCreate:
      case OpType::kPin:
      case OpType::kUnpin:
      case OpType::kNewLife:
        break;
      default:
        return true;
    }
    const std::optional<Op> op = stream::decode_record_unchecked(record);
    return op && take_facts(*op);
  }

  const SealProblem& failed() const { return failed_; }

  GenerationSurvey result() {
    survey_.streams = streams_.result();
    return std::move(survey_);
  }

 private:
  bool take_facts(const Op& op) {
    if (op.new_life) see(*op.new_life);
    if (op.pin) see(op.pin->child);
    if (op.create) {
      for (const stream::LifeSpan& span : op.create->lives) see(span.life);
      if (op.create->fork) {
        forks_.insert(op.stream);
        settle(op.stream);
      }
    }
    if (op.type == OpType::kUnpin) {
      settle(op.pin->child);
      survey_.released_pins.insert(op.pin->child);
    }
    return op.type != OpType::kPin || open(op.stream, op.pin->child);
  }

  void see(Incarnation life) { survey_.highest_life = std::max(survey_.highest_life, life); }

  // A fork asks for its pin before it is created; but a request may come twice.
  bool open(Incarnation source, Incarnation fork) {
    if (forks_.count(fork) != 0) return true;
    const auto found = catalog_.find(fork);
    if (!found.ok()) {
      failed_ = seal_error(found.error());
      return false;
    }
    if (!found->has_value()) survey_.open_pins.emplace(fork, source);
    return true;
  }

  void settle(Incarnation fork) {
    if (survey_.open_pins.erase(fork) == 0) survey_.settled_pins.push_back(fork);
  }

  Catalog& catalog_;
  StreamSums streams_;
  std::set<Incarnation> forks_;  // created in this generation
  GenerationSurvey survey_;
  SealProblem failed_;
};

}  // namespace

Result<GenerationSurvey, SealError> survey_generation(const GenerationFile& found, uint64_t end,
                                                      Catalog& catalog) {
  Surveyor surveyor(catalog);
  const Problem problem = for_each_record_until(
      found, end,
      [&surveyor](std::string_view record, LogPosition) { return surveyor.take(record); });
  if (surveyor.failed()) return *surveyor.failed();
  if (problem) return seal_error(*problem);
  return surveyor.result();
}

}  // namespace ds::store
