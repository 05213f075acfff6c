#include "server/config/load.h"

#include <sys/stat.h>
#include <toml++/toml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace ds::server {

namespace {

using Error = std::string;

std::string in_file(std::string_view name, std::string_view key) {
  return "configuration file " + std::string(name) + ": " + std::string(key);
}

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  return std::nullopt;
}

// Where an option's value comes from, for the error message.
std::string apply(Config& config, const Option& option, const std::vector<std::string>& texts,
                  const std::string& where) {
  if (option.kind != Option::Kind::kList && texts.size() > 1) {
    return where + " is given more than once";
  }
  for (const std::string& text : texts) {
    const std::string problem = option.set(config, text);
    if (!problem.empty()) return where + ": '" + text + "' " + problem;
  }
  return "";
}

}  // namespace

Result<OptionTexts, std::string> parse_config_text(std::string_view text, std::string_view name) {
  OptionTexts result;
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    return Error("configuration file " + std::string(name) + ", line " +
                 std::to_string(error.source().begin.line) + ": " +
                 std::string(error.description()));
  }
  for (const auto& [key, node] : table) {
    const Option* option = find_option(key.str());
    if (option == nullptr) return Error(in_file(name, key.str()) + " is no option");
    std::vector<std::string>& texts = result[std::string(key.str())];
    if (const auto* array = node.as_array()) {
      if (option->kind != Option::Kind::kList) {
        return Error(in_file(name, key.str()) + " takes one value, not an array");
      }
      for (const toml::node& element : *array) {
        const auto scalar = scalar_text(element);
        if (!scalar) return Error(in_file(name, key.str()) + " takes an array of strings");
        texts.push_back(*scalar);
      }
      continue;
    }
    const auto scalar = scalar_text(node);
    if (!scalar) {
      return Error(in_file(name, key.str()) + " must be a string, a whole number or a boolean");
    }
    texts.push_back(*scalar);
  }
  return result;
}

Result<OptionTexts, std::string> read_config_file(const std::string& path) {
  const auto problem = [&path](const char* reason) {
    return Error("cannot read the configuration file " + path + ": " + reason);
  };
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return problem(std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return problem("it is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) return problem(std::strerror(errno));
  std::ostringstream text;
  // An empty file counts as a failure to copy from it.
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.bad() || !text) return problem("reading it failed");
  return parse_config_text(text.str(), path);
}

std::string check_data_dir(const std::string& path) {
  struct stat info {};
  const std::string subject = "--data-dir: '" + path + "' ";
  if (::stat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? "" : subject + "is not a directory";
  }
  if (errno == ENOENT) return "";
  return subject + "cannot be used: " + std::strerror(errno);
}

OptionTexts read_environment(const Environment& get) {
  OptionTexts result;
  for (const Option& option : options()) {
    const char* value = get(environment_name(option));
    if (value == nullptr || *value == '\0') continue;
    std::vector<std::string>& texts = result[std::string(option.name)];
    if (option.kind != Option::Kind::kList) {
      texts.emplace_back(value);
      continue;
    }
    std::string_view rest = value;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      if (comma != 0) texts.emplace_back(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
  }
  return result;
}

Result<Config, std::string> make_config(const OptionTexts& flags, const OptionTexts& environment,
                                        const OptionTexts& file) {
  Config config = default_config();
  for (const Option& option : options()) {
    const std::string name(option.name);
    std::string problem;
    if (const auto flag = flags.find(name); flag != flags.end()) {
      problem = apply(config, option, flag->second, "--" + name);
    } else if (const auto env = environment.find(name); env != environment.end()) {
      problem = apply(config, option, env->second, environment_name(option));
    } else if (const auto key = file.find(name); key != file.end()) {
      problem = apply(config, option, key->second, "configuration file: " + name);
    } else if (option.kind == Option::Kind::kList && !option.fallback.empty()) {
      problem = apply(config, option, {std::string(option.fallback)}, name);
    }
    if (!problem.empty()) return problem;
  }
  std::string problem = check_config(config);
  if (!problem.empty()) return problem;
  return config;
}

std::vector<std::string> unknown_environment(const char* const* entries) {
  std::vector<std::string> result;
  for (; entries != nullptr && *entries != nullptr; ++entries) {
    const std::string_view entry = *entries;
    const std::string_view name = entry.substr(0, entry.find('='));
    if (!name.starts_with("DS_") || name == "DS_CONFIG") continue;
    bool known = false;
    for (const Option& option : options()) known |= environment_name(option) == name;
    if (!known) result.emplace_back(name);
  }
  return result;
}

}  // namespace ds::server
