// Segments of one stream each, for tests that read what has been sealed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "store/catalog.h"
#include "store/new_segments.h"

namespace ds::fakes {

// `bytes` times the letter `number` mod 26.
inline std::string lettered_message(uint64_t number, uint64_t bytes) {
  return std::string(bytes, static_cast<char>('a' + number % 26));
}

// Adds a segment with messages `first` to `first + count` of `owner`, of `bytes` each, to the files
// and to the catalog, where it takes the place of `replaces`. Message i was written at i ms.
// Returns its number.
inline uint64_t add_segment(store::Catalog& catalog, ports::Directory& directory, Incarnation owner,
                            uint64_t first, uint64_t count, uint64_t bytes,
                            std::vector<store::CatalogExtent> replaces = {}) {
  store::CatalogState state = *catalog.state();
  store::NewSegments made(directory, state.next_segment);
  auto output = std::move(made.create(0, false)).value();
  output->begin_extent(owner, Position{first * bytes});
  for (uint64_t i = first; i < first + count; ++i) {
    output->add_message(lettered_message(i, bytes), i);
  }
  output->end_extent();
  EXPECT_FALSE(output->finish().has_value());
  EXPECT_FALSE(made.sync().has_value());
  made.keep();
  state.next_segment = made.next_id();
  EXPECT_TRUE(catalog.begin().ok());
  store::CatalogChange removal;
  removal.removed_extents = std::move(replaces);
  removal.state = state;
  EXPECT_TRUE(catalog.apply(removal).ok());
  EXPECT_FALSE(store::apply_segment(catalog, state, *output).has_value());
  EXPECT_TRUE(catalog.finish().ok());
  return output->segment().id;
}

}  // namespace ds::fakes
