// Moves a stream's history to objects in R2, as segments (docs/segment-format.md), and removes the
// objects of streams that are gone. An object's key is a fact before the object is made, so that
// none is ever forgotten.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/types.h"
#include "worker/wasm/calls.h"
#include "worker/wasm/journal.h"
#include "worker/wasm/options.h"

namespace ds::worker {

class Mover {
 public:
  // Borrows all for its whole life.
  Mover(Host& host, Journal& journal, Calls& calls, const Options& options)
      : host_(host), journal_(journal), calls_(calls), options_(options) {}

  // Begins to move the oldest history in rows, if there is enough of it.
  void move(std::string_view path, Incarnation stream);
  // Removes the objects that are not `stream`'s.
  void sweep(Incarnation stream);
  void remove(const std::string& object);

  // Whether something is left for sweep() to try again.
  bool owes() const { return owes_; }

 private:
  // Writes the segment of the oldest parts in rows and tells what it holds.
  Part build(Incarnation stream, std::string& bytes);

  Host& host_;
  Journal& journal_;
  Calls& calls_;
  const Options& options_;
  bool moving_ = false;
  bool owes_ = false;
};

}  // namespace ds::worker
