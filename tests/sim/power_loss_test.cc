// A process dies in the middle of sealing, and after the next one has started power fails: what the
// next one read from the system's cache, and acted upon, must not be undone.
#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/faulty_disk.h"
#include "tests/sim/host.h"

namespace ds::sim {
namespace {

using fakes::FaultyDisk;

constexpr Instant kNow{1767225600000000};

class NoClients final : public Clients {
 public:
  void on_answer(uint64_t, const wire::Response& response) override { status = response.status; }
  void on_sse_open(uint64_t, const wire::Response&, Position) override {}
  void on_submitted(const Submitted&, std::string_view) override {}
  void on_sse_frame(uint64_t, std::string_view, Position, Position) override {}
  void on_sse_end(uint64_t) override {}
  int status = 0;
};

void settle(Host& host) {
  while (host.end_turn(0) || host.commit(kNow) || host.read_mail(0, SIZE_MAX, kNow) ||
         host.serve_job(0, kNow)) {
  }
}

// Fails at the given call of the disk while it seals. False once that is after the end.
bool survives(uint64_t call, uint64_t seed) {
  FaultyDisk disk(seed);
  NoClients clients;
  HostOptions options;
  options.engines = 1;
  options.engine.has_catalog = true;
  Host host(disk, clients, options);
  EXPECT_EQ(host.start(kNow, 1), "");
  wire::RequestText put;
  put.method = wire::Method::kPut;
  put.path = "p/a";
  put.body = "all that there is";
  host.send(1, put, kNow, false);
  settle(host);
  EXPECT_EQ(clients.status, 201);
  host.rotate();
  settle(host);
  const uint64_t doom = disk.calls() + call;
  disk.fail_from(doom, ports::IoError::kFailed);
  host.seal();
  const bool hit = disk.calls() > doom;
  disk.heal();
  host.kill(FaultyDisk::Crash::kKeep);
  EXPECT_EQ(host.start(kNow, 2), "") << "after call " << call;
  // What has just been removed stays removed, and what has not been synced is lost.
  (void)disk.root()->sync();
  host.kill(FaultyDisk::Crash::kForget);
  EXPECT_EQ(host.start(kNow, 3), "") << "after call " << call;
  if (!host.running()) return false;
  put.method = wire::Method::kHead;
  host.send(2, put, kNow, false);
  settle(host);
  EXPECT_EQ(clients.status, 200) << "after call " << call;
  return hit;
}

TEST(PowerLoss, WhatARestartHasSeenSealedStaysSealed) {
  // What becomes of the data of a sync that fails is up to the seed.
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    uint64_t call = 0;
    while (survives(call, seed) && !HasFailure()) ++call;
    EXPECT_GT(call, 10U);
  }
}

}  // namespace
}  // namespace ds::sim
