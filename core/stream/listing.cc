#include "core/stream/listing.h"

#include <utility>

#include "core/base/assert.h"
#include "core/wire/offset_text.h"
#include "core/wire/text.h"

namespace ds::stream {

namespace {

void append_string(std::string& out, std::string_view name, std::string_view value) {
  out += '"';
  out += name;
  out += "\":\"";
  wire::append_json_escaped(out, value);
  out += '"';
}

void append_number(std::string& out, std::string_view name, uint64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  wire::append_decimal(out, value);
}

void append_offset_field(std::string& out, std::string_view name, const Offset& offset) {
  out += ",\"";
  out += name;
  out += "\":\"";
  wire::append_offset(out, offset);
  out += '"';
}

void append_stream(std::string& out, const ListedStream& stream, size_t project_bytes) {
  out += '{';
  append_string(out, "path", std::string_view(stream.path).substr(project_bytes));
  out += ',';
  append_string(out, "content_type", stream.content_type);
  append_offset_field(out, "next_offset", stream.next_offset);
  if (stream.earliest_offset) append_offset_field(out, "earliest_offset", *stream.earliest_offset);
  out += stream.closed ? ",\"closed\":true" : ",\"closed\":false";
  if (stream.ttl_seconds) append_number(out, "ttl_seconds", *stream.ttl_seconds);
  if (stream.expires_at) {
    out += ",\"expires_at\":\"";
    wire::append_rfc3339(out, *stream.expires_at);
    out += '"';
  }
  if (stream.retention.max_age_seconds) {
    append_number(out, "max_age_seconds", *stream.retention.max_age_seconds);
  }
  if (stream.retention.max_bytes) append_number(out, "max_bytes", *stream.retention.max_bytes);
  if (stream.soft_deleted) out += ",\"soft_deleted\":true";
  out += '}';
}

}  // namespace

ListedStream listed(const StreamState& state) {
  ListedStream result;
  result.path = state.path;
  result.gone = state.gone;
  result.closed = state.writer.closed;
  result.soft_deleted = state.soft_deleted;
  result.content_type = state.config.content_type;
  result.next_offset = state.tail_offset();
  if (state.earliest > Position{0}) {
    result.earliest_offset = offset_at(state.lives, state.earliest);
  }
  result.ttl_seconds = state.config.ttl_seconds;
  result.expires_at = state.config.expires_at;
  result.retention = state.config.retention;
  return result;
}

ListedStream listed_gone(std::string_view path) {
  ListedStream result;
  result.path = path;
  result.gone = true;
  return result;
}

Listing merge_listing(std::vector<ListingPart> parts, size_t limit) {
  // Beyond this path some part may know what it has not told.
  const std::string* horizon = nullptr;
  for (const ListingPart& part : parts) {
    if (!part.more) continue;
    DS_ASSERT(!part.streams.empty());
    const std::string& end = part.streams.back().path;
    if (horizon == nullptr || end < *horizon) horizon = &end;
  }
  Listing result;
  if (horizon != nullptr) result.next = *horizon;
  horizon = nullptr;  // what it pointed to moves below

  std::vector<size_t> at(parts.size(), 0);
  for (;;) {
    // The smallest path that is left; of several parts that have it, the first.
    const ListedStream* smallest = nullptr;
    size_t from = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (at[i] == parts[i].streams.size()) continue;
      const ListedStream& candidate = parts[i].streams[at[i]];
      if (smallest != nullptr && smallest->path <= candidate.path) continue;
      smallest = &candidate;
      from = i;
    }
    if (smallest == nullptr || (result.next && smallest->path > *result.next)) return result;
    if (!smallest->gone && result.streams.size() == limit) {
      result.next = limit == 0 ? std::string() : result.streams.back().path;
      return result;
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i == from || at[i] == parts[i].streams.size()) continue;
      if (parts[i].streams[at[i]].path == smallest->path) ++at[i];
    }
    ListedStream& taken = parts[from].streams[at[from]++];
    if (!taken.gone) result.streams.push_back(std::move(taken));
  }
}

void append_listing_json(std::string& out, const Listing& listing, size_t project_bytes) {
  out += "{\"streams\":[";
  bool first = true;
  for (const ListedStream& stream : listing.streams) {
    if (!std::exchange(first, false)) out += ',';
    append_stream(out, stream, project_bytes);
  }
  out += ']';
  if (listing.next) {
    out += ',';
    append_string(out, "next", std::string_view(*listing.next).substr(project_bytes));
  }
  out += '}';
}

}  // namespace ds::stream
