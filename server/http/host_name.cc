#include "server/http/host_name.h"

namespace ds::server {

bool is_host(std::string_view text) {
  for (char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && std::string_view("-._~:[]%!$&'()*+,;=").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return text.size() <= 255;
}

std::string_view first_element(std::string_view list) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  list = list.substr(0, list.find(','));
  while (!list.empty() && is_blank(list.front())) list.remove_prefix(1);
  while (!list.empty() && is_blank(list.back())) list.remove_suffix(1);
  return list;
}

}  // namespace ds::server
