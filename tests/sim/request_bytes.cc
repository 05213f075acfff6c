#include "tests/sim/request_bytes.h"

#include "core/wire/offset_text.h"

namespace ds::sim {

using wire::HeaderId;
using What = Sent::What;

namespace {

wire::Method method_of(What what) {
  switch (what) {
    case What::kCreate:
      return wire::Method::kPut;
    case What::kAppend:
      return wire::Method::kPost;
    case What::kDelete:
      return wire::Method::kDelete;
    case What::kHead:
      return wire::Method::kHead;
    default:
      return wire::Method::kGet;
  }
}

}  // namespace

std::string offset_text(Offset offset) {
  std::string text;
  wire::append_offset(text, offset);
  return text;
}

void fill(RequestBytes& out, const Sent& sent, Model& model) {
  out.text.method = method_of(sent.what);
  out.text.path = out.keep(sent.path);
  out.text.raw_path = out.keep("/v1/stream/" + sent.path);
  out.text.origin = "http://localhost";
  if (sent.tag != 0) out.text.body = out.keep(model.payload(sent.tag).body);
  if (sent.closes) out.set(HeaderId::kStreamClosed, "true");
  if (sent.ttl_s) out.set(HeaderId::kStreamTtl, std::to_string(*sent.ttl_s));
  if (const auto age = sent.retention.max_age_seconds) {
    out.set(HeaderId::kStreamMaxAge, std::to_string(*age));
  }
  if (const auto bytes = sent.retention.max_bytes) {
    out.set(HeaderId::kStreamMaxBytes, std::to_string(*bytes));
  }
  const bool inherits = !sent.source.empty();
  if (sent.what == What::kCreate ? !inherits : sent.what == What::kAppend) {
    out.set(HeaderId::kContentType,
            sent.wrong_type ? "application/x-other" : content_type(model.kind()));
  }
  if (inherits) out.set(HeaderId::kStreamForkedFrom, "/v1/stream/" + sent.source);
  if (sent.fork_at) out.set(HeaderId::kStreamForkOffset, offset_text(*sent.fork_at));
  if (sent.sub_offset > 0) {
    out.set(HeaderId::kStreamForkSubOffset, std::to_string(sent.sub_offset));
  }
  if (sent.producer) {
    out.set(HeaderId::kProducerId, sent.producer->id);
    out.set(HeaderId::kProducerEpoch, std::to_string(sent.producer->epoch));
    out.set(HeaderId::kProducerSeq, std::to_string(sent.producer->seq));
  }
  if (sent.if_match) out.set(HeaderId::kIfMatch, "\"" + offset_text(*sent.if_match) + "\"");
  if (!sent.stream_seq.empty()) out.set(HeaderId::kStreamSeq, sent.stream_seq);
  if (sent.what < What::kRead) return;
  std::string query = sent.from_now ? "offset=now"
                      : sent.at     ? "offset=" + offset_text(*sent.at)
                                    : "offset=-1";
  if (sent.what == What::kPoll) query += "&live=long-poll";
  if (sent.what == What::kSse) query += "&live=sse";
  out.text.query = out.keep(query);
}

}  // namespace ds::sim
