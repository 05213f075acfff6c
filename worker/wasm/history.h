// Reads of committed messages that the engine does not index: from closed generations' rows, from
// objects in R2 and, for what a fork shares, from the object of its source. What a read begins with
// and ends at is said by segment::SealedRead and is the same on every host.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/actions.h"
#include "core/segment/format.h"
#include "core/segment/sealed_read.h"
#include "worker/wasm/calls.h"
#include "worker/wasm/journal.h"

namespace ds::worker {

class History {
 public:
  // Borrows both for its whole life.
  History(Journal& journal, Calls& calls) : journal_(journal), calls_(calls) {}

  // Whose messages the journal holds, and where those before come from ("": there are none).
  void set_owner(Incarnation owner, std::string source_path);

  using Done = std::function<void(engine::LoadOutcome, segment::SealedChunk)>;
  // `done` may be called before this returns.
  void read(segment::SealedRead read, Done done);

 private:
  struct Reading;
  using ReadingPtr = std::shared_ptr<Reading>;
  // The message lists of an object's one extent.
  struct Lists {
    std::string object;
    segment::Head head;
    std::vector<segment::Message> messages;
  };

  void go_on(const ReadingPtr& reading);
  void finish(const ReadingPtr& reading, engine::LoadOutcome outcome);
  void ask_source(const ReadingPtr& reading, Position at);
  bool take_rows(Reading& reading, uint32_t generation, Position at, Position to);
  void read_lists(const ReadingPtr& reading, const Part& part);
  void read_data(const ReadingPtr& reading, Position at, Position to);
  bool take_blocks(Reading& reading, size_t first, size_t last, std::string_view data, Position at,
                   Position to);

  Journal& journal_;
  Calls& calls_;
  Incarnation owner_;
  std::string source_path_;
  std::shared_ptr<const Lists> lists_;  // of the object that was read last
};

}  // namespace ds::worker
