#include "server/config/load.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/fakes/temp_directory.h"

namespace ds::server {
namespace {

std::string problem_of(const OptionTexts& flags) {
  const auto config = make_config(flags, {}, {});
  return config.ok() ? "" : config.error();
}

TEST(Config, DefaultsAreValidAndLocal) {
  const auto config = make_config({}, {}, {});
  ASSERT_TRUE(config.ok()) << config.error();
  ASSERT_EQ(config->listen.size(), 1u);
  EXPECT_EQ(config->listen[0].text(), "http://127.0.0.1:4437");
  EXPECT_EQ(config->long_poll_timeout, seconds(30));
  EXPECT_EQ(config->sse_lifetime, seconds(60));
  EXPECT_EQ(config->body_bytes_max, uint64_t{16} << 20);
  EXPECT_EQ(config->durability, DurabilityMode::kSync);
  EXPECT_FALSE(config->allow_unauthenticated);
}

TEST(Config, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const OptionTexts flag = {{"sse-lifetime", {"1s"}}};
  const OptionTexts environment = {{"sse-lifetime", {"2s"}}, {"sse-heartbeat", {"2s"}}};
  const OptionTexts file = {
      {"sse-lifetime", {"3s"}}, {"sse-heartbeat", {"3s"}}, {"idle-timeout", {"3s"}}};
  const auto config = make_config(flag, environment, file);
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->sse_lifetime, seconds(1));
  EXPECT_EQ(config->sse_heartbeat, seconds(2));
  EXPECT_EQ(config->idle_timeout, seconds(3));
  EXPECT_EQ(config->head_timeout, seconds(10));
}

TEST(Config, ListsReplaceTheDefaultAndComeFromOneSource) {
  const OptionTexts flags = {{"listen", {"[::1]:1", "unix:/tmp/x"}}};
  const OptionTexts file = {{"listen", {"127.0.0.1:2"}}};
  const auto config = make_config(flags, {}, file);
  ASSERT_TRUE(config.ok()) << config.error();
  ASSERT_EQ(config->listen.size(), 2u);
  EXPECT_EQ(config->listen[0].text(), "http://[::1]:1");
  EXPECT_EQ(config->listen[1].text(), "unix:/tmp/x");
}

TEST(Config, TheEnvironmentIsReadByName) {
  const std::map<std::string, std::string> variables = {
      {"DS_LISTEN", "127.0.0.1:1,localhost:2"}, {"DS_ACCESS_LOG", "true"}, {"DS_THREADS", "4"}};
  const OptionTexts environment = read_environment([&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
  const auto config = make_config({}, environment, {});
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->listen.size(), 3u);  // localhost is two
  EXPECT_TRUE(config->access_log);
  EXPECT_EQ(config->threads, 4u);
  const char* const entries[] = {"DS_LISTEN=x", "DS_LISTNE=x", "PATH=y", "DS_CONFIG=z", nullptr};
  EXPECT_EQ(unknown_environment(entries), std::vector<std::string>{"DS_LISTNE"});
}

TEST(Config, AFileIsAFlatTableOfOptions) {
  const auto file = parse_config_text(
      "listen = [\"127.0.0.1:1\"]\nthreads = 2\naccess-log = true\nsse-lifetime = \"5s\"\n", "f");
  ASSERT_TRUE(file.ok()) << file.error();
  const auto config = make_config({}, {}, *file);
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(config->threads, 2u);
  EXPECT_TRUE(config->access_log);
  EXPECT_EQ(config->sse_lifetime, seconds(5));
}

TEST(Config, WhatAFileMustNotHoldIsNamed) {
  const auto error = [](const char* text) {
    const auto file = parse_config_text(text, "f.toml");
    return file.ok() ? "" : file.error();
  };
  EXPECT_EQ(error("lisen = \"x\""), "configuration file f.toml: lisen is no option");
  EXPECT_EQ(error("[server]\nlisten = \"x\""), "configuration file f.toml: server is no option");
  EXPECT_EQ(error("threads = [1]"),
            "configuration file f.toml: threads takes one value, not an array");
  EXPECT_EQ(error("threads = 1.5"),
            "configuration file f.toml: threads must be a string, a whole number or a boolean");
  EXPECT_TRUE(
      std::string(error("threads = = 1")).starts_with("configuration file f.toml, line 1: "));
}

TEST(Config, ProblemsNameTheOptionAndTheValue) {
  EXPECT_EQ(problem_of({{"sse-lifetime", {"5"}}}),
            "--sse-lifetime: '5' is not a duration such as 500ms, 30s or 2m");
  EXPECT_EQ(problem_of({{"sse-lifetime", {"1ms"}}}),
            "--sse-lifetime: '1ms' is not between 10ms and 24h");
  EXPECT_EQ(problem_of({{"durability", {"maybe"}}}),
            "--durability: 'maybe' is none of sync, relaxed, memory");
  EXPECT_EQ(problem_of({{"threads", {"0"}}}), "--threads: '0' is not between 1 and 64");
  EXPECT_EQ(problem_of({{"threads", {"-1"}}}), "--threads: '-1' is not a whole number");
  EXPECT_EQ(problem_of({{"max-body-bytes", {"1XB"}}}),
            "--max-body-bytes: '1XB' is not a size such as 64KiB, 1MiB or 512MB");
  EXPECT_EQ(problem_of({{"threads", {"1", "2"}}}), "--threads is given more than once");
}

TEST(Config, AddressesBeyondThisMachineNeedConsent) {
  EXPECT_TRUE(problem_of({{"listen", {"0.0.0.0:1"}}}).starts_with("refusing to listen at"));
  EXPECT_TRUE(problem_of({{"listen", {"[::]:1"}}}).starts_with("refusing to listen at"));
  EXPECT_TRUE(problem_of({{"listen", {"192.168.1.1:1"}}}).starts_with("refusing to listen at"));
  EXPECT_EQ(problem_of({{"listen", {"0.0.0.0:1"}}, {"allow-unauthenticated", {kBareSwitch}}}), "");
  EXPECT_EQ(problem_of({{"listen", {"127.9.9.9:1", "[::1]:1", "unix:/x", "localhost:1"}}}), "");
}

TEST(Config, AnEmptyTextIsNoConsent) {
  const OptionTexts open = {{"listen", {"0.0.0.0:1"}}};
  EXPECT_EQ(problem_of({{"listen", {"0.0.0.0:1"}}, {"allow-unauthenticated", {""}}}),
            "--allow-unauthenticated: '' is neither true nor false");
  const auto file = parse_config_text("allow-unauthenticated = \"\"", "f");
  ASSERT_TRUE(file.ok());
  const auto config = make_config(open, {}, *file);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error(),
            "configuration file: allow-unauthenticated: '' is neither true nor false");
}

TEST(Config, AnEmptyVariableCountsAsNotSet) {
  const OptionTexts environment = read_environment([](const std::string&) { return ""; });
  EXPECT_TRUE(environment.empty());
  const auto config = make_config({}, environment, {});
  ASSERT_TRUE(config.ok()) << config.error();
  ASSERT_EQ(config->listen.size(), 1u);
  EXPECT_FALSE(config->allow_unauthenticated);
}

TEST(Config, ThereMustBeAnAddressToListenAt) {
  const auto file = parse_config_text("listen = []", "f");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(make_config({}, {}, *file).error(), "there is no address to listen at (--listen)");
  const auto commas =
      read_environment([](const std::string& name) { return name == "DS_LISTEN" ? "," : nullptr; });
  EXPECT_EQ(make_config({}, commas, {}).error(), "there is no address to listen at (--listen)");
}

TEST(Config, AFileThatIsNoneIsNamedWithTheReason) {
  const fakes::TempDirectory directory;
  const std::string path = directory.file(".");
  EXPECT_EQ(read_config_file(path).error(),
            "cannot read the configuration file " + path + ": it is a directory");
  EXPECT_EQ(read_config_file(path + "/none").error(),
            "cannot read the configuration file " + path + "/none: No such file or directory");
  const std::string file = directory.file("file");
  std::ofstream(file).flush();
  const auto empty = read_config_file(file);
  ASSERT_TRUE(empty.ok()) << empty.error();
  EXPECT_TRUE(empty->empty());
  EXPECT_EQ(check_data_dir(path), "");
  EXPECT_EQ(check_data_dir(directory.file("not/yet")), "");
  EXPECT_EQ(check_data_dir(file), "--data-dir: '" + file + "' is not a directory");
  EXPECT_EQ(check_data_dir(file + "/x"),
            "--data-dir: '" + file + "/x' cannot be used: Not a directory");
}

TEST(Config, AddressesMustBeLiteral) {
  for (const char* text : {"", "4437", ":4437", "example.com:80", "127.0.0.1", "127.0.0.1:99999",
                           "::1:80", "[::1]", "unix:"}) {
    EXPECT_NE(problem_of({{"listen", {text}}}), "") << text;
  }
  EXPECT_NE(problem_of({{"listen", {"unix:/" + std::string(200, 'x')}}}), "");
}

TEST(Config, DurationsAndSizesHaveUnits) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("2m"), seconds(120));
  EXPECT_EQ(parse_duration("1h"), seconds(3600));
  EXPECT_EQ(parse_duration("0"), Duration{0});
  for (const char* text : {"", "5", "s", "-1s", "1.5s", "1 s", "1S", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_EQ(parse_size("64KiB"), 65536u);
  EXPECT_EQ(parse_size("512MB"), 512000000u);
  EXPECT_EQ(parse_size("7"), 7u);
  for (const char* text : {"", "KiB", "-1", "1.5KiB", "1kib", "99999999999TiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
  EXPECT_EQ(duration_text(seconds(90)), "90s");
  EXPECT_EQ(duration_text(milliseconds(1500)), "1500ms");
}

TEST(Config, AddressRangesMatchByPrefix) {
  const uint8_t ten[4] = {10, 1, 2, 3};
  const uint8_t eleven[4] = {11, 1, 2, 3};
  const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
  const auto range = parse_address_range("10.0.0.0/9");
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->contains(AF_INET, ten));
  EXPECT_FALSE(range->contains(AF_INET, eleven));
  EXPECT_TRUE(range->contains(AF_INET6, mapped));
  EXPECT_TRUE(parse_address_range("0.0.0.0/0")->contains(AF_INET, eleven));
  EXPECT_FALSE(parse_address_range("10.1.2.4")->contains(AF_INET, ten));
  EXPECT_TRUE(parse_address_range("unix")->contains(AF_UNIX, nullptr));
  for (const char* text : {"", "10.0.0.0/33", "::1/129", "10.0.0/8", "host", "10.0.0.0/"}) {
    EXPECT_FALSE(parse_address_range(text)) << text;
  }
}

TEST(Config, EveryOptionHasADistinctNameAndAnEnvironmentName) {
  std::map<std::string, int> names;
  for (const Option& option : options()) {
    EXPECT_EQ(names[std::string(option.name)]++, 0) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
  EXPECT_EQ(environment_name(*find_option("long-poll-timeout")), "DS_LONG_POLL_TIMEOUT");
}

}  // namespace
}  // namespace ds::server
