// Configuration files and option values: they are understood, or refused with a sentence that names
// the option; what is accepted lies within its bounds, and durations are written as they are read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "server/config/load.h"

namespace {

using namespace ds::server;

void check_values(std::string_view text) {
  if (const auto duration = parse_duration(text)) {
    DS_ASSERT(duration->us >= 0);
    const auto again = parse_duration(duration_text(*duration));
    DS_ASSERT(again == duration);
  }
  if (const auto count = parse_count(text)) {
    DS_ASSERT(text.find_first_not_of("0123456789") == std::string_view::npos);
    DS_ASSERT(parse_size(text).has_value() == (*count <= uint64_t{1} << 60));
  }
  if (const auto size = parse_size(text)) {
    DS_ASSERT(*size <= uint64_t{1} << 60);
    DS_ASSERT(text.find_first_of("0123456789") == 0);
  }
  if (const auto range = parse_address_range(text)) {
    // A range has its own address in it, and one of no bits everything of its family.
    DS_ASSERT(range->contains(range->family, range->bytes));
    AddressRange all = *range;
    all.prefix_bits = 0;
    const uint8_t other[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    DS_ASSERT(all.contains(all.family, other));
  }
}

void check_file(std::string_view text) {
  const auto texts = parse_config_text(text, "file.toml");
  if (!texts.ok()) {
    DS_ASSERT(texts.error().find("file.toml") != std::string::npos);
    return;
  }
  for (const auto& [name, values] : *texts) DS_ASSERT(find_option(name) != nullptr);
  const auto config = make_config({}, {}, *texts);
  if (!config.ok()) {
    DS_ASSERT(!config.error().empty());
    return;
  }
  DS_ASSERT(!config->listen.empty());
  DS_ASSERT(config->uri_bytes_max <= config->head_bytes_max);
  DS_ASSERT(config->body_bytes_max <= config->body_memory_bytes);
  DS_ASSERT(config->threads >= 1);
  DS_ASSERT(config->pipeline_max >= 1);
  for (const ListenAddress& address : config->listen) DS_ASSERT(!address.text().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_values(text);
  check_file(text);
  // As one value of each kind.
  if (text.find_first_of("'\n\r") == std::string_view::npos) {
    for (const char* name :
         {"listen", "memory", "ballast", "seal-after", "threads", "durability"}) {
      check_file(std::string(name) + " = '" + std::string(text) + "'");
    }
  }
  return 0;
}
