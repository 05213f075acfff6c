#include "core/stream/decide.h"

namespace ds::stream {
namespace {

using producer::Verdict;
using wire::AppendRequest;
using wire::ErrorCode;

AppendDecision refuse(const WriterView& view, ErrorCode code) {
  AppendDecision decision;
  decision.answer.error = code;
  decision.answer.status = wire::error_info(code).status;
  decision.answer.closed = view.writer.closed;
  decision.answer.next_offset = offset_at(view.lives, view.writer.tail);
  return decision;
}

// The verdict on the request's tuple; nothing if it has none.
std::optional<Verdict> judge(const WriterView& view, const AppendRequest& request) {
  if (!request.producer) return std::nullopt;
  if (view.producer == nullptr) return producer::judge_unknown(request.producer->seq);
  return view.producer->judge(request.producer->epoch, request.producer->seq);
}

AppendDecision repeat(const WriterView& view, const AppendRequest& request) {
  AppendDecision decision;
  WriteAnswer& answer = decision.answer;
  answer.status = 204;
  answer.closed = view.writer.closed;
  answer.has_producer = true;
  answer.producer_epoch = view.producer->epoch();
  answer.producer_seq = view.producer->last_seq();
  const std::optional<Position> receipt = view.producer->receipt(request.producer->seq);
  answer.next_offset = offset_at(view.lives, receipt.value_or(view.writer.tail));
  return decision;
}

AppendDecision refuse_tuple(const WriterView& view, const AppendRequest& request, Verdict verdict) {
  if (verdict == Verdict::kFenced) {
    AppendDecision decision = refuse(view, ErrorCode::kProducerFenced);
    decision.answer.has_producer = true;
    decision.answer.producer_epoch = view.producer->epoch();
    return decision;
  }
  if (verdict == Verdict::kBadStart) return refuse(view, ErrorCode::kNewEpochNotAtZero);
  AppendDecision decision = refuse(view, ErrorCode::kSequenceGap);
  decision.answer.has_gap = true;
  decision.answer.expected_seq = view.producer == nullptr ? 0 : view.producer->expected_seq();
  decision.answer.received_seq = request.producer->seq;
  return decision;
}

bool tail_matches(const WriterView& view, const AppendRequest& request) {
  switch (request.match) {
    case AppendRequest::Match::kNone:
    case AppendRequest::Match::kAny:
      return true;
    case AppendRequest::Match::kNever:
      return false;
    case AppendRequest::Match::kOffset:
      break;
  }
  return request.match_offset == offset_at(view.lives, view.writer.tail);
}

AppendDecision accept(const WriterView& view, const AppendRequest& request) {
  AppendDecision decision;
  const bool has_body = !request.body.bytes.empty();
  decision.kind = has_body ? AppendDecision::Kind::kAppend : AppendDecision::Kind::kClose;
  WriteAnswer& answer = decision.answer;
  answer.closed = request.close;
  answer.next_offset = offset_at(view.lives, view.writer.tail + request.body.stored_bytes());
  if (request.producer) {
    // 200 for new data: clients read a producer's 204 as "duplicate".
    answer.status = has_body ? 200 : 204;
    answer.has_producer = true;
    answer.producer_epoch = request.producer->epoch;
    answer.producer_seq = request.producer->seq;
  }
  return decision;
}

}  // namespace

AppendDecision decide_append(const WriterView& view, const AppendRequest& request) {
  const bool has_body = !request.body.bytes.empty();
  const std::optional<Verdict> verdict = judge(view, request);
  if (verdict == Verdict::kDuplicate) return repeat(view, request);
  if (verdict == Verdict::kFenced) return refuse_tuple(view, request, *verdict);
  if (view.writer.closed) {
    const bool close_again = !has_body && request.close && !request.producer;
    if (!close_again) return refuse(view, ErrorCode::kStreamClosed);
    AppendDecision decision;
    decision.answer.closed = true;
    decision.answer.next_offset = offset_at(view.lives, view.writer.tail);
    return decision;
  }
  if (has_body && !wire::same_media_type(request.content_type, view.config.content_type)) {
    return refuse(view, ErrorCode::kContentTypeMismatch);
  }
  if (verdict && *verdict != Verdict::kAccept) return refuse_tuple(view, request, *verdict);
  if (request.stream_seq && view.writer.has_seq && *request.stream_seq <= view.writer.last_seq) {
    return refuse(view, ErrorCode::kSequenceRegression);
  }
  if (!tail_matches(view, request)) return refuse(view, ErrorCode::kPreconditionFailed);
  return accept(view, request);
}

bool create_matches(const StreamConfig& config, const std::vector<LifeSpan>& lives,
                    const WriterState& writer, const wire::CreateRequest& request) {
  if (request.closed != writer.closed) return false;
  if (request.fork.has_value() != config.fork.has_value()) return false;
  if (!request.fork) {
    const std::string_view type =
        request.content_type.empty() ? kDefaultContentType : request.content_type;
    return wire::same_media_type(type, config.content_type) &&
           request.ttl_seconds == config.ttl_seconds && request.expires_at == config.expires_at &&
           Retention{request.max_age_seconds, request.max_bytes} == config.retention;
  }
  // What a fork request leaves out is inherited and so matches.
  const ForkOrigin& origin = *config.fork;
  if (request.fork->path != origin.source_path) return false;
  if (request.fork->sub_offset != origin.sub_offset) return false;
  if (request.fork->offset) {
    const Offset wanted = *request.fork->offset;
    const std::optional<Position> at =
        wanted == Offset{} ? Position{0} : resolve_offset(lives, wanted, origin.position);
    if (!at || wanted.position != origin.anchor || *at > origin.position) return false;
  }
  if (!request.content_type.empty() &&
      !wire::same_media_type(request.content_type, config.content_type)) {
    return false;
  }
  if (Retention{request.max_age_seconds, request.max_bytes} != config.retention) return false;
  if (request.ttl_seconds && request.ttl_seconds != config.ttl_seconds) return false;
  if (request.expires_at && request.expires_at != config.expires_at) return false;
  return true;
}

}  // namespace ds::stream
