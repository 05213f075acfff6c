// Listings of streams by path, put together from what several sources know (docs/http-api.md,
// "Listing streams"). Pure: who the sources are is the host's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/stream/state.h"

namespace ds::stream {

// What a listing tells of a stream; or, if `gone`, that there is none at the path any more.
struct ListedStream {
  std::string path;  // canonical: "<project>/<stream...>"
  bool gone = false;
  bool closed = false;
  bool soft_deleted = false;
  std::string content_type;
  Offset next_offset;
  std::optional<Offset> earliest_offset;  // once retention has dropped something
  std::optional<uint64_t> ttl_seconds;
  std::optional<Instant> expires_at;
  Retention retention;
};

ListedStream listed(const StreamState& state);
ListedStream listed_gone(std::string_view path);

// What one source knows of the paths behind a common start: in byte order of the paths, each once.
struct ListingPart {
  std::vector<ListedStream> streams;
  // It may know more, behind the last of `streams`. REQUIRES then: there is one.
  bool more = false;
};

// What several parts know together. For a path that is in several of them the part that comes first
// counts: the newest one. Those that are gone are left out.
struct Listing {
  std::vector<ListedStream> streams;  // at most the limit
  // Where to go on, if there may be more: the path that everything is known up to, and included.
  std::optional<std::string> next;
};
Listing merge_listing(std::vector<ListingPart> parts, size_t limit);

// Appends {"streams":[...],"next":"..."}: paths without the first `project_bytes` bytes.
void append_listing_json(std::string& out, const Listing& listing, size_t project_bytes);

}  // namespace ds::stream
