// For tests of engines whose streams are sealed and leave the memory.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/engine/test_host.h"
#include "core/engine/test_sse.h"

namespace ds::engine::test {

// What is wholly sealed leaves the memory at the next sweep; nothing is read from the cache for
// longer than it takes to be sealed.
inline EngineConfig cold_config() {
  EngineConfig config;
  config.has_catalog = true;
  config.evict_after = Duration{};
  return config;
}

class ColdTest : public ::testing::Test {
 protected:
  explicit ColdTest(EngineConfig config = cold_config(), uint32_t engines = 1)
      : host(config, engines) {}

  // Over all engines.
  uint64_t in_memory() {
    uint64_t streams = 0;
    for (size_t i = 0; i < host.engines(); ++i) streams += host.engine(i).stats().streams;
    return streams;
  }
  uint64_t finds() {
    uint64_t finds = 0;
    for (size_t i = 0; i < host.engines(); ++i) finds += host.engine(i).stats().finds;
    return finds;
  }
  // Seals everything; nothing must be left in memory.
  void make_cold() {
    host.make_cold();
    EXPECT_EQ(in_memory(), 0u);
  }
  Offset tail(const std::string& path) { return *host.ask(head(path)).next_offset; }
  // The identity of a stream that has had one life.
  Incarnation id_of(const std::string& path) { return tail(path).life; }
  void trim(const std::string& path, Position earliest) {
    host.trim(id_of(path), path_hash(path), earliest);
  }

  TestHost host;
};

}  // namespace ds::engine::test
