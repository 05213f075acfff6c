#include "core/stream/listing.h"

#include <gtest/gtest.h>

namespace ds::stream {
namespace {

ListedStream at(std::string_view path, std::string_view content_type = "text/plain") {
  ListedStream stream;
  stream.path = path;
  stream.content_type = content_type;
  return stream;
}

std::string paths(const Listing& listing) {
  std::string all;
  for (const ListedStream& stream : listing.streams) all += stream.path + " ";
  return all;
}

TEST(Listing, TheFirstPartThatKnowsAPathCounts) {
  const Listing all = merge_listing({{{at("p/a", "new"), listed_gone("p/c")}, false},
                                     {{at("p/d")}, false},
                                     {{at("p/a", "old"), at("p/b"), at("p/c")}, false}},
                                    10);
  EXPECT_EQ(paths(all), "p/a p/b p/d ");
  EXPECT_EQ(all.streams[0].content_type, "new");
  EXPECT_FALSE(all.next);
}

TEST(Listing, NothingIsListedBeyondWhatEveryPartHasTold) {
  const Listing some = merge_listing(
      {{{at("p/a"), listed_gone("p/b")}, true}, {{at("p/b"), at("p/c"), at("p/d")}, true}}, 10);
  // The first part may know that p/c is gone.
  EXPECT_EQ(paths(some), "p/a ");
  EXPECT_EQ(some.next, "p/b");
}

TEST(Listing, APageOfNothingButGoneStreamsTellsWhereToGoOn) {
  const Listing none = merge_listing({{{listed_gone("p/a")}, true}, {{at("p/a")}, true}}, 10);
  EXPECT_EQ(paths(none), "");
  EXPECT_EQ(none.next, "p/a");
}

TEST(Listing, TheLimitEndsItOnlyIfMoreFollows) {
  const auto two = [] {
    return std::vector<ListingPart>{{{at("p/a"), at("p/b"), listed_gone("p/c")}, false}};
  };
  EXPECT_EQ(paths(merge_listing(two(), 2)), "p/a p/b ");
  EXPECT_FALSE(merge_listing(two(), 2).next);
  EXPECT_EQ(paths(merge_listing(two(), 1)), "p/a ");
  EXPECT_EQ(merge_listing(two(), 1).next, "p/a");
}

TEST(Listing, AsJson) {
  Listing listing;
  ListedStream full = at("p/a", "text/plain;x=\"1\"");
  full.closed = full.soft_deleted = true;
  full.next_offset = Offset{Incarnation{7}, Position{9}};
  full.earliest_offset = Offset{Incarnation{7}, Position{3}};
  full.ttl_seconds = 5;
  full.expires_at = Instant{0};
  full.retention = {60, 70};
  listing.streams = {full, at("p/b")};
  listing.next = "p/b";
  std::string out;
  append_listing_json(out, listing, 2);
  EXPECT_EQ(out,
            R"({"streams":[{"path":"a","content_type":"text/plain;x=\"1\"",)"
            R"("next_offset":"0000000000000007_0000000000000009",)"
            R"("earliest_offset":"0000000000000007_0000000000000003","closed":true,)"
            R"("ttl_seconds":5,"expires_at":"1970-01-01T00:00:00.000Z","max_age_seconds":60,)"
            R"("max_bytes":70,"soft_deleted":true},{"path":"b","content_type":"text/plain",)"
            R"("next_offset":"0000000000000000_0000000000000000","closed":false}],"next":"b"})");
}

}  // namespace
}  // namespace ds::stream
