#include "store/check/check_segments.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "store/recovery.h"
#include "store/sealed_reader.h"
#include "store/segment_check.h"

namespace ds::store {
namespace {

using segment::Extent;
using segment::Head;
using segment::Trailer;

struct Needed {
  uint64_t extents = 0;
  uint64_t bytes = 0;
};

class SegmentsCheck {
 public:
  SegmentsCheck(ports::Directory& directory, CatalogRows& catalog,
                const SegmentsCheckOptions& options, CheckReport& report,
                std::vector<uint64_t>& gone)
      : directory_(directory), catalog_(catalog), options_(options), report_(report), gone_(gone) {}

  CatalogStatus run() {
    const auto segments = catalog_.segments();
    if (!segments.ok()) return segments.error();
    const CatalogStatus summed = catalog_.for_each(
        "SELECT segment, count(*), sum(end_at - begin_at) FROM extents GROUP BY segment",
        [this](const Query& row) {
          needed_[row.integer_at(0)] = {row.integer_at(1), row.integer_at(2)};
        });
    if (!summed.ok()) return summed;
    const CatalogStatus looked = look_for_orphans(*segments);
    if (!looked.ok()) return looked;
    for (const CatalogSegment& segment : *segments) {
      ++report_.counts.segments;
      report_.counts.segment_bytes += segment.bytes;
      const CatalogStatus checked = check(segment);
      if (!checked.ok()) return checked;
    }
    return true;
  }

 private:
  CatalogStatus look_for_orphans(const std::vector<CatalogSegment>& segments) {
    const auto state = catalog_.state();
    if (!state.ok()) return state.error();
    const auto names = directory_.list();
    if (!names.ok()) {
      report_.problem(std::string("segments: the directory cannot be listed: ") +
                      io_error_text(names.error()));
      return true;
    }
    std::set<uint64_t> known;
    for (const CatalogSegment& segment : segments) known.insert(segment.id);
    for (const std::string& name : *names) {
      const std::optional<uint64_t> id = parse_segment_name(name);
      if (!id) {
        report_.note("segments/" + name + ": does not belong here");
      } else if (known.count(*id) == 0 && !(options_.online && *id >= state->next_segment)) {
        report_.note("segments/" + name +
                     ": not in the catalog; the next start of the server removes it");
      }
    }
    return true;
  }

  CatalogStatus check(const CatalogSegment& segment) {
    const std::string name = "segments/" + segment_name(segment.id);
    const Needed needed = needed_[segment.id];
    if (needed.extents == 0) report_.problem(name + ": no stream needs anything of it");
    if (needed.bytes != segment.live_bytes) {
      report_.problem("catalog.db: of " + segment_name(segment.id) + " " +
                      std::to_string(needed.bytes) + " bytes are needed, and it says " +
                      std::to_string(segment.live_bytes));
    }
    const auto file = directory_.open(segment_name(segment.id), ports::Directory::Open::kExisting);
    if (!file.ok()) {
      if (file.error() == ports::IoError::kNotFound) {
        gone_.push_back(segment.id);
      } else {
        report_.problem(name + ": cannot be opened: " + io_error_text(file.error()));
      }
      return true;
    }
    return check_file(name, segment, **file);
  }

  CatalogStatus check_file(const std::string& name, const CatalogSegment& segment,
                           const ports::File& file) {
    std::vector<std::pair<Incarnation, Position>> found;
    CatalogStatus failed = true;
    bool heads_damaged = false;
    SegmentVisitor visitor;
    visitor.on_trailer = [&](const Trailer& trailer) {
      if (trailer.file_bytes != segment.bytes || trailer.lists_offset != segment.data_bytes ||
          trailer.extents != segment.extents) {
        report_.problem(name + ": " + std::to_string(trailer.file_bytes) + " bytes, " +
                        std::to_string(trailer.lists_offset) + " of data, " +
                        std::to_string(trailer.extents) + " extents; the catalog says " +
                        std::to_string(segment.bytes) + ", " + std::to_string(segment.data_bytes) +
                        ", " + std::to_string(segment.extents));
      }
    };
    visitor.on_extent = [&](const Head& head) {
      const auto row = row_of(segment.id, head.extent);
      if (!row.ok()) {
        failed = row.error();
      } else if (*row) {
        found.emplace_back(head.extent.stream, head.extent.begin);
        compare(name, **row, head.extent);
      }
    };
    visitor.on_damage = [&](const SegmentDamage& damage) {
      heads_damaged = heads_damaged || damage.what.rfind("head", 0) == 0;
      report_.problem(name + ": bytes [" + std::to_string(damage.offset) + ", " +
                      std::to_string(damage.offset + damage.bytes) + "): " + damage.what);
    };
    const auto totals =
        check_segment(file, visitor, options_.quick ? SegmentDepth::kHeads : SegmentDepth::kWhole);
    if (!failed.ok()) return failed;
    if (!totals.ok()) {
      report_.problem(name + ": " + totals.error().message);
      return true;
    }
    // What is behind damaged heads is there, but cannot be told from the file.
    if (heads_damaged || found.size() == needed_[segment.id].extents) return true;
    return name_missing(name, segment, found);
  }

  // The catalog's extent that begins where this one of the segment does; nothing if nobody needs
  // it.
  Result<std::optional<Extent>, CatalogError> row_of(uint64_t segment, const Extent& extent) {
    const auto rows = catalog_.extent_at(extent.stream, extent.begin);
    if (!rows.ok()) return rows.error();
    if (!*rows || (*rows)->segment != segment || (*rows)->extent.begin != extent.begin) {
      return std::optional<Extent>();
    }
    return std::optional((*rows)->extent);
  }

  void compare(const std::string& name, const Extent& row, const Extent& head) {
    if (row.end == head.end && row.data_offset == head.data_offset &&
        row.head_offset == head.head_offset && row.head_bytes == head.head_bytes &&
        row.newest_ms == head.newest_ms && row.messages == head.messages) {
      return;
    }
    report_.problem(name + ": its head at byte " + std::to_string(head.head_offset) + " tells of " +
                    stream_text(head.stream) + " at " + range_text(head.begin, head.end) + ", " +
                    std::to_string(head.messages) + " messages; the catalog says " +
                    range_text(row.begin, row.end) + ", " + std::to_string(row.messages) +
                    " messages, head at byte " + std::to_string(row.head_offset));
  }

  CatalogStatus name_missing(const std::string& name, const CatalogSegment& segment,
                             std::vector<std::pair<Incarnation, Position>>& found) {
    std::sort(found.begin(), found.end());
    return catalog_.for_each(
        "SELECT stream, begin_at, end_at FROM extents WHERE segment = ?", segment.id,
        [&](const Query& row) {
          const Incarnation stream{row.integer_at(0)};
          const Position begin{row.integer_at(1)};
          if (std::binary_search(found.begin(), found.end(), std::pair(stream, begin))) return;
          report_.problem(name + ": it has no extent of " + stream_text(stream) + " at " +
                          range_text(begin, Position{row.integer_at(2)}) + ", as the catalog says");
        });
  }

  ports::Directory& directory_;
  CatalogRows& catalog_;
  const SegmentsCheckOptions options_;
  CheckReport& report_;
  std::vector<uint64_t>& gone_;
  std::map<uint64_t, Needed> needed_;
};

}  // namespace

CatalogStatus check_segments(ports::Directory& segments, CatalogRows& catalog,
                             const SegmentsCheckOptions& options, CheckReport& report,
                             std::vector<uint64_t>& gone) {
  return SegmentsCheck(segments, catalog, options, report, gone).run();
}

CatalogStatus check_gone_segments(ports::Directory& segments, CatalogRows& catalog,
                                  const std::vector<uint64_t>& gone, CheckReport& report) {
  for (const uint64_t id : gone) {
    if (segments.open(segment_name(id), ports::Directory::Open::kExisting).ok()) continue;
    std::optional<Needed> needed;
    const CatalogStatus looked = catalog.for_each(
        "SELECT (SELECT count(*) FROM extents WHERE segment = segments.id), live_bytes "
        "FROM segments WHERE id = ?",
        id, [&](const Query& row) {
          needed = Needed{row.integer_at(0), row.integer_at(1)};
        });
    if (!looked.ok()) return looked;
    if (!needed) continue;
    report.problem("segments/" + segment_name(id) + ": is missing, and with it " +
                   std::to_string(needed->bytes) + " bytes of " + std::to_string(needed->extents) +
                   (needed->extents == 1 ? " extent" : " extents"));
  }
  return true;
}

}  // namespace ds::store
