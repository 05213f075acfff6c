// Records out of rows: a record may be spread over several rows, and a row may hold several.
#pragma once

#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/stream/op_record.h"

namespace ds::worker {

// Feed it the rows of one generation in order.
class RecordScanner {
 public:
  // Calls `record(bytes, position)` for each whole record that there is by now, until it says
  // false. False if what is there cannot be records.
  template <typename Sink>
  bool feed(LogPosition at, std::string_view row, const Sink& record) {
    std::string_view rest = row;
    LogPosition where = at;
    if (!left_.empty()) {
      if (where.value != left_at_.value + left_.size()) return false;
      left_.append(row);
      rest = left_;
      where = left_at_;
    }
    while (rest.size() >= stream::kRecordHeaderBytes) {
      const std::optional<uint32_t> size = stream::peek_record_size(rest);
      if (!size) return false;
      if (*size > rest.size()) break;
      if (!record(rest.substr(0, *size), where)) return true;
      rest.remove_prefix(*size);
      where = where + *size;
    }
    std::string kept(rest);
    left_ = std::move(kept);
    left_at_ = where;
    end_ = LogPosition{where.value + left_.size()};
    return true;
  }

  bool inside_record() const { return !left_.empty(); }
  // Where the next row would begin.
  LogPosition end() const { return end_; }

 private:
  std::string left_;  // the beginning of a record
  LogPosition left_at_;
  LogPosition end_;
};

}  // namespace ds::worker
