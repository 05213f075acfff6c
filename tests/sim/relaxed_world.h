// One simulated run of a server with relaxed durability, which answers a write before it is synced.
// A failure of power may take back what was answered within the last sync interval, and nothing
// else: what is left is always what the log's first so many ops come to, all streams together, and
// no offset that was ever told means other bytes than it did.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fakes/faulty_disk.h"
#include "tests/sim/host.h"
#include "tests/support/mutations.h"

namespace ds::sim {

class RelaxedWorld final : public Clients {
 public:
  explicit RelaxedWorld(uint64_t seed, bool verbose = false);

  // Throws Violation.
  void step(uint32_t number);
  void finish();

  Instant now() const { return now_; }
  Instant began() const { return began_; }
  uint64_t requests() const { return last_request_; }
  uint64_t crashes() const { return crashes_; }
  uint64_t starts() const { return starts_; }
  uint64_t starts_from_snapshots() const { return 0; }
  uint64_t fingerprint() const { return fingerprint_; }
  // Ops that were answered and are lost: the window at work.
  uint64_t lost() const { return lost_; }

  // --- Clients
  void on_answer(uint64_t request, const wire::Response& response) override;
  void on_sse_open(uint64_t, const wire::Response&, Position) override {}
  void on_submitted(const Submitted& batch, std::string_view records) override;
  void on_failed(uint32_t engine, uint64_t batch) override;
  void on_sse_frame(uint64_t, std::string_view, Position, Position) override {}
  void on_sse_end(uint64_t) override {}

 private:
  struct Stream {
    uint64_t id = 0;
    std::string content;
    bool closed = false;
    friend bool operator==(const Stream&, const Stream&) = default;
  };
  using Streams = std::map<std::string, Stream>;  // by path
  // What an op does, in the order of the log.
  struct Op {
    enum class Kind : uint8_t { kCreate, kAppend, kDelete } kind = Kind::kAppend;
    std::string path;
    uint64_t id = 0;
    std::string bytes;
    bool closes = false;
    Submitted batch;
    bool failed = false;
  };
  struct Sent {
    std::string path;
    std::string bytes;
    bool writes = false;
  };

  static void apply(Streams& streams, const Op& op);
  void start();
  void client_step(tests::Random& random);
  void server_step(tests::Random& random);
  void commit();
  void end_process(std::optional<fakes::FaultyDisk::Crash> how);
  void settle();
  void find_prefix(bool all);
  void check_old_offsets();
  Streams look();
  wire::Response ask(wire::Method method, const std::string& path, const std::string& query);
  void say(const std::string& what) const;

  const uint64_t seed_;
  const bool verbose_;
  bool sync_faults_ = false;
  HostOptions options_;
  fakes::FaultyDisk disk_;
  Host host_;
  Instant now_;
  Instant began_;
  uint64_t starts_ = 0;
  uint64_t crashes_ = 0;
  uint64_t last_request_ = 0;
  uint64_t last_tag_ = 0;
  uint64_t lost_ = 0;
  uint64_t fingerprint_ = 0;
  Streams base_;                                // what was there after the last start
  std::vector<Op> ops_;                         // submitted since
  Streams streams_;                             // what both come to
  std::map<uint64_t, std::string> paths_;       // of streams, by identity
  std::map<uint64_t, uint64_t> lives_;          // whose they are
  std::map<uint32_t, uint64_t> failed_epochs_;  // of engines: what comes in it, or before, is void
  std::map<uint64_t, Sent> open_;
  // Ops that must survive: so many of ops_. And when more of them become safe.
  uint64_t safe_ = 0;
  std::vector<std::pair<Instant, uint64_t>> answered_;
  // Every offset that was told: what its stream held up to there.
  std::map<std::pair<uint64_t, uint64_t>, std::pair<std::string, std::string>> told_;
  std::optional<wire::Response> answer_;
};

}  // namespace ds::sim
