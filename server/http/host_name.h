// Names that clients and proxies give this server. They go into Location, so whatever could break
// out of a URL there is refused.
#pragma once

#include <string_view>

namespace ds::server {

// Whether `text` has only characters that a host and port can have (RFC 3986 §3.2.2), and is not
// longer than 255. An empty one is valid: HTTP/1.1 allows an empty Host.
bool is_host(std::string_view text);

// The first element of a list that proxies append to, without blanks around it: what the client
// itself asked for.
std::string_view first_element(std::string_view list);

}  // namespace ds::server
