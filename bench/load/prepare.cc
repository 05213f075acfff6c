#include "bench/load/prepare.h"

#include "bench/load/fail.h"

namespace ds::bench {
namespace {

// The streams that each connection looks after: c, c + C, c + 2C, ...
class OwnStreams {
 public:
  OwnStreams(uint32_t streams, uint32_t connections) : streams_(streams), step_(connections) {
    for (uint32_t c = 0; c < connections; ++c) next_.push_back(c);
  }
  bool has(uint32_t connection) const { return next_[connection] < streams_; }
  uint32_t current(uint32_t connection) const { return next_[connection]; }
  void advance(uint32_t connection) { next_[connection] += step_; }

 private:
  uint32_t streams_;
  uint32_t step_;
  std::vector<uint32_t> next_;
};

class CreateWorkload final : public Workload {
 public:
  explicit CreateWorkload(const Streams& streams)
      : streams_(streams), put_(streams.write("PUT", "", Streams::Producer::kNo)) {}

  std::string_view next_request(uint32_t) override {
    if (next_ == streams_.count()) return {};
    put_.request.set_number(put_.stream, next_++);
    return put_.request.bytes();
  }
  void judge(uint32_t, const ResponseHead& head, uint64_t, WrongAnswers& wrong) override {
    if (!check_status(head, 201, wrong)) return;
    if (head.next_offset.empty()) wrong.add(Wrong::kHeader, "PUT without Stream-Next-Offset");
  }

 private:
  const Streams& streams_;
  Streams::Write put_;
  uint32_t next_ = 0;
};

class FillWorkload final : public Workload {
 public:
  FillWorkload(const Streams& streams, uint64_t stream_bytes, uint64_t body_bytes,
               uint32_t connections)
      : own_(streams.count(), connections),
        full_(streams.write("POST", streams.body(body_bytes), Streams::Producer::kNo)),
        stream_bytes_(stream_bytes),
        body_bytes_(body_bytes),
        sent_(connections, 0) {
    const uint64_t rest = stream_bytes % body_bytes;
    if (rest > 0) rest_ = streams.write("POST", streams.body(rest), Streams::Producer::kNo);
  }

  std::string_view next_request(uint32_t connection) override {
    if (sent_[connection] == stream_bytes_) {
      own_.advance(connection);
      sent_[connection] = 0;
    }
    if (!own_.has(connection)) return {};
    const uint64_t left = stream_bytes_ - sent_[connection];
    Streams::Write& post = left < body_bytes_ ? rest_ : full_;
    sent_[connection] += left < body_bytes_ ? left : body_bytes_;
    post.request.set_number(post.stream, own_.current(connection));
    return post.request.bytes();
  }
  void judge(uint32_t, const ResponseHead& head, uint64_t, WrongAnswers& wrong) override {
    check_status(head, 204, wrong);
  }

 private:
  OwnStreams own_;
  Streams::Write full_;
  Streams::Write rest_;
  uint64_t stream_bytes_;
  uint64_t body_bytes_;
  std::vector<uint64_t> sent_;  // by connection, of its current stream
};

class CatchUpWorkload final : public Workload {
 public:
  CatchUpWorkload(const Streams& streams, const std::string& first_offset, uint32_t connections)
      : streams_(streams),
        own_(streams.count(), connections),
        first_query_(first_offset.empty() ? "" : "?offset=" + first_offset),
        queries_(connections, first_query_),
        chunks_(streams.count()) {}

  std::string_view next_request(uint32_t connection) override {
    if (!own_.has(connection)) return {};
    const uint32_t stream = own_.current(connection);
    std::vector<Chunk>& chunks = chunks_[stream];
    chunks.push_back({streams_.read(stream, queries_[connection]), 0});
    return chunks.back().request;
  }
  void judge(uint32_t connection, const ResponseHead& head, uint64_t body_bytes,
             WrongAnswers& wrong) override {
    Chunk& chunk = chunks_[own_.current(connection)].back();
    chunk.bytes = body_bytes;
    const bool good = check_status(head, 200, wrong);
    if (good && head.next_offset.empty()) {
      wrong.add(Wrong::kHeader, "GET without Stream-Next-Offset");
    }
    if (good && !head.up_to_date && !head.next_offset.empty() && body_bytes > 0) {
      queries_[connection] = "?offset=" + head.next_offset;
      return;
    }
    if (good && !head.up_to_date) {
      wrong.add(Wrong::kHeader, "the tail without Stream-Up-To-Date");
    }
    own_.advance(connection);
    queries_[connection] = first_query_;
  }

  std::vector<std::vector<Chunk>> take_chunks() { return std::move(chunks_); }

 private:
  const Streams& streams_;
  OwnStreams own_;
  std::string first_query_;
  std::vector<std::string> queries_;  // by connection
  std::vector<std::vector<Chunk>> chunks_;
};

void fail_if_wrong(RequestLoop& requests, const std::string& what) {
  if (requests.wrong().total() == 0) return;
  fail(what + " failed: " + requests.wrong().first());
}

}  // namespace

void create_streams(RequestLoop& requests, const Streams& streams, double patience_seconds) {
  if (streams.plain()) return;
  CreateWorkload workload(streams);
  requests.run_to_end(workload, seconds_to_ns(patience_seconds));
  fail_if_wrong(requests, "creating the streams");
}

void fill_streams(RequestLoop& requests, const Streams& streams, uint64_t stream_bytes,
                  uint64_t body_bytes, uint32_t connections, double patience_seconds) {
  FillWorkload workload(streams, stream_bytes, body_bytes, connections);
  requests.run_to_end(workload, seconds_to_ns(patience_seconds));
  fail_if_wrong(requests, "filling the streams");
}

std::vector<std::vector<Chunk>> read_streams(RequestLoop& requests, const Streams& streams,
                                             const std::string& first_offset, uint32_t connections,
                                             double patience_seconds) {
  CatchUpWorkload workload(streams, first_offset, connections);
  requests.run_to_end(workload, seconds_to_ns(patience_seconds));
  return workload.take_chunks();
}

}  // namespace ds::bench
