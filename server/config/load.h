// From the command line, the environment and a file to a Config: flag before environment before
// file before default. An unknown flag or key is an error.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "server/config/config.h"

namespace ds::server {

// The texts that one source has for an option. The flag of a switch without a value has
// kBareSwitch.
using OptionTexts = std::map<std::string, std::vector<std::string>, std::less<>>;

inline constexpr const char* kBareSwitch = "true";

// A configuration file: a flat TOML table. Strings, whole numbers, booleans and arrays of strings.
Result<OptionTexts, std::string> read_config_file(const std::string& path);
Result<OptionTexts, std::string> parse_config_text(std::string_view toml, std::string_view name);

using Environment = std::function<const char*(const std::string& name)>;

// Lists are comma-separated in the environment. An empty variable counts as one that is not set.
OptionTexts read_environment(const Environment& get);

// What could not be understood or does not fit together, as one sentence.
Result<Config, std::string> make_config(const OptionTexts& flags, const OptionTexts& environment,
                                        const OptionTexts& file);

// What is wrong with the data directory as far as it can be told without opening it, one sentence,
// or
// "". One that is not there yet is fine.
std::string check_data_dir(const std::string& path);

// Names in the environment that begin with DS_ but are no option, for a warning.
std::vector<std::string> unknown_environment(const char* const* entries);

}  // namespace ds::server
