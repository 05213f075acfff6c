// World: looking at everything while nothing is under way.
#include <algorithm>
#include <string>

#include "core/wire/errors.h"
#include "tests/sim/violation.h"
#include "tests/sim/world.h"

namespace ds::sim {

using What = Sent::What;

namespace {
constexpr int kBusyMax = 20000;
constexpr int kSealingsMax = 500;
constexpr uint64_t kIdleBytesMax = 1024;  // of an engine without streams
}  // namespace

// One round of everything that the server has to do. False if there was nothing.
bool World::quiesce_once() {
  bool more = false;
  while (!network_.empty()) {
    arrive(0, false);
    more = true;
  }
  for (size_t i = 0; i < host_.engines(); ++i) {
    more = host_.read_mail(i, SIZE_MAX, now_) || more;
    more = host_.end_turn(i) || more;
  }
  more = host_.commit(now_) || more;
  more = host_.prepare_generation() || more;
  more = host_.look_for_room() || more;
  while (host_.serve_job(0, now_)) more = true;
  for (const uint64_t request : host_.sockets().all()) {
    if (host_.sockets().stalled(request)) host_.sockets().drain(request);
    while (host_.sockets().has(request) && host_.sockets().deliver(request)) more = true;
    while (const auto thing = host_.sockets().take(request)) {
      more = true;
      if (thing->lagging) {
        host_.reader_lagging(request, *thing->lagging);
      } else {
        host_.reader_ready(request, now_);
      }
    }
  }
  for (size_t i = 0; i < host_.engines(); ++i) more = more || host_.mail(i) > 0;
  if (!host_.log_healthy()) {
    pass(milliseconds(250));
    more = true;
  }
  return more;
}

void World::quiesce() {
  heal();
  for (int turns = 0; quiesce_once(); ++turns) {
    require(turns < kBusyMax, "the server keeps itself busy for ever");
  }
}

wire::Response World::ask(Sent sent) {
  awaited_ = send(std::move(sent));
  quiesce();
  const auto found = kept_.find(*awaited_);
  require(found != kept_.end(), "a request is not answered though nothing else is under way");
  const wire::Response response = std::move(found->second);
  kept_.clear();
  awaited_.reset();
  if (response.status >= 500) {
    throw Violation("a server error though nothing fails any more: " +
                    std::string(wire::error_info(response.error).code) + " (" +
                    host_.last_problem() + ")");
  }
  return response;
}

void World::audit() {
  say("audit");
  quiesce();
  oracle_.settled(now_);
  std::vector<std::string> paths = plain_paths_;
  paths.insert(paths.end(), fork_paths_.begin(), fork_paths_.end());
  for (const std::string& path : paths) audit_path(path);
  oracle_.model().settle();
  for (const Producer& producer : producers_) {
    // The newest write that was accepted, once more.
    const auto last = std::find(producer.acked.rbegin(), producer.acked.rend(), true);
    const Stream* stream = oracle_.current(producer.path);
    if (last == producer.acked.rend() || stream == nullptr) continue;
    const auto seq = static_cast<uint64_t>(producer.acked.rend() - last) - 1;
    Sent sent;
    sent.what = What::kAppend;
    sent.path = producer.path;
    sent.tag = producer.tags[seq];
    sent.producer = Tuple{producer.id, producer.epoch, seq};
    ask(std::move(sent));
  }
  audit_live_readers();
}

void World::audit_path(const std::string& path) {
  Sent head;
  head.what = What::kHead;
  head.path = path;
  const wire::Response about = ask(head);
  if (about.status != 200) return;
  std::string content;
  uint64_t begin = 0;
  Sent read;
  read.path = path;
  for (;;) {
    const wire::Response part = ask(read);
    if (part.status == 404 || part.status == 410) return;  // its time has come
    require(part.status == 200 && part.etag, "a catch-up read is refused");
    const std::string bytes = oracle_.stored(part);
    if (!read.at) begin = part.next_offset->position.value - bytes.size();
    content += bytes;
    read.at = part.next_offset;
    if (!part.up_to_date) continue;
    require(part.next_offset == about.next_offset && part.closed == about.closed,
            "HEAD and GET disagree about " + path);
    const uint64_t earliest = about.earliest_offset ? about.earliest_offset->position.value : 0;
    require(earliest == begin, "HEAD and GET disagree about the beginning of " + path);
    Stream* stream = oracle_.model().find(part.etag->life.value);
    oracle_.model().check_content(*stream, begin, content);
    return;
  }
}

// All that is there has been sent to those who wait for it.
void World::audit_live_readers() {
  for (const auto& [request, live] : live_) {
    if (live.stream == 0) continue;
    const Stream* stream = oracle_.model().find(live.stream);
    const std::string name = "SSE reader " + std::to_string(request) + " of " + stream->path;
    require(stream->gone_since == 0, name + " outlives its stream");
    require(live.reader.position() == stream->tail, name + " stands at " +
                                                        std::to_string(live.reader.position()) +
                                                        " of " + std::to_string(stream->tail));
    require(stream->closed_since == 0, name + " has not been ended");
  }
  for (const auto& [request, sent] : oracle_.open()) {
    if (sent.what != What::kPoll || !sent.at) continue;
    const Stream* stream = oracle_.model().find(sent.at->life.value);
    if (stream == nullptr || stream->path != sent.path) continue;
    const std::string name = "long-poll " + std::to_string(request) + " of " + sent.path;
    require(stream->gone_since == 0, name + " outlives its stream");
    require(stream->closed_since == 0, name + " waits for a closed stream");
    require(stream->tail <= sent.at->position.value, name + " was not woken");
  }
}

void World::finish() {
  if (!host_.running()) start();
  audit();
  std::vector<uint64_t> open;
  for (const auto& [request, sent] : at_server_) open.push_back(request);
  for (const uint64_t request : open) disconnect(request);
  quiesce();
  check_nobody_left();
  compare_with_replay();
  std::vector<std::string> paths = plain_paths_;
  paths.insert(paths.end(), fork_paths_.begin(), fork_paths_.end());
  for (const std::string& path : paths) {
    Sent sent;
    sent.what = What::kDelete;
    sent.path = path;
    ask(std::move(sent));
  }
  check_nothing_left();
}

// Nothing is kept for clients that are gone.
void World::check_nobody_left() {
  require(host_.jobs() == 0, "reads are left that nobody waits for");
  require(host_.sockets().all().empty(), "sockets are left");
  for (size_t i = 0; i < host_.engines(); ++i) {
    const engine::Engine::Stats stats = host_.engine(i).stats();
    require(stats.parked_long_polls == 0 && stats.sse_readers == 0,
            "readers are left whose clients are gone");
    require(stats.pending_ops == 0, "ops are left pending");
  }
}

void World::check_nothing_left() {
  say("nothing may be left");
  for (int i = 0; i < 4; ++i) {
    pass(milliseconds(1100));
    quiesce();
    host_.rotate();
    for (int turns = 0; quiesce_once() || host_.sealing_behind(); ++turns) {
      require(turns < kSealingsMax, "sealing does not come to an end: " + host_.last_problem());
      host_.seal();
      host_.remove_sealed();
    }
  }
  while (host_.tidy()) {
  }
  pass(seconds(12));
  quiesce();
  for (size_t i = 0; i < host_.engines(); ++i) {
    const engine::Engine::Stats stats = host_.engine(i).stats();
    require(stats.streams == 0, "streams are left in memory");
    require(stats.parked_long_polls == 0 && stats.sse_readers == 0, "readers are left");
    require(stats.pending_ops == 0, "ops are left pending");
    require(stats.cache_bytes == 0, "the tail cache holds what has been sealed");
    require(stats.memory_bytes <= kIdleBytesMax,
            std::to_string(stats.memory_bytes) + " bytes of memory are left in use");
  }
  const auto pins = host_.catalog().open_pins();
  require(pins.ok() && pins->empty(), "pins are left open");
  const auto streams = host_.catalog().stream_count();
  require(streams.ok() && *streams == 0,
          std::to_string(streams.ok() ? *streams : 0) + " deleted streams are left in the catalog");
  require(host_.quota() == 0, "the count of streams is " + std::to_string(host_.quota()));
  const auto segments = host_.catalog().segments();
  require(segments.ok() && segments->empty(), "segments are left that nobody needs");
}

}  // namespace ds::sim
