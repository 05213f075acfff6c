// World: its clients.
#include <algorithm>
#include <utility>

#include "core/wire/errors.h"
#include "tests/sim/request_bytes.h"
#include "tests/sim/violation.h"
#include "tests/sim/world.h"

namespace ds::sim {

using tests::Random;
using What = Sent::What;

namespace {

constexpr size_t kUnackedMax = 4;
constexpr size_t kRepeatableMax = 12;
constexpr size_t kRetriedBack = 10;  // fewer than the receipts that a producer has

std::string seq_text(uint64_t seq) {
  std::string digits = std::to_string(seq);
  return std::string(8 - digits.size(), '0') + digits;
}

}  // namespace

std::string World::any_path(Random& random) const {
  const size_t n = random.below(plain_paths_.size() + fork_paths_.size());
  return n < plain_paths_.size() ? plain_paths_[n] : fork_paths_[n - plain_paths_.size()];
}

std::optional<Offset> World::any_offset(Random& random, const std::string& path) {
  const Stream* stream = oracle_.current(path);
  if (stream == nullptr) return std::nullopt;
  const std::vector<uint64_t> ends = oracle_.model().ends(*stream);
  if (random.below(3) == 0) return oracle_.model().offset_at(*stream, stream->tail);
  return oracle_.model().offset_at(*stream, ends[random.below(ends.size())]);
}

void World::client_step(Random& random) {
  const uint64_t kind = random.below(100);
  if (kind < 33) return producer_step(random);
  if (kind < 60) {
    send(random_append(random));
  } else if (kind < 72) {
    send(random_create(random));
  } else if (kind < 89) {
    send(random_read(random));
  } else if (kind < 92) {
    repeat_step(random);
  } else if (kind < 95) {
    Sent sent;
    sent.what = What::kDelete;
    sent.path = any_path(random);
    send(std::move(sent));
  } else if (!at_server_.empty()) {
    auto which = at_server_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(random.below(at_server_.size())));
    disconnect(which->first);
  }
}

// A request comes once more, as if something between client and server had repeated it. Never one
// that may be stored twice.
void World::repeat_step(Random& random) {
  if (repeatable_.empty()) return;
  send(repeatable_[random.below(repeatable_.size())]);
}

Sent World::random_create(Random& random) {
  Sent sent;
  sent.what = What::kCreate;
  const bool forks = random.below(5) < 3;
  const auto& paths = forks ? fork_paths_ : plain_paths_;
  sent.path = paths[random.below(paths.size())];
  sent.closes = random.below(20) == 0;
  if (forks) {
    do sent.source = any_path(random);
    while (sent.source == sent.path);
    if (random.below(2) == 0) {
      sent.fork_at = any_offset(random, sent.source);
      const Stream* source = oracle_.current(sent.source);
      const bool at_tail =
          source == nullptr || !sent.fork_at || sent.fork_at->position.value >= source->tail;
      if (!at_tail && random.below(2) == 0) sent.sub_offset = 1 + random.below(6);
    }
    if (random.below(6) == 0) sent.ttl_s = weather_.ttl_s;
    if (random.below(4) == 0) sent.retention = weather_.retention;
  } else if (sent.path == "p/r") {
    sent.retention = weather_.retention;
  } else if (sent.path == plain_paths_.back()) {
    sent.ttl_s = weather_.ttl_s;
  }
  if (random.below(3) > 0) {
    sent.tag = oracle_.model().make_payload(sent.path, 1 + random.below(3), random.below(40)).tag;
  }
  return sent;
}

Sent World::random_append(Random& random) {
  Sent sent;
  sent.what = What::kAppend;
  sent.path = any_path(random);
  sent.closes = random.below(40) == 0;
  if (!sent.closes || random.below(2) == 0) {
    const uint64_t size = random.below(weather_.payload_bytes);
    sent.tag = oracle_.model().make_payload(sent.path, 1 + random.below(3), size).tag;
  }
  if (random.below(6) == 0) {
    // Mostly one that is not the newest.
    last_seq_ += random.below(3) > 0 ? 1 : 0;
    sent.stream_seq = seq_text(last_seq_ - random.below(std::min<uint64_t>(2, last_seq_ + 1)));
  }
  if (random.below(5) == 0) sent.if_match = any_offset(random, sent.path);
  if (random.below(12) == 0 && sent.tag != 0) sent.wrong_type = true;
  return sent;
}

Sent World::random_read(Random& random) {
  Sent sent;
  sent.path = any_path(random);
  const uint64_t kind = random.below(10);
  sent.what = kind < 2 ? What::kHead : kind < 6 ? What::kRead : kind < 8 ? What::kPoll : What::kSse;
  if (sent.what == What::kHead) return sent;
  const uint64_t from = random.below(10);
  if (from < 7) {
    sent.at = any_offset(random, sent.path);
  } else if (from < 8) {
    sent.from_now = true;
  }
  return sent;
}

// --- Producers
// ------------------------------------------------------------------------------------

void World::new_epoch(Producer& producer) {
  producer.epoch++;
  producer.tags.clear();
  producer.acked.clear();
}

void World::producer_step(Random& random) {
  Producer& producer = producers_[random.below(producers_.size())];
  const auto unacked =
      static_cast<size_t>(std::count(producer.acked.begin(), producer.acked.end(), false));
  Sent sent;
  sent.what = What::kAppend;
  sent.path = producer.path;
  if (random.below(40) == 0) new_epoch(producer);
  uint64_t seq = producer.tags.size();
  if (producer.tags.empty() || (unacked < kUnackedMax && random.below(2) == 0)) {
    const uint64_t size = random.below(weather_.payload_bytes);
    producer.tags.push_back(
        oracle_.model().make_payload(producer.path, 1 + random.below(3), size).tag);
    producer.acked.push_back(false);
  } else if (unacked > 0 && random.below(4) > 0) {
    seq = static_cast<uint64_t>(std::find(producer.acked.begin(), producer.acked.end(), false) -
                                producer.acked.begin());
  } else {
    seq -= 1 + random.below(std::min<uint64_t>(seq, kRetriedBack));
  }
  sent.tag = producer.tags[seq];
  sent.producer = Tuple{producer.id, producer.epoch, seq};
  send(std::move(sent));
}

void World::producer_answered(const Sent& sent, const wire::Response& response) {
  const auto producer = std::find_if(
      producers_.begin(), producers_.end(),
      [&](const Producer& one) { return one.id == sent.producer->id && one.path == sent.path; });
  require(producer != producers_.end(), "an answer to no producer");
  if (producer->epoch != sent.producer->epoch) return;
  if (response.status < 300) {
    producer->acked[sent.producer->seq] = true;
    return;
  }
  const auto unacked = static_cast<uint64_t>(
      std::find(producer->acked.begin(), producer->acked.end(), false) - producer->acked.begin());
  const bool forgotten = response.error == wire::ErrorCode::kSequenceGap &&
                         response.expected_seq.value_or(0) < unacked;
  if (forgotten || (response.error != wire::ErrorCode::kSequenceGap && response.status < 500)) {
    new_epoch(*producer);
  }
}

// --- To and from the server
// -----------------------------------------------------------------------

uint64_t World::send(Sent sent) {
  const uint64_t request = ++last_request_;
  if (verbose_) {
    constexpr const char* kNames[] = {"PUT", "POST", "DELETE", "HEAD", "GET", "POLL", "SSE"};
    std::string line = "request " + std::to_string(request) + ": " +
                       kNames[static_cast<size_t>(sent.what)] + " " + sent.path;
    if (sent.tag != 0) {
      line += ", write " + std::to_string(sent.tag) + " of " +
              std::to_string(oracle_.model().payload(sent.tag).stored.size()) + " bytes";
    }
    if (sent.producer) {
      line += ", producer " + sent.producer->id + " " + std::to_string(sent.producer->epoch) + "/" +
              std::to_string(sent.producer->seq);
    }
    if (!sent.source.empty()) line += ", fork of " + sent.source;
    if (sent.fork_at) line += " at " + offset_text(*sent.fork_at);
    if (sent.sub_offset > 0) line += " + " + std::to_string(sent.sub_offset);
    if (sent.at) line += ", from " + offset_text(*sent.at);
    if (sent.if_match) line += ", if " + offset_text(*sent.if_match);
    if (!sent.stream_seq.empty()) line += ", seq " + sent.stream_seq;
    if (sent.ttl_s) line += ", ttl " + std::to_string(*sent.ttl_s);
    if (sent.closes) line += ", closes";
    if (sent.wrong_type) line += ", wrong type";
    say(line);
  }
  const bool stored_once = sent.what == What::kCreate || sent.what == What::kDelete ||
                           sent.if_match || sent.producer || (sent.closes && sent.tag == 0);
  if (stored_once && sent.what <= What::kDelete) {
    repeatable_.push_back(sent);
    if (repeatable_.size() > kRepeatableMax) repeatable_.pop_front();
  }
  oracle_.sent(request, sent, now_);
  network_.emplace_back(request, std::move(sent));
  return request;
}

void World::arrive(size_t which, bool by_mail) {
  const auto [request, sent] = std::move(network_[which]);
  network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(which));
  deliver(request, sent, by_mail);
}

void World::deliver(uint64_t request, const Sent& sent, bool by_mail) {
  RequestBytes bytes;
  fill(bytes, sent, oracle_.model());
  at_server_.emplace(request, sent);
  host_.send(request, bytes.text, now_, by_mail);
}

void World::disconnect(uint64_t request) {
  say("client of request " + std::to_string(request) + " is gone");
  host_.disconnect(request, at_server_.at(request).path);
  at_server_.erase(request);
  live_.erase(request);
  oracle_.abandoned(request, now_);
}

void World::on_submitted(const Submitted&, std::string_view records) {
  oracle_.model().note_records(records);
}

void World::on_answer(uint64_t request, const wire::Response& response) {
  if (verbose_) {
    say("answer to " + std::to_string(request) + ": " + std::to_string(response.status) +
        (response.error != wire::ErrorCode::kNone
             ? " " + std::string(wire::error_info(response.error).code)
             : "") +
        (response.next_offset ? " next " + offset_text(*response.next_offset) : "") +
        (response.closed ? " closed" : ""));
  }
  fingerprint_ = (fingerprint_ ^ request ^ response.status) * 0x100000001b3;
  if (response.next_offset) {
    fingerprint_ = (fingerprint_ ^ response.next_offset->position.value) * 0x100000001b3;
  }
  const auto found = at_server_.find(request);
  require(found != at_server_.end(), "an answer to a request that is not there");
  const Sent sent = std::move(found->second);
  at_server_.erase(found);
  oracle_.answered(request, response, now_);
  if (sent.producer) producer_answered(sent, response);
  if (awaited_ == request) kept_.emplace(request, response);
}

void World::on_sse_open(uint64_t request, const wire::Response&, Position at) {
  Live live{LiveReader(oracle_.model().kind(), at), 0};
  const Sent& sent = oracle_.of(request);
  if (sent.at) {
    const Stream* stream = oracle_.model().find(sent.at->life.value);
    if (stream != nullptr && stream->path == sent.path) live.stream = stream->id;
  }
  live_.emplace(request, std::move(live));
}

void World::on_sse_frame(uint64_t request, std::string_view bytes, Position, Position end) {
  const auto found = live_.find(request);
  if (found == live_.end()) return;
  Live& live = found->second;
  live.reader.take(bytes);
  require(live.reader.position() == end.value, "an SSE frame that ends elsewhere");
  if (live.stream == 0 && live.reader.told()) {
    const Stream* stream = oracle_.model().identify(oracle_.of(request).path, *live.reader.told());
    if (stream != nullptr) live.stream = stream->id;
  }
  if (live.stream == 0) return;
  const uint64_t begin = live.reader.begin();
  oracle_.saw(request, live.stream, begin, live.reader.take_seen());
}

void World::on_sse_end(uint64_t request) {
  at_server_.erase(request);
  live_.erase(request);
  oracle_.ended(request, now_);
}

}  // namespace ds::sim
