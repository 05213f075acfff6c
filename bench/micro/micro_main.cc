// ds-micro: the hot functions of the core, one by one, and the whole paths, by Google Benchmark.
#include <benchmark/benchmark.h>

#include <optional>
#include <string>
#include <vector>

#include "bench/micro/paths.h"
#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/stream/decide.h"
#include "core/stream/op.h"
#include "core/stream/state.h"
#include "core/wire/json_scan.h"
#include "core/wire/offset_text.h"
#include "core/wire/sse.h"
#include "server/http/request_parser.h"

namespace ds::bench {
namespace {

constexpr std::string_view kHead =
    "POST /v1/stream/bench/r1767323045000-00000042 HTTP/1.1\r\n"
    "Host: 127.0.0.1:4437\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\n";

std::string json_text(size_t elements, std::string_view element) {
  std::string text = "[";
  for (size_t i = 0; i < elements; ++i) text.append(i == 0 ? "" : ",").append(element);
  return text + "]";
}

stream::StreamState new_stream() {
  stream::Op op;
  op.type = stream::OpType::kCreate;
  op.stream = Incarnation{1767323045000000};
  op.create.emplace();
  op.create->path = "_default/bench/s";
  op.create->content_type = "application/octet-stream";
  op.create->lives = {{Position{0}, op.stream, false}};
  stream::StreamState state = stream::new_state(op, stream::MessageIndex());
  DS_ASSERT(stream::apply(state, op, log_position(1, 64)));
  return state;
}

// One append: checked, decided, encoded as a record and applied.
void decide_and_apply(benchmark::State& bench) {
  stream::StreamState state = new_stream();
  const std::string body(100, 'x');
  wire::AppendRequest request;
  request.content_type = "application/octet-stream";
  request.body.bytes = body;
  std::string records;
  uint64_t log = 128;
  for ([[maybe_unused]] auto _ : bench) {
    const stream::WriterView view{state.config, state.lives, state.writer, nullptr};
    const stream::AppendDecision decision = stream::decide_append(view, request);
    DS_ASSERT(decision.kind == stream::AppendDecision::Kind::kAppend);
    stream::Op op;
    op.stream = state.id;
    op.path_hash = state.path_hash;
    op.position = state.writer.tail;
    op.time = Instant{1767323045000000};
    op.payload = body;
    records.clear();
    stream::append_record(records, op);
    DS_ASSERT(stream::apply(state, op, log_position(1, static_cast<uint32_t>(log += 192))));
    if (state.index.size() > 100'000) {
      bench.PauseTiming();
      state = new_stream();
      bench.ResumeTiming();
    }
  }
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(decide_and_apply);

void json_split(benchmark::State& bench, const std::string& text) {
  std::vector<wire::JsonElement> elements;
  for ([[maybe_unused]] auto _ : bench) {
    benchmark::DoNotOptimize(wire::scan_json(text, elements));
  }
  bench.SetBytesProcessed(bench.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK_CAPTURE(json_split, strings_of_100, json_text(1000, '"' + std::string(98, 'x') + '"'));
BENCHMARK_CAPTURE(json_split, objects_of_100,
                  json_text(1000, R"({"id":"01JH3Z8K7Q","at":1767323045123,"kind":"message",)"
                                  R"("text":"A line of text, as chats have.","n":[1,2]})"));
BENCHMARK_CAPTURE(json_split, numbers, json_text(10000, "-12345.678e2"));

void sse_frame(benchmark::State& bench) {
  const std::string text(100, 'x');
  std::string frame;
  wire::SseControl control;
  control.next_offset = {Incarnation{1767323045000000}, Position{12345678}};
  control.cursor = 12345;
  control.up_to_date = true;
  for ([[maybe_unused]] auto _ : bench) {
    frame.clear();
    wire::append_sse_data(frame, wire::ContentKind::kText, text);
    wire::append_sse_control(frame, control);
    benchmark::DoNotOptimize(frame.data());
  }
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(sse_frame);

void offset_write(benchmark::State& bench) {
  std::string text;
  Offset offset{Incarnation{1767323045000000}, Position{12345678}};
  for ([[maybe_unused]] auto _ : bench) {
    text.clear();
    wire::append_offset(text, offset);
    benchmark::DoNotOptimize(text.data());
  }
}
BENCHMARK(offset_write);

void offset_parse(benchmark::State& bench) {
  std::string text = "1767323045000000_0000000012345678";
  for ([[maybe_unused]] auto _ : bench) {
    benchmark::DoNotOptimize(text.data());
    benchmark::DoNotOptimize(wire::parse_offset(text));
  }
}
BENCHMARK(offset_parse);

void head_parse(benchmark::State& bench) {
  server::RequestParser parser({});
  for ([[maybe_unused]] auto _ : bench) {
    parser.reset();
    const auto status = parser.parse_head(kHead);
    DS_ASSERT(status == server::RequestParser::Status::kDone);
  }
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(head_parse);

void checksum(benchmark::State& bench) {
  const std::string bytes(static_cast<size_t>(bench.range(0)), 'x');
  for ([[maybe_unused]] auto _ : bench) benchmark::DoNotOptimize(crc32c(bytes));
  bench.SetBytesProcessed(bench.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(checksum)->Arg(128)->Arg(1 << 20);

void whole_path(benchmark::State& bench, std::string_view name) {
  Path path(name);
  for ([[maybe_unused]] auto _ : bench) DS_ASSERT(path.once());
  bench.SetItemsProcessed(bench.iterations());
}

}  // namespace
}  // namespace ds::bench

int main(int argc, char** argv) {
  for (const std::string_view name : ds::bench::Path::names()) {
    const std::string title = "path/" + std::string(name);
    // What was appended stays in memory: so many times, not for so long.
    benchmark::RegisterBenchmark(title.c_str(), ds::bench::whole_path, name)->Iterations(20000);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
