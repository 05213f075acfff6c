#include "server/config/config.h"

#include <unistd.h>

#include <utility>

#include "core/base/assert.h"
#include "core/engine/config.h"

namespace ds::server {

namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

template <auto member, int64_t min_us, int64_t max_us>
std::string set_duration(Config& config, std::string_view text) {
  const auto value = parse_duration(text);
  if (!value) return "is not a duration such as 500ms, 30s or 2m";
  if (value->us < min_us || value->us > max_us) {
    return "is not between " + duration_text(Duration{min_us}) + " and " +
           duration_text(Duration{max_us});
  }
  config.*member = *value;
  return "";
}

template <auto member, uint64_t min, uint64_t max>
std::string set_size(Config& config, std::string_view text) {
  const auto value = parse_size(text);
  if (!value) return "is not a size such as 64KiB, 1MiB or 512MB";
  if (*value < min || *value > max) {
    return "is not between " + std::to_string(min) + " and " + std::to_string(max) + " bytes";
  }
  config.*member = *value;
  return "";
}

template <auto member, uint64_t min, uint64_t max>
std::string set_count(Config& config, std::string_view text) {
  const auto value = parse_count(text);
  if (!value) return "is not a whole number";
  if (*value < min || *value > max) {
    return "is not between " + std::to_string(min) + " and " + std::to_string(max);
  }
  config.*member = *value;
  return "";
}

template <auto member>
std::string set_switch(Config& config, std::string_view text) {
  const auto value = parse_switch(text);
  if (!value) return "is neither true nor false";
  config.*member = *value;
  return "";
}

template <auto member, typename T, size_t n>
std::string set_choice(Config& config, std::string_view text,
                       const std::pair<std::string_view, T> (&choices)[n]) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (text == name) {
      config.*member = value;
      return "";
    }
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return "is none of " + names;
}

std::string set_listen(Config& config, std::string_view text) {
  auto parsed = parse_listen_address(text);
  if (!parsed.ok()) return parsed.error();
  for (ListenAddress& address : *parsed) config.listen.push_back(std::move(address));
  return "";
}

std::string set_trusted_proxy(Config& config, std::string_view text) {
  const auto range = parse_address_range(text);
  if (!range) return "is not an address range such as 10.0.0.0/8, ::1 or unix";
  config.trusted_proxies.push_back(*range);
  return "";
}

std::string set_data_dir(Config& config, std::string_view text) {
  if (text.empty()) return "is empty";
  config.data_dir = text;
  return "";
}

// A quarter of what the machine has.
uint64_t default_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return kGiB;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes) / 4;
}

std::string set_memory(Config& config, std::string_view text) {
  if (text != "auto") return set_size<&Config::memory_bytes, 16 * kMiB, 1024 * kGiB>(config, text);
  config.memory_bytes = default_memory();
  return "";
}

std::string set_ballast(Config& config, std::string_view text) {
  config.ballast_bytes.reset();
  if (text == "auto") return "";
  const auto value = parse_size(text);
  if (!value) return "is neither auto nor a size such as 64MiB or 512MB";
  if (*value > 1024 * kGiB) return "is not between 0 and 1 TiB";
  config.ballast_bytes = *value;
  return "";
}

std::string set_durability(Config& config, std::string_view text) {
  static constexpr std::pair<std::string_view, DurabilityMode> kChoices[] = {
      {"sync", DurabilityMode::kSync},
      {"relaxed", DurabilityMode::kRelaxed},
      {"memory", DurabilityMode::kMemory}};
  return set_choice<&Config::durability>(config, text, kChoices);
}

std::string set_log_format(Config& config, std::string_view text) {
  static constexpr std::pair<std::string_view, LogFormat> kChoices[] = {{"text", LogFormat::kText},
                                                                        {"json", LogFormat::kJson}};
  return set_choice<&Config::log_format>(config, text, kChoices);
}

std::string set_log_level(Config& config, std::string_view text) {
  static constexpr std::pair<std::string_view, LogLevel> kChoices[] = {{"debug", LogLevel::kDebug},
                                                                       {"info", LogLevel::kInfo},
                                                                       {"warn", LogLevel::kWarn},
                                                                       {"error", LogLevel::kError}};
  return set_choice<&Config::log_level>(config, text, kChoices);
}

using enum Option::Kind;
constexpr int64_t kMs = 1000;
constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kYear = 365 * 24 * kHour;

constexpr Option kOptions[] = {
    {"listen", "ADDRESS", "127.0.0.1:4437",
     "Where to listen: 127.0.0.1:4437, [::1]:4437, localhost:4437, unix:/path. Repeatable.", kList,
     set_listen},
    {"allow-unauthenticated", "", "false",
     "Listen beyond this machine although anybody who reaches the port may read and write.",
     kSwitch, set_switch<&Config::allow_unauthenticated>},
    {"trusted-proxy", "RANGE", "",
     "Believe X-Forwarded-* from these peers: 10.0.0.0/8, ::1, unix. Repeatable.", kList,
     set_trusted_proxy},
    {"data-dir", "PATH", "./data", "Directory of the data; made if it is missing.", kValue,
     set_data_dir},
    {"durability", "MODE", "sync",
     "When a write is answered: sync (after fsync), relaxed (fsync at an interval), memory.",
     kValue, set_durability},
    {"sync-interval", "DURATION", "100ms", "Longest time between syncs with relaxed durability.",
     kValue, set_duration<&Config::sync_interval, kMs, 60 * kSecond>},
    {"commit-in-place", "DURATION", "500us",
     "Event loops commit by themselves while commits take less than this; 0us: never.", kValue,
     set_duration<&Config::commit_in_place, 0, kSecond>},
    {"generation-size", "SIZE", "64MiB", "Size of one generation of the op log.", kValue,
     set_size<&Config::generation_bytes, 64 * kKiB, kGiB>},
    {"seal-after", "DURATION", "60s",
     "A generation that is not full is sealed when it is this old.", kValue,
     set_duration<&Config::seal_after, 100 * kMs, kYear>},
    {"ballast", "SIZE", "auto",
     "Space kept for deletions, closes and sealing on a full disk; auto: 2 generations and 16 MiB; "
     "0: none.",
     kValue, set_ballast},
    {"memory", "SIZE", "auto",
     "Memory for streams, their index and the tail cache; auto: a quarter of the machine's.",
     kValue, set_memory},
    {"evict-after", "DURATION", "10s",
     "Sealed streams that nobody has used for this long leave the memory.", kValue,
     set_duration<&Config::evict_after, 0, kYear>},
    {"max-age", "DURATION", "0s",
     "Messages older than this may go, whatever their stream says (0s: never).", kValue,
     set_duration<&Config::max_age, 0, 100 * kYear>},
    {"max-stream-size", "SIZE", "0",
     "The oldest messages of a stream beyond this size may go, whatever it says (0: never).",
     kValue, set_size<&Config::max_stream_bytes, 0, UINT64_MAX / 2>},
    {"tail-cache", "SIZE", "64MiB", "Memory for the newest bytes of active streams.", kValue,
     set_size<&Config::tail_cache_bytes, kMiB, 1024 * kGiB>},
    {"threads", "N", "1", "Event loops. Streams are spread over them.", kValue,
     set_count<&Config::threads, 1, engine::kEnginesMax>},
    {"reader-threads", "N", "2", "Threads that read older bytes back from disk.", kValue,
     set_count<&Config::reader_threads, 1, 64>},
    {"reader-queue", "N", "1024", "Disk reads that may wait; more are answered 503.", kValue,
     set_count<&Config::reader_queue_max, 1, 1000000>},
    {"max-chunk-bytes", "SIZE", "1MiB", "A read ends at the first message end at or after this.",
     kValue, set_size<&Config::chunk_bytes_max, kKiB, 64 * kMiB>},
    {"max-body-bytes", "SIZE", "16MiB", "Largest request body; a larger one is answered 413.",
     kValue, set_size<&Config::body_bytes_max, kKiB, 512 * kMiB>},
    {"body-memory", "SIZE", "512MiB", "Memory for requests until they are answered; past it, 503.",
     kValue, set_size<&Config::body_memory_bytes, kMiB, 1024 * kGiB>},
    {"answer-memory", "SIZE", "256MiB",
     "Memory for answers that clients have not taken yet; past it, reads are answered 503.", kValue,
     set_size<&Config::answer_memory_bytes, kMiB, 1024 * kGiB>},
    {"send-cache", "SIZE", "64MiB",
     "Memory for copies of large bodies that are sent repeatedly, without copying; 0: none.",
     kValue, set_size<&Config::send_cache_bytes, 0, 1024 * kGiB>},
    {"near-send-buffer", "SIZE", "256KiB",
     "Send buffer of connections from less than half a millisecond away; 0: the system's.", kValue,
     set_size<&Config::near_send_buffer_bytes, 0, kGiB>},
    {"max-head-bytes", "SIZE", "16KiB", "Largest request head; a larger one is answered 431.",
     kValue, set_size<&Config::head_bytes_max, kKiB, kMiB>},
    {"max-uri-bytes", "SIZE", "8KiB", "Longest request target; a longer one is answered 414.",
     kValue, set_size<&Config::uri_bytes_max, 128, 64 * kKiB>},
    {"max-headers", "N", "100", "Most header lines of a request; more are answered 431.", kValue,
     set_count<&Config::headers_max, 8, 10000>},
    {"max-connections", "N", "100000", "Connections at a time; further ones are answered 503.",
     kValue, set_count<&Config::connections_max, 1, 10000000>},
    {"max-streams", "N", "0", "Streams at a time; creating more is answered 429. 0: no limit.",
     kValue, set_count<&Config::streams_max, 0, uint64_t{1} << 40>},
    {"max-disk-bytes", "SIZE", "0",
     "Bytes of log, segments and catalog; appending more is answered 507. 0: no limit.", kValue,
     set_size<&Config::disk_bytes_max, 0, uint64_t{1} << 60>},
    {"max-pipeline", "N", "32", "Unanswered requests that one connection may have.", kValue,
     set_count<&Config::pipeline_max, 1, 1024>},
    {"long-poll-timeout", "DURATION", "30s", "How long a long-poll waits for data.", kValue,
     set_duration<&Config::long_poll_timeout, kMs, kHour>},
    {"sse-lifetime", "DURATION", "60s", "How long an SSE response lasts, give or take a tenth.",
     kValue, set_duration<&Config::sse_lifetime, 10 * kMs, 24 * kHour>},
    {"sse-heartbeat", "DURATION", "15s", "Silence after which an SSE reader gets a comment.",
     kValue, set_duration<&Config::sse_heartbeat, 10 * kMs, kHour>},
    {"sse-queue-bytes", "SIZE", "256KiB", "Unsent bytes at which an SSE reader stops being pushed.",
     kValue, set_size<&Config::sse_queue_bytes, kKiB, kGiB>},
    {"live-readers-max", "N", "1000000", "Long-poll and SSE readers at a time; more get 503.",
     kValue, set_count<&Config::live_readers_max, 1, 100000000>},
    {"pending-loads-max", "N", "1024", "Reads per event loop that may wait for the disk.", kValue,
     set_count<&Config::pending_loads_max, 1, 1000000>},
    {"cache-max-age", "DURATION", "60s", "How long caches keep a full chunk of a named life.",
     kValue, set_duration<&Config::cache_max_age, 0, kYear>},
    {"cache-stale", "DURATION", "300s", "stale-while-revalidate of the same.", kValue,
     set_duration<&Config::cache_stale, 0, kYear>},
    {"cache-start-max-age", "DURATION", "5s", "How long caches keep the first chunk (offset -1).",
     kValue, set_duration<&Config::cache_start_max_age, 0, kHour>},
    {"head-timeout", "DURATION", "10s", "For the whole head of a request, from its first byte.",
     kValue, set_duration<&Config::head_timeout, 10 * kMs, kHour>},
    {"body-timeout", "DURATION", "30s", "For a body that comes slower than body-min-rate.", kValue,
     set_duration<&Config::body_timeout, 10 * kMs, kHour>},
    {"body-min-rate", "SIZE", "4KiB", "Bytes per second at which a body is never cut off.", kValue,
     set_size<&Config::body_min_rate, 1, kGiB>},
    {"idle-timeout", "DURATION", "75s", "For a connection without a request.", kValue,
     set_duration<&Config::idle_timeout, 10 * kMs, 24 * kHour>},
    {"write-timeout", "DURATION", "30s", "For a reader that takes nothing of what waits for it.",
     kValue, set_duration<&Config::write_timeout, 10 * kMs, kHour>},
    {"drain-timeout", "DURATION", "10s", "For finishing requests after SIGTERM.", kValue,
     set_duration<&Config::drain_timeout, 0, kHour>},
    {"log-format", "FORMAT", "text", "text or json (one object per line).", kValue, set_log_format},
    {"log-level", "LEVEL", "info", "debug, info, warn or error.", kValue, set_log_level},
    {"access-log", "", "false", "Log every request.", kSwitch, set_switch<&Config::access_log>},
};

}  // namespace

std::span<const Option> options() { return kOptions; }

const Option* find_option(std::string_view name) {
  for (const Option& option : kOptions) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::string environment_name(const Option& option) {
  std::string name = "DS_";
  for (char c : option.name) {
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

Config default_config() {
  Config config;
  for (const Option& option : kOptions) {
    if (option.kind == Option::Kind::kList) continue;  // set when no source names it
    const std::string problem = option.set(config, option.fallback);
    DS_ASSERT(problem.empty());
  }
  return config;
}

std::string check_config(const Config& config) {
  if (config.listen.empty()) return "there is no address to listen at (--listen)";
  if (!config.allow_unauthenticated) {
    for (const ListenAddress& address : config.listen) {
      if (address.loopback) continue;
      return "refusing to listen at " + address.text() +
             ": it can be reached from other machines and there is no authentication yet; listen "
             "at 127.0.0.1, [::1] or unix:/path behind an authenticating proxy, or pass "
             "--allow-unauthenticated";
    }
  }
  if (config.uri_bytes_max > config.head_bytes_max) {
    return "--max-uri-bytes must not be larger than --max-head-bytes";
  }
  if (config.body_bytes_max > config.body_memory_bytes) {
    return "--max-body-bytes must not be larger than --body-memory";
  }
  if (config.durability != DurabilityMode::kMemory &&
      config.body_bytes_max > config.generation_bytes * 1024) {
    return "--max-body-bytes must not be larger than 1024 generations (--generation-size)";
  }
  return "";
}

}  // namespace ds::server
