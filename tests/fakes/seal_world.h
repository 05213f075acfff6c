// A real log with a random workload in it, the sealer over it, and a model of what must come of it:
// the state and the messages of every stream, kept by replaying the records one by one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/segment/sealed_read.h"
#include "core/stream/state.h"
#include "ports/file.h"
#include "store/catalog.h"
#include "store/op_log.h"
#include "store/sealed_reader.h"
#include "store/sealer.h"

namespace ds::fakes {

// Streams as their ops say, with the messages of each one's own.
class StreamModel {
 public:
  struct Message {
    Position begin;
    Position end;
    uint64_t time_ms = 0;
    std::string bytes;
  };

  // False if it does not follow.
  bool apply(std::string_view record, LogPosition at);

  // All that a reader of the stream finds, what it inherits included.
  std::vector<Message> messages(Incarnation id) const;
  // What reads it from segments.
  std::vector<segment::SealedPiece> pieces(Incarnation id, Position from) const;

  std::map<Incarnation, stream::StreamState> states;
  std::map<Incarnation, std::vector<Message>> own;

 private:
  std::vector<Message> messages_until(Incarnation id, Position end) const;
};

// Borrows the disk's root and the catalog's path.
class SealWorld {
 public:
  SealWorld(ports::Directory& root, const std::string& catalog_path, uint64_t seed = 1);

  // --- Writing: into the open frame, until commit() ---------------------------------------------
  // Each returns the stream's identity, where it makes one.
  Incarnation create(const std::string& path, std::string_view first_message = {});
  Incarnation create_with_ttl(const std::string& path, uint64_t seconds);
  Incarnation fork(Incarnation source, const std::string& path, Position at);
  Incarnation pin(Incarnation source, Position at);  // for a fork that is created later, or never
  void pin_again(Incarnation source, Incarnation fork);
  void create_fork(Incarnation source, Incarnation fork, const std::string& path, Position at);
  void unpin(Incarnation source, Incarnation fork);
  void append(Incarnation id, std::string_view message);
  void close(Incarnation id);
  void remove(Incarnation id);
  // A crash comes before its source hears of it.
  void remove_unheard(Incarnation id) { add(op_for(id, stream::OpType::kDelete)); }
  void touch(Incarnation id);
  void trim(Incarnation id, Position earliest);
  void new_life(Incarnation id);
  void commit();
  // Random ops of every kind.
  void churn(int ops);
  // Commits fillers until `generation` is full and the next one has begun.
  void fill_generation();
  std::string text(uint64_t bytes);

  uint32_t last_generation() const { return log_->stats().last_generation; }

  // --- Sealing ----------------------------------------------------------------------------------
  // The sealer of a new process. Options may be changed before.
  void open_sealer();
  // The same after a crash of the disk: nothing can be written any more.
  void reopen(ports::Directory& root);
  // Seals the generation that is next, and lets the model follow. Empty: all is well.
  std::string seal_next();
  // Seals all generations that are full.
  std::string seal_all();
  // The model follows a generation that the sealer was asked to seal by somebody else.
  void follow_seal();
  uint32_t sealed_through() const { return sealed_through_; }

  // --- Looking ----------------------------------------------------------------------------------
  // Compares the catalog with the model, and every stream's messages from random places on. Empty,
  // or what is wrong.
  std::string compare();
  std::string compare_reads(Incarnation id);
  // The catalog's rows. REQUIRES: it can be read.
  std::vector<store::CatalogSegment> segments() { return std::move(catalog->segments()).value(); }
  std::vector<store::CatalogExtent> extents(Incarnation id) {
    return std::move(catalog->extents_of(id)).value();
  }
  std::vector<std::pair<Incarnation, Incarnation>> open_pins() {
    return std::move(catalog->open_pins()).value();
  }
  // All of them as text.
  std::string dump();

  StreamModel written;  // all that was committed
  StreamModel sealed;   // what of it is in sealed generations
  store::SealerOptions options;
  std::unique_ptr<store::Catalog> catalog;
  std::unique_ptr<store::SegmentFiles> files;
  std::unique_ptr<store::Sealer> sealer;
  std::mt19937_64 random;

 private:
  struct Entry {
    std::string record;
    LogPosition at;
  };
  struct WaitingPin {
    Incarnation source;
    Position earliest;  // that can be read, when it was pinned
  };

  stream::Op op_for(Incarnation id, stream::OpType type);
  void add(const stream::Op& op);
  Incarnation next_life() { return Incarnation{++last_life_}; }
  std::optional<Incarnation> random_stream(bool writable);
  uint64_t below(uint64_t n) { return random() % n; }

  const std::string catalog_path_;
  std::unique_ptr<ports::Directory> log_directory_;
  std::unique_ptr<ports::Directory> segments_directory_;
  std::unique_ptr<store::OpLog> log_;
  std::vector<std::string> frame_;  // records
  std::vector<Entry> entries_;      // of what was committed
  size_t followed_ = 0;             // of them, by `sealed`
  uint32_t sealed_through_ = 0;
  uint64_t last_life_ = 1000;
  Instant now_{1'700'000'000'000'000};
  std::map<Incarnation, WaitingPin> waiting_pins_;  // by fork
};

}  // namespace ds::fakes
