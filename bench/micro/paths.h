// The paths whose instructions are counted: whole requests, from their bytes to their answers'.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/micro/path_server.h"

namespace ds::bench {

class Path {
 public:
  // Sets the server up. REQUIRES: `name` is one of names().
  explicit Path(std::string_view name);
  static const std::vector<std::string_view>& names();

  // One request and its answer. False if that is not what it must be.
  bool once();

 private:
  bool expect(uint32_t client, std::string_view begin);
  void drain_readers();

  std::string name_;
  uint32_t readers_ = 0;
  PathServer server_;
  std::string request_;
  std::string answer_;  // what the answer begins with
};

}  // namespace ds::bench
