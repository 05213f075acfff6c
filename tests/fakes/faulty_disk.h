// A disk in memory that does what disks do wrong. What it promises is what POSIX promises: bytes
// are safe after File::sync, names after Directory::sync. What may happen besides:
//   - crash() loses what was not synced: all of it, or sector by sector at random (of several
//     writes to a sector between two syncs any one may be the one that lasts), names in order
//   - a chosen call fails; a write that fails may have been done in part or whole
//   - a sync fails and the next one succeeds, though the data was dropped ("fsyncgate")
//   - space runs out; stored bits flip
// Everything random comes from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "ports/file.h"

namespace ds::fakes {

// Outlives its directories and files. Any thread.
class FaultyDisk {
 public:
  static constexpr uint64_t kSectorBytes = 512;

  explicit FaultyDisk(uint64_t seed = 1) : random_(seed) {}

  // A new handle on the root directory, like a new process.
  std::unique_ptr<ports::Directory> root();

  enum class Crash : uint8_t {
    kForget,  // power loss: nothing unsynced is left
    kTear,    // power loss: each unsynced sector and name may be left
    kKeep,    // the process alone dies: the system's cache lives on
  };
  // Every handle of before is dead: its calls fail. Faults that were asked for are forgotten.
  void crash(Crash how);

  // Calls to files and directories so far, handles' ends not counted.
  uint64_t calls() const;
  // The call with this number (the next one is calls()) fails with `error`; the ones behind it
  // work.
  void fail_call(uint64_t number, ports::IoError error);
  // That call and all behind it fail, until heal().
  void fail_from(uint64_t number, ports::IoError error);
  // The next write-behind fails. Only it is told: what was written is there, and later calls
  // succeed.
  void fail_next_write_behind();
  void heal();

  // What a file's sync that fails does to the data that it should have made durable.
  enum class SyncFault : uint8_t {
    kKeepsDirty,   // a later sync writes it
    kDropsDirty,   // believes it written: reads see it, the medium has some of its sectors
    kDropsCached,  // the same, and reads see the medium
  };
  // The next sync of a file fails.
  void fail_next_sync(SyncFault fault);

  // Room for all files together; nothing: unlimited.
  void set_space(std::optional<uint64_t> bytes);
  // Whether File::reserve takes space; it does at first.
  void set_can_reserve(bool can);
  uint64_t used_space() const;
  uint64_t free_space() const;  // UINT64_MAX: unlimited

  // Looking at and damaging what is stored (paths as "00000001.log" or "log/00000001.log").
  std::vector<std::string> names() const;
  std::string contents(const std::string& path) const;            // as reads see it
  void set_contents(const std::string& path, std::string bytes);  // durable at once
  // As reads see it and on the medium. Whatever was unsynced stays so.
  void flip_bit(const std::string& path, uint64_t byte, int bit);

 private:
  friend class FaultyFile;
  friend class FaultyDirectory;

  struct Inode {
    std::string cached;   // as reads see it
    std::string durable;  // as it is on the medium
    uint64_t reserved = 0;
    uint64_t cut = UINT64_MAX;  // the shortest it has been since it was last synced
    // Unsynced contents of sectors, oldest first.
    std::map<uint64_t, std::vector<std::string>> dirty;
  };
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePtr>;

  // All of these need mutex_.
  std::optional<ports::IoError> begin_call(uint64_t life);
  bool one_in(uint32_t n) { return random_() % n == 0; }
  uint64_t space_used() const;
  ports::IoStatus write(Inode& inode, uint64_t position, std::string_view bytes);
  static void truncate(Inode& inode, uint64_t size);
  static void apply_cut(Inode& inode);
  ports::IoStatus sync(Inode& inode, std::optional<ports::IoError> failure);
  void apply_some_sectors(Inode& inode, bool any_version);
  void change_names(const std::function<void(Names&)>& change);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::mt19937_64 random_;
  uint64_t life_ = 0;  // grows with each crash
  uint64_t calls_ = 0;
  std::optional<uint64_t> fail_at_;
  bool write_behind_fails_ = false;
  bool fail_on_ = false;  // and all behind it
  ports::IoError fail_with_ = ports::IoError::kFailed;
  std::optional<SyncFault> sync_fault_;
  std::optional<uint64_t> space_;
  bool can_reserve_ = true;
  Names names_;          // as reads see them; paths from the root
  Names durable_names_;  // as they are on the medium
  std::vector<std::function<void(Names&)>> unsynced_changes_;
  std::map<std::string, const void*> locks_;
};

}  // namespace ds::fakes
