// The decisions about writes: pure functions of the pending state and a checked request. They never
// change anything; what is accepted becomes an op, and everything else is an answer.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/types.h"
#include "core/producer/producer_state.h"
#include "core/stream/state.h"
#include "core/wire/errors.h"
#include "core/wire/request.h"

namespace ds::stream {

// What writers are decided against: the committed state advanced by all pending ops.
struct WriterView {
  const StreamConfig& config;
  const std::vector<LifeSpan>& lives;
  const WriterState& writer;
  const producer::ProducerState* producer;  // the request's producer, or null if unknown
};

// The facts of an answer to a writer. Which headers a client sees follows from them.
struct WriteAnswer {
  uint16_t status = 204;
  wire::ErrorCode error = wire::ErrorCode::kNone;
  bool closed = false;
  bool has_producer = false;  // Producer-Epoch (and, unless fenced, Producer-Seq)
  bool has_gap = false;       // Producer-Expected-Seq, Producer-Received-Seq
  std::optional<Offset> next_offset;
  uint64_t producer_epoch = 0;
  uint64_t producer_seq = 0;
  uint64_t expected_seq = 0;
  uint64_t received_seq = 0;
};

struct AppendDecision {
  enum class Kind : uint8_t {
    kAppend,  // an op with the body, perhaps closing
    kClose,   // an op without a body
    kAnswer,  // no op: a refusal or a repetition
  };
  Kind kind = Kind::kAnswer;
  WriteAnswer answer;  // of kAppend and kClose: once the op is durable
};

// Of several reasons to refuse, the first in the order of docs/http-api.md is told. `accept_at` is
// only used for offsets in answers.
AppendDecision decide_append(const WriterView& view, const wire::AppendRequest& request);

// Whether a PUT describes the stream that is there already (PROTOCOL §5.1, §4.2): 200 or 409.
// `config` and `writer` are the pending state's.
bool create_matches(const StreamConfig& config, const std::vector<LifeSpan>& lives,
                    const WriterState& writer, const wire::CreateRequest& request);

// The content type of a stream whose PUT named none.
inline constexpr std::string_view kDefaultContentType = "application/octet-stream";

}  // namespace ds::stream
