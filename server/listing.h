// Puts a page of a project's streams together: asks every engine what it knows better than the
// catalog, then the catalog, and merges; again until the page is full. In that order: what has been
// sealed meanwhile, and is forgotten by its engine, is in the catalog by then.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/stream/listing.h"
#include "core/wire/list_request.h"
#include "core/wire/response.h"
#include "server/reader_pool.h"

namespace ds::server {

class Loop;

// Held by what is under way only: its loops, and a reader thread in turn.
class Listing : public std::enable_shared_from_this<Listing> {
 public:
  // Listings at a time; more are answered 503.
  static constexpr uint32_t kListingsMax = 64;

  struct Host {
    const std::vector<Loop*>& loops;
    ReaderPool* readers;  // none with memory durability: the engines know all
    std::atomic<uint32_t>& under_way;
  };
  // Called once, on any thread.
  using Done = std::function<void(wire::Response)>;

  static void begin(const Host& host, wire::ListRequest request, Done done);
  ~Listing();

 private:
  Listing(const Host& host, wire::ListRequest request, Done done);
  void ask_engines();
  void take(size_t loop, stream::ListingPart part);
  void ask_catalog();
  void read_catalog(store::Catalog* catalog);
  void merge();
  void finish();
  void fail(wire::ErrorCode code);

  const Host host_;
  const wire::ListRequest request_;
  const Done done_;
  const size_t per_round_;
  // One step at a time touches the rest.
  std::string after_;
  stream::Listing page_;
  std::mutex mutex_;
  std::vector<stream::ListingPart> parts_;  // guarded by mutex_: by loop, then the catalog's
  size_t missing_ = 0;                      // guarded by mutex_
};

}  // namespace ds::server
