#include <numeric>

#include "bench/load/fail.h"
#include "bench/load/measurement.h"
#include "bench/load/prepare.h"
#include "bench/load/scenario.h"

namespace ds::bench {
namespace {

class ReadWorkload final : public Workload {
 public:
  ReadWorkload(const std::vector<std::vector<Chunk>>& streams, uint32_t connections, bool plain)
      : plain_(plain) {
    for (const auto& chunks : streams) {
      for (const Chunk& chunk : chunks) {
        entries_.push_back({all_.size(), chunk.request.size(), chunk.bytes});
        all_ += chunk.request;
      }
    }
    // The connections start evenly spread over all there is.
    for (uint64_t c = 0; c < connections; ++c) {
      current_.push_back(c * entries_.size() / connections);
    }
  }

  std::string_view next_request(uint32_t connection) override {
    uint64_t& at = current_[connection];
    at = at + 1 < entries_.size() ? at + 1 : 0;
    return std::string_view(all_).substr(entries_[at].at, entries_[at].size);
  }

  void judge(uint32_t connection, const ResponseHead& head, uint64_t body_bytes,
             WrongAnswers& wrong) override {
    if (!check_status(head, 200, wrong)) return;
    if (head.next_offset.empty() && !plain_) {
      wrong.add(Wrong::kHeader, "GET without Stream-Next-Offset");
    }
    const uint64_t wanted = entries_[current_[connection]].body_bytes;
    if (body_bytes != wanted) {
      wrong.add(Wrong::kLength,
                std::to_string(body_bytes) + " bytes instead of " + std::to_string(wanted));
    }
  }

  uint64_t responses() const { return entries_.size(); }

 private:
  struct Entry {
    size_t at;  // of the request in all_
    size_t size;
    uint64_t body_bytes;
  };
  const bool plain_;
  std::string all_;
  std::vector<Entry> entries_;
  std::vector<uint64_t> current_;  // by connection: the entry of its last request
};

// The set-up reads have met the whole of every stream, if they began at its beginning.
void check_lengths(const std::vector<std::vector<Chunk>>& streams, const Options& options) {
  const std::string& first = options.path_offset;
  const bool whole = first.empty() || first == "-1";
  for (const auto& chunks : streams) {
    const uint64_t found =
        std::accumulate(chunks.begin(), chunks.end(), uint64_t{0},
                        [](uint64_t sum, const Chunk& chunk) { return sum + chunk.bytes; });
    if (whole && found != options.stream_bytes) {
      fail("a stream of " + std::to_string(options.stream_bytes) + " bytes reads as " +
           std::to_string(found));
    }
  }
}

// Of a plain server: one response each, of the length that the files are known to have.
std::vector<std::vector<Chunk>> whole_files(const Streams& streams, const Options& options) {
  std::vector<std::vector<Chunk>> files;
  for (uint32_t s = 0; s < streams.count(); ++s) {
    files.push_back({{streams.read(s, ""), options.stream_bytes}});
  }
  return files;
}

}  // namespace

Result run_read(const Options& options) {
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(options.url);
  const Streams streams(options, endpoint);
  RequestLoop requests(loop, endpoint, options.connections);
  if (!options.existing && !options.plain) {
    create_streams(requests, streams, options.drain_seconds);
    fill_streams(requests, streams, options.stream_bytes, options.body_bytes, options.connections,
                 options.drain_seconds);
  }
  const auto chunks = options.plain ? whole_files(streams, options)
                                    : read_streams(requests, streams, options.path_offset,
                                                   options.connections, options.drain_seconds);
  if (requests.wrong().total() > 0) fail("reading back failed: " + requests.wrong().first());
  check_lengths(chunks, options);

  ReadWorkload workload(chunks, options.connections, options.plain);
  Result result;
  result.unit = "read";
  result.units = "reads";
  measure_requests(loop, endpoint, options, requests, workload, result);
  result.body_bytes = requests.body_bytes();
  result.wrong = requests.wrong();
  result.more.emplace_back("responses_per_pass", static_cast<double>(workload.responses()));
  return result;
}

}  // namespace ds::bench
