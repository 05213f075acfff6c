#include "server/http/target.h"

#include "core/wire/list_request.h"
#include "core/wire/stream_path.h"
#include "core/wire/text.h"
#include "server/http/host_name.h"

namespace ds::server {

std::optional<Target> split_target(wire::Method method, std::string_view target) {
  Target result;
  if (target == "*") {
    if (method != wire::Method::kOptions) return std::nullopt;
    result.path = target;
    return result;
  }
  if (target.find('#') != std::string_view::npos) return std::nullopt;
  if (target.front() != '/') {
    const size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return std::nullopt;
    const std::string_view name = target.substr(0, scheme);
    if (!wire::equals_ignoring_case(name, "http") && !wire::equals_ignoring_case(name, "https")) {
      return std::nullopt;
    }
    target.remove_prefix(scheme + 3);
    const size_t end = target.find_first_of("/?");
    result.authority = target.substr(0, end);
    if (result.authority.empty() || !is_host(result.authority)) return std::nullopt;
    target = end == std::string_view::npos ? std::string_view("/") : target.substr(end);
  }
  const size_t question = target.find('?');
  result.path = target.substr(0, question);
  if (result.path.empty()) result.path = "/";
  if (question != std::string_view::npos) result.query = target.substr(question + 1);
  return result;
}

namespace {

// The value of a hexadecimal digit, or -1.
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Whether a query component stands for `name`, with escapes or without.
bool spells(std::string_view component, std::string_view name) {
  for (const char wanted : name) {
    if (component.empty()) return false;
    int c = component.front();
    size_t used = 1;
    if (c == '%' && component.size() >= 3) {
      c = hex_value(component[1]) * 16 + hex_value(component[2]);
      used = 3;
    }
    if (c != wanted) return false;
    component.remove_prefix(used);
  }
  return component.empty();
}

}  // namespace

bool asks_for_live(std::string_view query) {
  while (!query.empty()) {
    const size_t separator = query.find('&');
    const std::string_view parameter = query.substr(0, separator);
    query = separator == std::string_view::npos ? std::string_view() : query.substr(separator + 1);
    if (spells(parameter.substr(0, parameter.find('=')), "live")) return true;
  }
  return false;
}

std::string_view route_name(Route route) {
  static constexpr std::string_view kNames[kRouteCount] = {"stream",  "streams", "health", "ready",
                                                           "metrics", "any",     "none"};
  return kNames[static_cast<size_t>(route)];
}

Route route_of(std::string_view path) {
  if (path.starts_with(wire::kStreamRoot)) return Route::kStream;
  if (path.starts_with(wire::kListRoot)) return Route::kStreams;
  if (path == "/health") return Route::kHealth;
  if (path == "/ready") return Route::kReady;
  if (path == "/metrics") return Route::kMetrics;
  if (path == "*") return Route::kAny;
  return Route::kNone;
}

void build_origin(std::string& out, const RequestHead& head, std::string_view authority,
                  bool trusted) {
  std::string_view scheme = "http";
  std::string_view host = authority.empty() ? head.host : authority;
  if (trusted) {
    if (wire::equals_ignoring_case(head.forwarded_proto, "https")) scheme = "https";
    if (!head.forwarded_host.empty()) host = head.forwarded_host;
  }
  out.clear();
  if (host.empty()) return;
  out.append(scheme).append("://").append(host);
}

}  // namespace ds::server
