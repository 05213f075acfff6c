#include "server/listing.h"

#include <algorithm>
#include <utility>

#include "core/stream/snapshot.h"
#include "server/log.h"
#include "server/loop.h"

namespace ds::server {

using wire::ErrorCode;

namespace {

// Who has deleted much is not asked once per stream that is left.
constexpr size_t kPerRoundMin = 256;

}  // namespace

void Listing::begin(const Host& host, wire::ListRequest request, Done done) {
  if (host.under_way.fetch_add(1, std::memory_order_relaxed) >= kListingsMax) {
    host.under_way.fetch_sub(1, std::memory_order_relaxed);
    return done(wire::error_response(ErrorCode::kOverloaded));
  }
  const std::shared_ptr<Listing> listing(new Listing(host, std::move(request), std::move(done)));
  listing->ask_engines();
}

Listing::Listing(const Host& host, wire::ListRequest request, Done done)
    : host_(host),
      request_(std::move(request)),
      done_(std::move(done)),
      per_round_(std::max<size_t>(request_.limit + 1, kPerRoundMin)),
      after_(request_.after) {}

Listing::~Listing() { host_.under_way.fetch_sub(1, std::memory_order_relaxed); }

void Listing::ask_engines() {
  {
    const std::lock_guard lock(mutex_);
    parts_.assign(host_.loops.size(), {});
    missing_ = host_.loops.size();
  }
  for (size_t i = 0; i < host_.loops.size(); ++i) {
    host_.loops[i]->with_engine([self = shared_from_this(), i](engine::Engine& engine) {
      self->take(i, engine.list(self->request_.prefix, self->after_, self->per_round_));
    });
  }
}

void Listing::take(size_t loop, stream::ListingPart part) {
  {
    const std::lock_guard lock(mutex_);
    parts_[loop] = std::move(part);
    if (--missing_ > 0) return;
  }
  ask_catalog();
}

void Listing::ask_catalog() {
  if (host_.readers == nullptr) return merge();
  const bool taken = host_.readers->submit(
      [self = shared_from_this()](store::Catalog* catalog) { self->read_catalog(catalog); });
  if (!taken) fail(ErrorCode::kOverloaded);
}

void Listing::read_catalog(store::Catalog* catalog) {
  if (catalog == nullptr) return fail(ErrorCode::kOverloaded);
  const auto found = catalog->list(request_.prefix, after_, per_round_);
  if (!found.ok()) {
    log_event(LogLevel::kError, "cannot read the catalog: " + found.error().message);
    return fail(found.error().kind == store::CatalogError::Kind::kCorrupt ? ErrorCode::kCorruptData
                                                                          : ErrorCode::kOverloaded);
  }
  stream::ListingPart part;
  part.more = found->size() == per_round_;
  for (const store::CatalogStream& one : *found) {
    const std::optional<stream::StreamState> state = stream::decode_snapshot(one.snapshot);
    if (!state) {
      log_event(LogLevel::kError, "a stream's snapshot in the catalog is damaged",
                {{"stream", one.id.value}});
      return fail(ErrorCode::kCorruptData);
    }
    part.streams.push_back(stream::listed(*state));
  }
  {
    const std::lock_guard lock(mutex_);
    parts_.push_back(std::move(part));
  }
  merge();
}

void Listing::merge() {
  std::vector<stream::ListingPart> parts;
  {
    const std::lock_guard lock(mutex_);
    parts.swap(parts_);
  }
  // One more than asked for tells whether there is another page.
  const size_t wanted = size_t{request_.limit} + 1 - page_.streams.size();
  stream::Listing more = stream::merge_listing(std::move(parts), wanted);
  std::move(more.streams.begin(), more.streams.end(), std::back_inserter(page_.streams));
  if (page_.streams.size() > request_.limit || !more.next) return finish();
  after_ = std::move(*more.next);
  ask_engines();
}

void Listing::finish() {
  if (page_.streams.size() > request_.limit) {
    page_.streams.resize(request_.limit);
    page_.next = page_.streams.back().path;
  }
  std::string text;
  stream::append_listing_json(text, page_, request_.project.size());
  wire::Response response;
  response.status = 200;
  response.content_type = Slice::of_static("application/json");
  response.body.emplace_back(share(std::move(text)));
  done_(std::move(response));
}

void Listing::fail(ErrorCode code) { done_(wire::error_response(code)); }

}  // namespace ds::server
