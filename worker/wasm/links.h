// A stream's links to other objects: the forks that it serves, and the source that it has to tell
// when it is gone. Kept as facts, so that whatever dies between two steps, nothing that is shared
// is dropped and no pin is kept for ever:
//
//   the source pins, and notes the child      after a while it asks whether the child came to be
//   the child is created                      what has not, never will: the pin is released
//   the child is gone, and notes the source   it calls until the source has released the pin
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/stream/fork_link.h"
#include "worker/wasm/calls.h"
#include "worker/wasm/host.h"
#include "worker/wasm/options.h"

namespace ds::worker {

class Links {
 public:
  // Borrows all for its whole life.
  Links(Host& host, Calls& calls, const Options& options)
      : host_(host), calls_(calls), options_(options) {}

  // --- The source's side
  void note_child(Incarnation child, std::string_view path, Instant now);
  bool has_child(Incarnation child) const;
  void forget_child(Incarnation child);
  // Asks the children that are due; `missing` is told, later, of one that never came to be.
  using Missing = std::function<void(Incarnation child)>;
  void audit(Instant now, const Missing& missing);

  // --- The child's side
  // The source whose path hashes to this one has been met with.
  void note_source(uint64_t path_hash, std::string_view path) { sources_[path_hash] = path; }
  void note_release(const stream::Unpin& unpin);
  // Calls the sources that have not been told yet.
  void release(Instant now);

  // When the next audit or release is due, as far as is known; kNever: none is.
  Instant next_due() const { return due_; }

 private:
  struct Child {
    std::string path;
    Instant due;  // kNever: it has come to be
  };
  void put_child(Incarnation child, const Child& known);
  std::optional<Child> child(Incarnation child) const;
  void due_by(Instant when) { due_ = std::min(due_, when); }
  Host& host_;
  Calls& calls_;
  const Options& options_;
  std::map<uint64_t, std::string> sources_;
  std::set<uint64_t> calling_;  // lives of children that somebody is being called about
  Instant due_ = kNever;
};

}  // namespace ds::worker
