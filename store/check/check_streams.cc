#include "store/check/check_streams.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/stream/snapshot.h"

namespace ds::store {
namespace {

using stream::StreamState;

struct Range {
  Position begin;
  Position end;
};

class StreamsCheck {
 public:
  StreamsCheck(CatalogRows& catalog, const ReplayedLog& log, CheckReport& report)
      : catalog_(catalog), log_(log), report_(report) {}

  CatalogStatus run() {
    const auto state = catalog_.state();
    if (!state.ok()) return state.error();
    highest_life_ = state->highest_life;
    const auto pins = catalog_.open_pins();
    if (!pins.ok()) return pins.error();
    for (const auto& [source, fork] : *pins) open_pins_.emplace(fork, source);
    const CatalogStatus walked = catalog_.for_each_stream([this](const CatalogStream& row) {
      ++report_.counts.streams;
      if (failed_.ok()) check_row(row);
    });
    if (!walked.ok()) return walked;
    if (!log_.whole) {
      report_.note("the log is damaged: forks and their sources were not compared");
      return failed_;
    }
    for (const auto& [id, now] : log_.states) {
      if (failed_.ok() && !now.gone && !sealed(id)) check_links(now, nullptr);
    }
    return failed_;
  }

 private:
  void check_row(const CatalogStream& row) {
    const std::string name = "catalog.db: " + stream_text(row.id, row.path);
    const std::optional<StreamState> state = stream::decode_snapshot(row.snapshot);
    if (!state) return report_.problem(name + ": its snapshot is damaged");
    if (state->id != row.id || state->path != row.path) {
      return report_.problem(name + ": its snapshot is of " + stream_text(state->id, state->path));
    }
    if (row.pinned == state->pins.empty()) {
      report_.problem(name + ": whether forks share its bytes is not what its snapshot says");
    }
    if (state->gone) report_.problem(name + ": it is deleted and still there");
    if (state->lives.empty()) return report_.problem(name + ": its snapshot has no life");
    if (highest_life_ < std::max(state->id, state->life())) {
      report_.problem(name + ": its life is higher than the highest one on record, " +
                      std::to_string(highest_life_.value));
    }
    check_extents(name, *state);
    if (!log_.whole || !failed_.ok()) return;
    const auto now = log_.states.find(row.id);
    if (now == log_.states.end()) {
      check_links(*state, &*state);
    } else if (!now->second.gone) {
      check_links(now->second, &*state);
    }
  }

  // --- What segments must hold ------------------------------------------------------------------

  static Position own_begin(const StreamState& state) {
    return state.config.fork ? state.config.fork->position : Position{0};
  }

  void check_extents(const std::string& name, const StreamState& state) {
    const auto extents = catalog_.extents_of(state.id);
    if (!extents.ok()) {
      failed_ = extents.error();
      return;
    }
    const Position begin = own_begin(state);
    Position end;
    for (const CatalogExtent& each : *extents) {
      const segment::Extent& extent = each.extent;
      std::string problem = name + ": its extent at " + range_text(extent.begin, extent.end);
      if (extent.end <= extent.begin || extent.begin < begin || state.writer.tail < extent.end) {
        problem.append(" is not within its positions, ");
        report_.problem(problem.append(range_text(begin, state.writer.tail)));
      } else if (extent.begin < end) {
        problem.append(" overlaps the one before, which ends at ");
        report_.problem(problem.append(std::to_string(end.value)));
      }
      end = std::max(end, extent.end);
    }
    for (const Range& needed : needed_ranges(state)) {
      Position at = needed.begin;
      for (const CatalogExtent& each : *extents) {
        if (at < each.extent.begin) report_gap(name, {at, std::min(each.extent.begin, needed.end)});
        at = std::max(at, each.extent.end);
        if (needed.end <= at) break;
      }
      report_gap(name, {at, needed.end});
    }
  }

  void report_gap(const std::string& name, const Range& gap) {
    if (gap.end <= gap.begin) return;
    report_.problem(name + ": no extent holds its positions " + range_text(gap.begin, gap.end));
  }

  // Ascending, apart from each other. What a fork needs is known from the fork.
  std::vector<Range> needed_ranges(const StreamState& state) {
    const Position begin = own_begin(state);
    std::vector<Range> wanted;
    if (!state.soft_deleted) wanted.push_back({std::max(begin, state.earliest), state.writer.tail});
    for (const auto& [child, pin] : state.pins) {
      const std::optional<StreamState> fork = sealed(child);
      if (!fork) continue;
      wanted.push_back(
          {std::max(begin, fork->earliest), std::min(pin.position, state.writer.tail)});
    }
    std::sort(wanted.begin(), wanted.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    std::vector<Range> joined;
    for (const Range& each : wanted) {
      if (each.end <= each.begin) continue;
      if (!joined.empty() && each.begin <= joined.back().end) {
        joined.back().end = std::max(joined.back().end, each.end);
      } else {
        joined.push_back(each);
      }
    }
    return joined;
  }

  // --- Forks and sources, as they are now -------------------------------------------------------

  // `was`: the stream as it was sealed, if it was.
  void check_links(const StreamState& now, const StreamState* was) {
    const std::string name = stream_text(now.id, now.path);
    if (now.config.fork) {
      const Incarnation source = now.config.fork->source;
      const StreamState* found = current(source);
      if (found == nullptr || found->gone) {
        report_.problem(name + ": its source, " +
                        stream_text(source, now.config.fork->source_path) + ", is not there");
      } else if (found->pins.count(now.id) == 0) {
        report_.problem(name + ": its source, " + stream_text(source, found->path) +
                        ", does not hold what it shares");
      }
    }
    for (const auto& [child, pin] : now.pins) {
      const StreamState* fork = current(child);
      if (fork != nullptr && fork->config.fork && fork->config.fork->source == now.id) continue;
      // Asked for, and not created yet: by a record of the log, or before.
      if (was == nullptr || was->pins.count(child) == 0 || open_pins_.count(child) != 0) continue;
      report_.problem(name + ": it holds bytes before " + std::to_string(pin.position.value) +
                      " for a fork, " + stream_text(child) + ", that is not there");
    }
  }

  std::optional<StreamState> sealed(Incarnation id) {
    const auto row = catalog_.find(id);
    if (!row.ok()) {
      failed_ = row.error();
      return std::nullopt;
    }
    return *row ? stream::decode_snapshot((*row)->snapshot) : std::nullopt;
  }

  // Null if it never was, or was sealed as gone. Valid until the next call.
  const StreamState* current(Incarnation id) {
    const auto now = log_.states.find(id);
    if (now != log_.states.end()) return &now->second;
    // A source of many forks is asked for many times.
    if (!current_ || current_->id != id) current_ = sealed(id);
    return current_ ? &*current_ : nullptr;
  }

  CatalogRows& catalog_;
  const ReplayedLog& log_;
  CheckReport& report_;
  CatalogStatus failed_ = true;
  Incarnation highest_life_;
  std::map<Incarnation, Incarnation> open_pins_;  // fork -> source
  std::optional<StreamState> current_;
};

}  // namespace

CatalogStatus check_streams(CatalogRows& catalog, const ReplayedLog& log, CheckReport& report) {
  return StreamsCheck(catalog, log, report).run();
}

}  // namespace ds::store
