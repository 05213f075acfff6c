// durable-streams serve | check | backup | segment inspect | version | help
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/commands/backup.h"
#include "server/commands/check.h"
#include "server/commands/segment.h"
#include "server/config/load.h"
#include "server/descriptor_limit.h"
#include "server/log.h"
#include "server/server.h"

extern char** environ;

namespace {

using ds::server::Option;
using ds::server::OptionTexts;

constexpr int kUsage = 2;
constexpr int kFailure = 1;

// The texts of the flags, in the order of the table.
struct Flags {
  std::vector<std::vector<std::string>> texts;
  std::string config_path;
};

void declare_flags(CLI::App& serve, Flags& flags) {
  flags.texts.resize(ds::server::options().size());
  serve.add_option("--config", flags.config_path, "TOML file with options [DS_CONFIG]")
      ->type_name("FILE");
  size_t i = 0;
  for (const Option& option : ds::server::options()) {
    const std::string fallback =
        option.fallback.empty() ? "" : " [" + std::string(option.fallback) + "]";
    CLI::Option* flag = serve.add_option("--" + std::string(option.name), flags.texts[i++],
                                         std::string(option.help) + fallback);
    flag->type_name(std::string(option.value));
    flag->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (option.kind == Option::Kind::kSwitch) {
      flag->expected(0, 1)->type_name("");
    } else {
      flag->expected(1)->allow_extra_args(false);
    }
  }
}

// Whether a switch stands alone. To the parser "--name" and "--name=" are the same, and the latter
// is what a script writes whose variable is not set.
bool is_bare(std::span<const char* const> arguments, const std::string& flag) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] != flag) continue;
    return i + 1 == arguments.size() || arguments[i + 1][0] != '\0';
  }
  return false;
}

OptionTexts flag_texts(const CLI::App& serve, const Flags& flags,
                       std::span<const char* const> arguments) {
  OptionTexts result;
  size_t i = 0;
  for (const Option& option : ds::server::options()) {
    std::vector<std::string> texts = flags.texts[i++];
    const std::string flag = "--" + std::string(option.name);
    if (serve.count(flag) == 0) continue;
    if (option.kind == Option::Kind::kSwitch && texts == std::vector<std::string>{""} &&
        is_bare(arguments, flag)) {
      texts = {ds::server::kBareSwitch};
    }
    result[std::string(option.name)] = std::move(texts);
  }
  return result;
}

int complain(const std::string& problem) {
  std::fprintf(stderr, "durable-streams: %s\n", problem.c_str());
  return kUsage;
}

// Descriptors that others use up are missing for the log's files.
void fit_descriptors(ds::server::Config& config) {
  const uint64_t descriptors = ds::server::raise_descriptor_limit();
  config.send_copies_max = ds::server::descriptors_for_copies(descriptors);
  const uint64_t most = ds::server::descriptors_for_connections(descriptors);
  if (config.connections_max <= most) return;
  ds::server::log_event(
      ds::server::LogLevel::kWarn,
      "fewer connections than --max-connections: the limit on open files is low",
      {{"wanted", config.connections_max}, {"connections", most}, {"open_files", descriptors}});
  config.connections_max = most;
}

// Nothing in the server catches what is thrown for want of memory: it ends with a sentence, as if
// it had been killed, and what was answered is there at the next start.
[[noreturn]] void end_with_a_sentence() {
  const std::exception_ptr thrown = std::current_exception();
  try {
    if (thrown != nullptr) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    std::fputs("durable-streams: error: no memory\n", stderr);
    std::_Exit(kFailure);
  } catch (...) {
  }
  std::abort();
}

int serve(const CLI::App& command, const Flags& flags, std::span<const char* const> arguments) {
  std::string path = flags.config_path;
  if (const char* from_environment = std::getenv("DS_CONFIG"); path.empty() && from_environment) {
    path = from_environment;
  }
  OptionTexts file;
  if (!path.empty()) {
    auto read = ds::server::read_config_file(path);
    if (!read.ok()) return complain(read.error());
    file = std::move(*read);
  }
  const OptionTexts environment = ds::server::read_environment(
      [](const std::string& name) { return std::getenv(name.c_str()); });
  auto made = ds::server::make_config(flag_texts(command, flags, arguments), environment, file);
  if (!made.ok()) return complain(made.error());
  ds::server::Config config = std::move(*made);
  if (config.durability != ds::server::DurabilityMode::kMemory) {
    const std::string problem = ds::server::check_data_dir(config.data_dir);
    if (!problem.empty()) return complain(problem);
  }

  std::set_terminate(end_with_a_sentence);
  ds::server::configure_log(config.log_format, config.log_level);
  for (const std::string& name : ds::server::unknown_environment(environ)) {
    ds::server::log_event(ds::server::LogLevel::kWarn, "unknown option in the environment",
                          {{"name", name}});
  }
  fit_descriptors(config);
  ds::server::Server server(config);
  return server.run();
}

struct InspectArguments {
  std::string path;
  bool messages = false;
};

CLI::App* declare_inspect(CLI::App& app, InspectArguments& arguments) {
  CLI::App* segment = app.add_subcommand("segment", "Look at segments, the files of sealed data");
  segment->require_subcommand(1);
  CLI::App* inspect =
      segment->add_subcommand("inspect", "Print what a segment holds and check every byte of it");
  inspect->add_option("file", arguments.path, "Segment, as in DATA_DIR/segments")
      ->type_name("FILE")
      ->required();
  inspect->add_flag("--messages", arguments.messages, "Print each message's range and time too");
  inspect->footer("Exit code 0: intact. 1: damaged, or not a segment that can be read.");
  return inspect;
}

ds::server::Print print_to(std::FILE* file) {
  return [file](std::string_view text) { std::fwrite(text.data(), 1, text.size(), file); };
}

int inspect(const InspectArguments& arguments) {
  return ds::server::inspect_segment(arguments.path, arguments.messages, print_to(stdout),
                                     print_to(stderr));
}

struct DataArguments {
  std::string data_dir = "./data";
  std::string to;      // backup
  bool quick = false;  // check
};

void declare_data_dir(CLI::App& command, DataArguments& arguments) {
  command.add_option("--data-dir", arguments.data_dir, "The server's data directory")
      ->type_name("DIR")
      ->envname("DS_DATA_DIR")
      ->capture_default_str();
}

CLI::App* declare_check(CLI::App& app, DataArguments& arguments) {
  CLI::App* check = app.add_subcommand(
      "check", "Check a data directory, whether a server works on it or not; change nothing");
  declare_data_dir(*check, arguments);
  check->add_flag("--quick", arguments.quick, "Of the segments, trailers and heads only");
  check->footer("Exit code 0: intact. 1: damaged, or not a data directory that can be read.");
  return check;
}

CLI::App* declare_backup(CLI::App& app, DataArguments& arguments) {
  CLI::App* backup = app.add_subcommand(
      "backup", "Make a consistent copy of a data directory, or bring one up to date");
  backup->add_option("to", arguments.to, "Where to: new, empty, or an earlier backup")
      ->type_name("TO")
      ->required();
  declare_data_dir(*backup, arguments);
  backup->footer(
      "A server may be working on the data directory. Sealed data is linked where TO is on the\n"
      "same file system. To go back to a backup: serve --data-dir with a copy of it.");
  return backup;
}

int back_up(const DataArguments& arguments) {
  ds::server::BackupRequest request;
  request.data_dir = arguments.data_dir;
  request.to = arguments.to;
  request.version = DS_VERSION;
  return ds::server::back_up(request, print_to(stdout), print_to(stderr));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Durable Streams: ordered, durable logs over HTTP with live tailing.",
               "durable-streams");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Print this help and exit");
  Flags flags;
  CLI::App* serve_command = app.add_subcommand("serve", "Run the server");
  serve_command->footer(
      "Every flag is also an environment variable (--data-dir: DS_DATA_DIR) and a key of the\n"
      "--config file (data-dir = \"...\"); flags win over the environment, the environment over\n"
      "the file. Durations: 500ms, 30s, 2m. Sizes: 64KiB, 1MiB, 512MB.");
  declare_flags(*serve_command, flags);
  InspectArguments inspect_arguments;
  const CLI::App* inspect_command = declare_inspect(app, inspect_arguments);
  DataArguments data_arguments;
  const CLI::App* check_command = declare_check(app, data_arguments);
  const CLI::App* backup_command = declare_backup(app, data_arguments);
  CLI::App* version_command = app.add_subcommand("version", "Print the version");
  CLI::App* help_command = app.add_subcommand("help", "Print help, or a subcommand's");
  std::string topic;
  help_command->add_option("command", topic, "serve, check, backup, segment, version or help");
  try {
    app.parse(argc, argv);
    if (version_command->parsed()) {
      std::printf("durable-streams %s\n", DS_VERSION);
      return 0;
    }
    if (help_command->parsed()) {
      const CLI::App* about = topic.empty() ? &app : app.get_subcommand(topic);
      std::fputs(about->help().c_str(), stdout);
      return 0;
    }
    if (inspect_command->parsed()) return inspect(inspect_arguments);
    if (check_command->parsed()) {
      return ds::server::check_data_directory(data_arguments.data_dir, data_arguments.quick,
                                              print_to(stdout), print_to(stderr));
    }
    if (backup_command->parsed()) return back_up(data_arguments);
    return serve(*serve_command, flags, {argv, static_cast<size_t>(argc)});
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kUsage;
  } catch (const CLI::Error& error) {
    return complain(error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "durable-streams: %s\n", error.what());
    return kFailure;
  }
}
