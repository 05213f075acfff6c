#include <algorithm>
#include <vector>

#include "bench/load/measurement.h"
#include "bench/load/prepare.h"
#include "bench/load/scenario.h"

namespace ds::bench {
namespace {

class AppendWorkload final : public Workload {
 public:
  AppendWorkload(const Options& options, const Streams& streams)
      : post_(streams.write("POST", streams.body(options.body_bytes),
                            options.producers ? Streams::Producer::kYes : Streams::Producer::kNo)),
        producers_(options.producers),
        plain_(options.plain),
        streams_(streams.count()),
        connections_(options.connections),
        sequences_(options.producers ? std::max(streams_, connections_) : 0),
        answered_(streams_) {
    for (uint32_t c = 0; c < connections_; ++c) current_.push_back(c % streams_);
  }

  std::string_view next_request(uint32_t connection) override {
    uint32_t& stream = current_[connection];
    if (connections_ < streams_) {
      // A connection's own streams never meet another's, so its producer needs one sequence each.
      stream = stream + connections_ < streams_ ? stream + connections_ : connection;
    }
    post_.request.set_number(post_.stream, stream);
    if (producers_) {
      uint64_t& sequence = sequences_[connections_ < streams_ ? stream : connection];
      post_.request.set_number(post_.producer_id, connection);
      post_.request.set_header_number(post_.producer_seq, sequence++);
    }
    return post_.request.bytes();
  }

  void judge(uint32_t connection, const ResponseHead& head, uint64_t,
             WrongAnswers& wrong) override {
    // A producer's 204 would say that the append was a duplicate, and none is.
    if (!check_write(head, producers_ ? 200 : 204, plain_, wrong)) return;
    ++answered_[current_[connection]];
  }

  // Appends that were acknowledged, by stream.
  const std::vector<uint64_t>& answered() const { return answered_; }

 private:
  Streams::Write post_;
  const bool producers_;
  const bool plain_;
  const uint32_t streams_;
  const uint32_t connections_;
  std::vector<uint32_t> current_;  // by connection: the stream of its last request
  std::vector<uint64_t> sequences_;
  std::vector<uint64_t> answered_;
};

// Every acknowledged byte must be there, and nothing else.
void verify(RequestLoop& requests, const Streams& streams, const Options& options,
            const AppendWorkload& workload) {
  const auto chunks =
      read_streams(requests, streams, "-1", options.connections, options.drain_seconds);
  for (uint32_t s = 0; s < streams.count(); ++s) {
    uint64_t found = 0;
    for (const Chunk& chunk : chunks[s]) found += chunk.bytes;
    const uint64_t wanted = workload.answered()[s] * options.body_bytes;
    if (found != wanted) {
      requests.wrong().add(Wrong::kLength, streams.path(s) + " holds " + std::to_string(found) +
                                               " bytes instead of " + std::to_string(wanted));
    }
  }
}

}  // namespace

Result run_append(const Options& options) {
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(options.url);
  const Streams streams(options, endpoint);
  RequestLoop requests(loop, endpoint, options.connections);
  if (!options.existing) create_streams(requests, streams, options.drain_seconds);

  AppendWorkload workload(options, streams);
  Result result;
  result.unit = "append";
  result.units = "appends";
  measure_requests(loop, endpoint, options, requests, workload, result);
  result.body_bytes = result.completed * streams.body(options.body_bytes).size();
  if (options.verify) {
    verify(requests, streams, options, workload);
    result.more.emplace_back("verified_streams", streams.count());
  }
  result.wrong = requests.wrong();
  return result;
}

}  // namespace ds::bench
