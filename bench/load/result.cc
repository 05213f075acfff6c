#include "bench/load/result.h"

#include <cinttypes>
#include <cstdio>
#include <string_view>

#include "bench/load/fail.h"

namespace ds::bench {
namespace {

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};

double per_second(const Result& r, uint64_t count) {
  return r.seconds > 0 ? static_cast<double>(count) / r.seconds : 0;
}

double us_each(const Result& r, double ns) {
  return r.completed > 0 ? ns / 1000 / static_cast<double>(r.completed) : 0;
}

double us(int64_t ns) { return static_cast<double>(ns) / 1000; }

double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// Writes one flat or nested JSON object; commas are its business.
class JsonWriter {
 public:
  explicit JsonWriter(std::FILE* file) : file_(file) {}

  void open(std::string_view key) {
    name(key);
    std::fputs("{", file_);
    first_ = true;
  }
  void close() {
    std::fputs("}", file_);
    first_ = false;
  }
  void number(std::string_view key, double value) {
    name(key);
    std::fprintf(file_, "%.10g", value);
  }
  void count(std::string_view key, uint64_t value) {
    name(key);
    std::fprintf(file_, "%" PRIu64, value);
  }
  void text(std::string_view key, std::string_view value) {
    name(key);
    quoted(value);
  }

 private:
  void name(std::string_view key) {
    if (!first_) std::fputs(",", file_);
    first_ = false;
    if (key.empty()) return;
    quoted(key);
    std::fputs(":", file_);
  }
  void quoted(std::string_view value) {
    std::fputc('"', file_);
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        std::fprintf(file_, "\\%c", c);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        std::fprintf(file_, "\\u%04x", static_cast<unsigned>(c));
      } else {
        std::fputc(c, file_);
      }
    }
    std::fputc('"', file_);
  }

  std::FILE* file_;
  bool first_ = true;
};

void write_server(JsonWriter& json, const Result& r) {
  json.open("server");
  json.number("cpu_user_us_each", us_each(r, r.server_cpu.user_ns));
  json.number("cpu_system_us_each", us_each(r, r.server_cpu.system_ns));
  json.number("cpu_us_each", us_each(r, r.server_cpu.total_ns()));
  json.number("cores", r.server_cpu.total_ns() / 1e9 / r.seconds);
  json.number("rss_before_bytes", static_cast<double>(r.server_rss_before));
  json.number("rss_after_bytes", static_cast<double>(r.server_rss_after));
  json.number("rss_peak_bytes", static_cast<double>(r.server_rss_peak));
  json.close();
}

}  // namespace

void print_text(const Options& options, const Result& r) {
  std::printf("%s  %s%s  %.2f s\n", options.scenario.c_str(), options.url.c_str(),
              options.base.c_str(), r.seconds);
  if (r.completed > 0) {
    std::printf("  throughput  %.0f %s/s  %.1f MB/s  (%" PRIu64 " in all)\n",
                per_second(r, r.completed), r.units.c_str(), per_second(r, r.body_bytes) / 1e6,
                r.completed);
    std::printf("  latency us ");
    for (const auto& [name, quantile] : kQuantiles) {
      std::printf(" %s %.0f ", name, us(r.latency.at(quantile)));
    }
    std::printf(" max %.0f  mean %.0f\n", us(r.latency.max()), r.latency.mean() / 1000);
  }
  if (r.has_server) {
    if (r.completed > 0) {
      std::printf("  server CPU  %.2f us per %s: %.2f user + %.2f system  (%.2f cores)\n",
                  us_each(r, r.server_cpu.total_ns()), r.unit.c_str(),
                  us_each(r, r.server_cpu.user_ns), us_each(r, r.server_cpu.system_ns),
                  r.server_cpu.total_ns() / 1e9 / r.seconds);
    } else {
      std::printf("  server CPU  %.4f cores\n", r.server_cpu.total_ns() / 1e9 / r.seconds);
    }
    std::printf("  server RSS  %.1f MiB before  %.1f after  %.1f peak\n", mib(r.server_rss_before),
                mib(r.server_rss_after), mib(r.server_rss_peak));
  }
  if (r.completed > 0) {
    std::printf("  own CPU     %.2f us per %s  (%.2f cores)\n", us_each(r, r.own_cpu.total_ns()),
                r.unit.c_str(), r.own_cpu.total_ns() / 1e9 / r.seconds);
  }
  for (const auto& [name, value] : r.more) std::printf("  %s  %.10g\n", name.c_str(), value);
  if (r.wrong.total() == 0) {
    std::printf("  wrong       0\n");
    return;
  }
  std::printf("  WRONG       %" PRIu64 " :", r.wrong.total());
  for (size_t i = 0; i < kWrongNames.size(); ++i) {
    if (r.wrong.of(i) > 0) std::printf(" %s %" PRIu64, kWrongNames[i].data(), r.wrong.of(i));
  }
  std::printf("\n  first       %s\n", r.wrong.first().c_str());
}

void write_json(const std::string& path, const Options& o, const Result& r) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) fail_errno(path);
  JsonWriter json(file);
  json.open("");
  json.text("scenario", o.scenario);
  json.text("url", o.url + o.base);
  json.count("streams", o.streams);
  json.count("connections", o.connections);
  json.count("readers", o.readers);
  json.count("body_bytes", o.body_bytes);
  json.number("rate", o.rate);
  json.text("unit", r.unit);
  json.number("seconds", r.seconds);
  json.count("completed", r.completed);
  json.number("per_second", per_second(r, r.completed));
  json.number("bytes_per_second", per_second(r, r.body_bytes));
  json.open("latency_us");
  for (const auto& [name, quantile] : kQuantiles) json.number(name, us(r.latency.at(quantile)));
  json.number("max", us(r.latency.max()));
  json.number("mean", r.latency.mean() / 1000);
  json.close();
  if (r.has_server) write_server(json, r);
  json.number("own_cpu_us_each", us_each(r, r.own_cpu.total_ns()));
  json.open("more");
  for (const auto& [name, value] : r.more) json.number(name, value);
  json.close();
  json.open("wrong");
  json.count("total", r.wrong.total());
  for (size_t i = 0; i < kWrongNames.size(); ++i) json.count(kWrongNames[i], r.wrong.of(i));
  json.text("first", r.wrong.first());
  json.close();
  json.close();
  std::fputs("\n", file);
  if (std::fclose(file) != 0) fail_errno(path);
}

}  // namespace ds::bench
