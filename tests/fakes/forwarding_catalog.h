// A catalog that passes every call on to another one: a test overrides those that it wants to go
// wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/catalog.h"

namespace ds::fakes {

class ForwardingCatalog : public store::Catalog {
 public:
  template <typename T>
  using Answer = Result<T, store::CatalogError>;

  // Borrows `real` for its whole life.
  explicit ForwardingCatalog(store::Catalog& real) : real_(real) {}

  Answer<store::CatalogState> state() override { return real_.state(); }
  Answer<std::optional<store::CatalogStream>> find(std::string_view path) override {
    return real_.find(path);
  }
  Answer<std::optional<store::CatalogStream>> find(Incarnation id) override {
    return real_.find(id);
  }
  Answer<std::vector<Due>> due(Due after, Instant until, size_t limit) override {
    return real_.due(after, until, limit);
  }
  Answer<std::vector<Due>> trims_due(Instant until, size_t limit) override {
    return real_.trims_due(until, limit);
  }
  Answer<std::vector<store::CatalogStream>> list(std::string_view prefix, std::string_view after,
                                                 size_t limit) override {
    return real_.list(prefix, after, limit);
  }
  Answer<uint64_t> stream_count() override { return real_.stream_count(); }
  Answer<std::vector<std::pair<Incarnation, Incarnation>>> open_pins() override {
    return real_.open_pins();
  }
  Answer<std::optional<store::CatalogExtent>> extent_at(Incarnation owner, Position at) override {
    return real_.extent_at(owner, at);
  }
  Answer<std::vector<store::CatalogExtent>> extents_of(Incarnation owner) override {
    return real_.extents_of(owner);
  }
  Answer<std::vector<store::CatalogSegment>> segments() override { return real_.segments(); }
  Answer<bool> commit(const store::CatalogChange& change) override { return real_.commit(change); }
  Answer<bool> begin() override { return real_.begin(); }
  Answer<bool> apply(const store::CatalogChange& change) override { return real_.apply(change); }
  Answer<bool> finish() override { return real_.finish(); }
  void abandon() override { real_.abandon(); }
  Answer<std::vector<std::string>> check() override { return real_.check(); }

 private:
  store::Catalog& real_;
};

}  // namespace ds::fakes
