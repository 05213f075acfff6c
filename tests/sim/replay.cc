// World: a replay of the whole log from its first record must come to what the snapshots and the
// rest of the log have come to.
#include <string>
#include <vector>

#include "core/wire/response.h"
#include "tests/sim/request_bytes.h"
#include "tests/sim/violation.h"
#include "tests/sim/world.h"

namespace ds::sim {

namespace {

class Listener final : public Clients {
 public:
  void on_answer(uint64_t, const wire::Response& response) override { answer = response; }
  void on_sse_open(uint64_t, const wire::Response&, Position) override {}
  void on_submitted(const Submitted&, std::string_view) override {}
  void on_sse_frame(uint64_t, std::string_view, Position, Position) override {}
  void on_sse_end(uint64_t) override {}
  std::optional<wire::Response> answer;
};

// All that it says about the stream; nothing of how long it may be cached.
std::string facts_of(const wire::Response& response) {
  wire::Response plain = response;
  plain.cache = {};
  std::string text = std::to_string(response.status) + "\n";
  wire::append_headers(text, plain);
  for (const Slice& slice : response.body) text += slice.bytes;
  return text;
}

}  // namespace

// Times of access are on record only roughly, a stream that is not in memory is looked at a while
// after its time, and a release that failed is tried again after a second; a replay does all this
// at once. When every time to live is over there is nothing left to differ in. (What has been
// sealed has left the memory by then, too: the audit before it has looked at what was there.)
void World::outlive_every_ttl() {
  pass(seconds(kTtlMax + kTtlGrace));
  quiesce();
  while (host_.bring_due(now_)) quiesce();
}

void World::compare_with_replay() {
  std::vector<Sent> probes;
  std::vector<std::string> expected;
  std::vector<std::string> paths = plain_paths_;
  paths.insert(paths.end(), fork_paths_.begin(), fork_paths_.end());
  outlive_every_ttl();
  for (const std::string& path : paths) {
    for (const auto what : {Sent::What::kHead, Sent::What::kRead}) {
      Sent probe;
      probe.what = what;
      probe.path = path;
      expected.push_back(facts_of(ask(probe)));
      probes.push_back(std::move(probe));
    }
  }
  quiesce();
  const std::map<std::string, std::string> archive = host_.archive();
  host_.stop();
  oracle_.crashed(now_);
  say("a replay from the first record");
  fakes::FaultyDisk disk(seed_);
  for (const std::string& name : disk_.names()) {
    if (name.starts_with("log/")) disk.set_contents(name, disk_.contents(name));
  }
  for (const auto& [name, bytes] : archive) disk.set_contents(name, bytes);
  Listener listener;
  {
    Host twin(disk, listener, weather_.host);
    const std::string problem = twin.start(now_, seed_);
    if (!problem.empty()) throw Violation("a replay from the first record fails: " + problem);
    for (size_t i = 0; i < probes.size(); ++i) {
      RequestBytes bytes;
      fill(bytes, probes[i], oracle_.model());
      listener.answer.reset();
      twin.send(i + 1, bytes.text, now_, false);
      for (bool more = true; more;) {
        more = false;
        for (size_t engine = 0; engine < twin.engines(); ++engine) {
          more = twin.read_mail(engine, SIZE_MAX, now_) || more;
          more = twin.end_turn(engine) || more;
        }
        more = twin.commit(now_) || more;
        more = twin.serve_job(0, now_) || more;
      }
      require(listener.answer.has_value(), "a replayed server does not answer");
      const std::string got = facts_of(*listener.answer);
      if (got == expected[i]) continue;
      throw Violation("a replay from the first record differs at " + probes[i].path + ": " + got +
                      " instead of " + expected[i]);
    }
  }
  start();
}

}  // namespace ds::sim
