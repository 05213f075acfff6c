#include "server/mailbox.h"

namespace ds::server {

OwnedRequest::OwnedRequest(engine::RequestId request_id, const wire::RequestText& request)
    : id(request_id), text(request) {
  const auto each = [&](auto&& visit) {
    visit(text.path);
    visit(text.query);
    visit(text.body);
    visit(text.origin);
    visit(text.raw_path);
    for (auto& header : text.headers) {
      if (header) visit(*header);
    }
  };
  size_t size = 0;
  each([&](std::string_view& view) { size += view.size(); });
  bytes.reserve(size);  // from here on nothing moves
  each([&](std::string_view& view) {
    const size_t at = bytes.size();
    bytes.append(view);
    view = std::string_view(bytes).substr(at);
  });
}

void Mail::clear() {
  to_engine.clear();
  answers.clear();
  commits.clear();
  loads.clear();
  sockets.clear();
  tasks.clear();
}

}  // namespace ds::server
