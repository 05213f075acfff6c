// What a request is for: its target taken apart (RFC 9112 §3.2), and the route that it names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/wire/request.h"
#include "server/http/request_parser.h"

namespace ds::server {

struct Target {
  std::string_view path;       // begins with '/'; "*" for OPTIONS *
  std::string_view query;      // behind '?', "" if there is none
  std::string_view authority;  // of the absolute form, else ""
};

// Nothing if `target` has none of the forms that a server of ours can be asked for.
std::optional<Target> split_target(wire::Method method, std::string_view target);

// Whether a read with this query asks for a live mode, however its name is spelt.
bool asks_for_live(std::string_view query);

enum class Route : uint8_t { kStream, kStreams, kHealth, kReady, kMetrics, kAny, kNone };
inline constexpr size_t kRouteCount = 7;
std::string_view route_name(Route route);

Route route_of(std::string_view path);

// Builds "http://host:port", what the client sees us as, in `out`; "" if it did not say. Forwarded
// headers count only if the peer is `trusted`.
void build_origin(std::string& out, const RequestHead& head, std::string_view authority,
                  bool trusted);

}  // namespace ds::server
