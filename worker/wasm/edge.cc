#include "worker/wasm/edge.h"

#include "core/wire/common_headers.h"
#include "core/wire/list_request.h"
#include "core/wire/offset_text.h"
#include "core/wire/query_text.h"
#include "core/wire/stream_path.h"
#include "worker/wasm/request_text.h"

namespace ds::worker {

using wire::ErrorCode;
using wire::Method;

namespace {

constexpr std::string_view kReadMethods = "Allow: GET, HEAD, OPTIONS\r\n";

// What a read's query says about what carries the answer; whether it is valid is decided by the
// stream's object.
struct ReadQuery {
  bool sse = false;
  bool names_life = false;
};

ReadQuery look_at(std::string_view query) {
  ReadQuery found;
  std::string name_buffer;
  std::string value_buffer;
  while (!query.empty()) {
    const size_t separator = query.find('&');
    const std::string_view parameter = query.substr(0, separator);
    query = separator == std::string_view::npos ? std::string_view() : query.substr(separator + 1);
    const size_t equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = wire::decode_query_component(parameter.substr(0, equals), name_buffer);
    const auto value = wire::decode_query_component(parameter.substr(equals + 1), value_buffer);
    if (!name || !value) continue;
    if (*name == "live" && *value == "sse") found.sse = true;
    if (*name == "offset") {
      const auto offset = wire::parse_offset(*value);
      found.names_life = offset && offset->names_life;
    }
  }
  return found;
}

void refuse(EdgeDecision& decision, ErrorCode code, bool head_only, std::string_view request_id) {
  const wire::Response response = wire::error_response(code);
  decision.status = response.status;
  append_head(decision.head, response, request_id);
  if (!head_only) decision.body = body_of(response);
}

void answer_status(EdgeDecision& decision, const IncomingRequest& request,
                   std::string_view request_id) {
  const bool head_only = request.text.method == Method::kHead;
  if (request.text.method != Method::kGet && !head_only) {
    wire::Response response = wire::error_response(ErrorCode::kMethodNotAllowed);
    response.allow_stream_methods = false;
    decision.status = response.status;
    append_head(decision.head, response, request_id);
    decision.head.append(kReadMethods);
    decision.body = body_of(response);
    return;
  }
  wire::Response response;
  response.status = 200;
  response.content_type = Slice::of_static("application/json");
  decision.status = response.status;
  append_head(decision.head, response, request_id);
  if (!head_only) {
    decision.body =
        request.text.raw_path == "/health" ? "{\"status\":\"ok\"}" : "{\"status\":\"ready\"}";
  }
}

}  // namespace

EdgeDecision decide_at_edge(std::string_view head, std::string_view made_up_id) {
  const IncomingRequest request = decode_request(head, {});
  const std::string_view request_id = request.request_id.empty() ? made_up_id : request.request_id;
  const bool head_only = request.text.method == Method::kHead;
  const std::string_view path = request.text.raw_path;
  EdgeDecision decision;
  const bool of_stream = path.starts_with(wire::kStreamRoot);
  const bool listing = path.starts_with(wire::kListRoot);
  const bool status = path == "/health" || path == "/ready";
  if (!of_stream && !listing && !status) {
    refuse(decision, ErrorCode::kNotFound, head_only, request_id);
    return decision;
  }
  if (request.text.method == Method::kOptions) {
    decision.status = 204;
    decision.head.append(wire::kPreflightHeaders);
    decision.head.append("X-Request-Id: ").append(request_id).append("\r\n");
    return decision;
  }
  if (status) {
    answer_status(decision, request, request_id);
    return decision;
  }
  if (listing) {
    // Nobody here knows of all streams.
    refuse(decision, ErrorCode::kNotImplemented, head_only, request_id);
    return decision;
  }
  std::string scratch;
  const auto stream = wire::parse_stream_path(path, scratch);
  const ErrorCode refused = !stream.ok()                            ? stream.error()
                            : request.text.method == Method::kOther ? ErrorCode::kMethodNotAllowed
                                                                    : ErrorCode::kNone;
  if (refused != ErrorCode::kNone) {
    refuse(decision, refused, head_only, request_id);
    return decision;
  }
  decision.kind = EdgeDecision::Kind::kStream;
  decision.name = *stream;
  if (request.text.method != Method::kGet) return decision;
  const ReadQuery query = look_at(request.text.query);
  decision.sse = query.sse;
  decision.read = !query.sse;
  decision.shared = decision.read && query.names_life;
  return decision;
}

}  // namespace ds::worker
