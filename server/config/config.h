// The server's options: one table says what each is called, how it is spelt, and what it is worth
// by default. Flags, environment, file and documentation all come from it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "server/config/listen_address.h"
#include "server/config/values.h"

namespace ds::server {

enum class DurabilityMode : uint8_t { kSync, kRelaxed, kMemory };
enum class LogFormat : uint8_t { kText, kJson };
enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

// Everything that can be set, checked one by one. Filled with the defaults of the table by
// default_config().
struct Config {
  std::vector<ListenAddress> listen;
  bool allow_unauthenticated = false;
  std::vector<AddressRange> trusted_proxies;

  std::string data_dir;
  DurabilityMode durability = DurabilityMode::kSync;
  Duration sync_interval;
  Duration commit_in_place;  // 0: never
  uint64_t generation_bytes = 0;
  Duration seal_after;
  std::optional<uint64_t> ballast_bytes;  // 0: none; nothing: what suits the generations
  Duration evict_after;
  Duration max_age;               // 0: none
  uint64_t max_stream_bytes = 0;  // 0: none
  uint64_t memory_bytes = 0;
  uint64_t tail_cache_bytes = 0;

  uint64_t threads = 0;
  uint64_t reader_threads = 0;
  uint64_t reader_queue_max = 0;

  uint64_t chunk_bytes_max = 0;
  uint64_t body_bytes_max = 0;
  uint64_t body_memory_bytes = 0;
  uint64_t answer_memory_bytes = 0;
  uint64_t send_cache_bytes = 0;        // 0: none
  uint64_t send_copies_max = 512;       // a descriptor each; descriptor_limit.h
  uint64_t near_send_buffer_bytes = 0;  // 0: as the system has it
  uint64_t head_bytes_max = 0;
  uint64_t uri_bytes_max = 0;
  uint64_t headers_max = 0;
  uint64_t connections_max = 0;
  uint64_t streams_max = 0;     // 0: any number
  uint64_t disk_bytes_max = 0;  // 0: as many as there are
  uint64_t pipeline_max = 0;

  Duration long_poll_timeout;
  Duration sse_lifetime;
  Duration sse_heartbeat;
  uint64_t sse_queue_bytes = 0;
  uint64_t live_readers_max = 0;
  uint64_t pending_loads_max = 0;

  Duration cache_max_age;
  Duration cache_stale;
  Duration cache_start_max_age;

  Duration head_timeout;
  Duration body_timeout;
  uint64_t body_min_rate = 0;  // bytes per second
  Duration idle_timeout;
  Duration write_timeout;
  Duration drain_timeout;

  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;
  bool access_log = false;
};

struct Option {
  enum class Kind : uint8_t { kValue, kList, kSwitch };
  std::string_view name;      // flag "--name", environment "DS_NAME", file key "name"
  std::string_view value;     // what a value looks like, for the help
  std::string_view fallback;  // the default, as it would be written; "" for an empty list
  std::string_view help;
  Kind kind;
  // Takes one text into `config` (lists grow by it). Returns what is wrong with it, as the end of
  // a sentence that begins with the option and the text, or "".
  std::string (*set)(Config& config, std::string_view text);
};

std::span<const Option> options();
const Option* find_option(std::string_view name);
// "DS_LONG_POLL_TIMEOUT"
std::string environment_name(const Option& option);

Config default_config();

// What is wrong with the options taken together, one sentence, or "".
std::string check_config(const Config& config);

}  // namespace ds::server
