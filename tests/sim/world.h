// One simulated run: a disk, a server on it that is killed and started again, clients, and the
// oracle that judges what they are told. Everything follows from the seed. A run is a list of
// steps; each one's chances come from the seed and its own number, so that a run with steps left
// out is still much the same run, and can be cut down to a short history.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fakes/faulty_disk.h"
#include "tests/sim/host.h"
#include "tests/sim/live.h"
#include "tests/sim/model.h"
#include "tests/sim/oracle.h"
#include "tests/support/mutations.h"

namespace ds::sim {

// Times to live, in seconds, and how much later all of them are over for certain.
inline constexpr uint64_t kTtlMin = 2;
inline constexpr uint64_t kTtlMax = 13;
inline constexpr uint64_t kTtlGrace = 6;

// What a seed turns on: rare pairs of faults meet only if others are off.
struct Weather {
  explicit Weather(uint64_t seed);

  HostOptions host;
  Kind kind = Kind::kText;
  uint64_t payload_bytes = 100;
  int checkpoint_pages = 1000;
  bool io_faults = false;
  bool sync_faults = false;
  bool full_disks = false;
  bool flips = false;
  bool crashes = false;
  bool dooms = false;    // power fails in the middle of an operation
  bool patient = false;  // the server gets its work done before more comes
  uint64_t ttl_s = kTtlMin;
  stream::Retention retention;  // of those streams that have one
};

class World final : public Clients {
 public:
  explicit World(uint64_t seed, bool verbose = false);

  static constexpr uint32_t kSteps = 500;
  // Throws Violation.
  void step(uint32_t number);
  // All that is under way ends, everything is looked at, then everything is deleted: nothing must
  // be left.
  void finish();

  Instant now() const { return now_; }
  Instant began() const { return began_; }
  uint64_t requests() const { return last_request_; }
  uint64_t crashes() const { return crashes_; }
  uint64_t starts() const { return starts_; }
  uint64_t starts_from_snapshots() const { return starts_from_snapshots_; }
  // Of all that clients were told: the same seed must give the same one.
  uint64_t fingerprint() const { return fingerprint_; }

  // --- Clients
  void on_answer(uint64_t request, const wire::Response& response) override;
  void on_sse_open(uint64_t request, const wire::Response& head, Position at) override;
  void on_submitted(const Submitted& batch, std::string_view records) override;
  void on_sse_frame(uint64_t request, std::string_view bytes, Position begin,
                    Position end) override;
  void on_sse_end(uint64_t request) override;

 private:
  struct Producer {
    std::string id;
    std::string path;
    uint64_t epoch = 0;
    std::vector<uint64_t> tags;  // by sequence
    std::vector<bool> acked;
  };
  struct Live {
    LiveReader reader;
    uint64_t stream = 0;  // 0: not known yet
  };

  // world.cc
  void start();
  void crash(tests::Random& random);
  void restart_cleanly();
  void server_step(tests::Random& random);
  void socket_step(tests::Random& random);
  void fault_step(tests::Random& random);
  bool physical_step(tests::Random& random);
  void flip_a_bit(tests::Random& random);
  void flip_back();
  void heal();
  void quiesce();
  bool quiesce_once();
  void pass(Duration by);
  std::string say(const std::string& what);

  // audit.cc
  void audit();
  void audit_path(const std::string& path);
  void audit_live_readers();
  wire::Response ask(Sent sent);
  void check_nobody_left();
  void check_nothing_left();

  // replay.cc
  void outlive_every_ttl();
  void compare_with_replay();

  // workload.cc
  void client_step(tests::Random& random);
  Sent random_create(tests::Random& random);
  Sent random_append(tests::Random& random);
  Sent random_read(tests::Random& random);
  void producer_step(tests::Random& random);
  void repeat_step(tests::Random& random);
  void producer_answered(const Sent& sent, const wire::Response& response);
  void new_epoch(Producer& producer);
  uint64_t send(Sent sent);
  void arrive(size_t which, bool by_mail);
  void deliver(uint64_t request, const Sent& sent, bool by_mail);
  void disconnect(uint64_t request);
  std::string any_path(tests::Random& random) const;
  std::optional<Offset> any_offset(tests::Random& random, const std::string& path);

  const uint64_t seed_;
  const bool verbose_;
  const Weather weather_;
  fakes::FaultyDisk disk_;
  Oracle oracle_;
  Host host_;
  Instant now_;
  Instant began_;
  uint64_t starts_ = 0;
  uint64_t starts_from_snapshots_ = 0;
  uint64_t crashes_ = 0;
  uint64_t last_request_ = 0;
  uint64_t last_seq_ = 0;
  uint64_t fingerprint_ = 0;
  std::vector<std::string> plain_paths_;
  std::vector<std::string> fork_paths_;
  std::vector<Producer> producers_;
  std::deque<Sent> repeatable_;                    // requests that may come twice
  std::deque<std::pair<uint64_t, Sent>> network_;  // requests on their way
  std::map<uint64_t, Sent> at_server_;             // for those that are open there
  std::map<uint64_t, Live> live_;
  std::map<uint64_t, wire::Response> kept_;  // answers that audit waits for
  std::optional<uint64_t> awaited_;
  // What was flipped, to be flipped back: file, byte, bit.
  struct Flip {
    std::string file;
    uint64_t byte = 0;
    int bit = 0;
    bool archived = false;  // when it flipped
  };
  std::optional<Flip> flip_;
};

}  // namespace ds::sim
