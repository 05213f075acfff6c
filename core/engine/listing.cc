// Which streams there are, as far as this engine knows better than the catalog.
#include <algorithm>

#include "core/engine/engine_impl.h"

namespace ds::engine {

namespace {

bool begins_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

stream::ListingPart Engine::Impl::list(std::string_view prefix, std::string_view after,
                                       size_t limit) const {
  auto stream = after < prefix ? by_name_.lower_bound(prefix) : by_name_.upper_bound(after);
  auto gone = after < prefix ? gone_paths_.lower_bound(prefix) : gone_paths_.upper_bound(after);
  const auto has_stream = [&] {
    return stream != by_name_.end() && begins_with((*stream)->state.path, prefix);
  };
  const auto has_gone = [&] {
    return gone != gone_paths_.end() && begins_with(gone->first, prefix);
  };
  stream::ListingPart part;
  while (has_stream() || has_gone()) {
    if (part.streams.size() == limit) {
      part.more = true;
      break;
    }
    std::string_view path = has_stream() ? std::string_view((*stream)->state.path) : gone->first;
    if (has_gone()) path = std::min(path, std::string_view(gone->first));
    // Of the lives at one path, the newest that readers may see.
    const StreamEntry* seen = nullptr;
    for (; has_stream() && (*stream)->state.path == path; ++stream) {
      if ((*stream)->committed()) seen = *stream;
    }
    const bool was_there = has_gone() && gone->first == path;
    if (seen != nullptr) {
      part.streams.push_back(stream::listed(seen->state));
    } else if (was_there) {
      part.streams.push_back(stream::listed_gone(path));
    }
    if (was_there) ++gone;
  }
  return part;
}

}  // namespace ds::engine
