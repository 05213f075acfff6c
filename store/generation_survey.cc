#include "store/generation_survey.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/stream/op.h"
#include "core/stream/op_record.h"
#include "core/stream/op_record_layout.h"

namespace ds::store {
namespace {

using stream::Op;
using stream::OpType;

class Surveyor {
 public:
  explicit Surveyor(Catalog& catalog) : catalog_(catalog) {}

  bool take(std::string_view record) {
    const uint64_t id = stream::record_stream(record);
    StreamSurvey& stream = streams_[id];
    stream.path_hash = stream::record_path_hash(record);
    ++stream.records;
    stream.payload_bytes += stream::record_payload(record).size();
    see(Incarnation{id});
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
    survey_.streams.reserve(streams_.size());
    for (auto& [id, stream] : streams_) {
      stream.id = Incarnation{id};
      survey_.streams.push_back(stream);
    }
    std::sort(survey_.streams.begin(), survey_.streams.end(),
              [](const StreamSurvey& a, const StreamSurvey& b) { return a.id < b.id; });
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
    if (op.type == OpType::kUnpin) settle(op.pin->child);
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
  // The keys are lives that engines have given out: no client chooses them.
  std::unordered_map<uint64_t, StreamSurvey> streams_;
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
