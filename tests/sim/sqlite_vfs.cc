#include "tests/sim/sqlite_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/mutations.h"

namespace ds::sim {

namespace {

// What all connections of a process to one database share.
struct Shared {
  std::vector<std::unique_ptr<std::string>> regions;  // of the write-ahead log's index
  std::map<int, const void*> exclusive;               // by slot
  std::map<int, std::vector<const void*>> readers;    // by slot
  std::map<const void*, int> levels;                  // of the database's own lock, by connection
};

struct World {
  ports::Directory* root = nullptr;
  tests::Random random{0};
  std::map<std::string, std::shared_ptr<Shared>> shared;
  int checkpoint_pages = 1000;
};

World& world() {
  static World the_world;
  return the_world;
}

struct Contents {
  std::unique_ptr<ports::File> file;
  std::string name;
  std::shared_ptr<Shared> shared;  // of a database
  bool new_journal = false;        // its name is made durable with its first bytes
};

// As SQLite lays it out: its own part first.
struct SimFile {
  sqlite3_file base;
  Contents* contents;
};

Contents& of(sqlite3_file* file) { return *reinterpret_cast<SimFile*>(file)->contents; }

int error_code(ports::IoError error, int otherwise) {
  return error == ports::IoError::kNoSpace ? SQLITE_FULL : otherwise;
}

int release_locks(Contents& contents) {
  if (contents.shared == nullptr) return SQLITE_OK;
  Shared& shared = *contents.shared;
  std::erase_if(shared.exclusive, [&](const auto& entry) { return entry.second == &contents; });
  for (auto& [slot, readers] : shared.readers) std::erase(readers, &contents);
  return SQLITE_OK;
}

int close_file(sqlite3_file* file) {
  auto* sim = reinterpret_cast<SimFile*>(file);
  release_locks(*sim->contents);
  if (sim->contents->shared != nullptr) sim->contents->shared->levels.erase(sim->contents);
  delete sim->contents;
  sim->contents = nullptr;
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
  const auto got = of(file).file->read_at(static_cast<uint64_t>(at), static_cast<char*>(to),
                                          static_cast<uint64_t>(size));
  if (!got.ok()) return SQLITE_IOERR_READ;
  if (*got == static_cast<uint64_t>(size)) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + *got, 0, static_cast<size_t>(size) - *got);
  return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  const std::string_view bytes(static_cast<const char*>(from), static_cast<size_t>(size));
  const ports::IoStatus status = of(file).file->write_at(static_cast<uint64_t>(at), {&bytes, 1});
  return status.ok() ? SQLITE_OK : error_code(status.error(), SQLITE_IOERR_WRITE);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return of(file).file->truncate(static_cast<uint64_t>(size)).ok() ? SQLITE_OK
                                                                   : SQLITE_IOERR_TRUNCATE;
}

int sync_file(sqlite3_file* file, int) {
  if (!of(file).file->sync().ok()) return SQLITE_IOERR_FSYNC;
  // As SQLite's own VFS does.
  if (std::exchange(of(file).new_journal, false)) (void)world().root->sync();
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  const auto got = of(file).file->size();
  if (!got.ok()) return SQLITE_IOERR_FSTAT;
  *size = static_cast<sqlite3_int64>(*got);
  return SQLITE_OK;
}

int lock_file(sqlite3_file* file, int level) {
  Contents& contents = of(file);
  if (contents.shared == nullptr) return SQLITE_OK;
  std::map<const void*, int>& levels = contents.shared->levels;
  for (const auto& [other, held] : levels) {
    if (other == &contents) continue;
    const bool conflicts = level == SQLITE_LOCK_SHARED     ? held >= SQLITE_LOCK_PENDING
                           : level == SQLITE_LOCK_RESERVED ? held >= SQLITE_LOCK_RESERVED
                                                           : held >= SQLITE_LOCK_SHARED;
    if (conflicts) return SQLITE_BUSY;
  }
  levels[&contents] = std::max(levels[&contents], level);
  return SQLITE_OK;
}

int unlock_file(sqlite3_file* file, int level) {
  Contents& contents = of(file);
  if (contents.shared != nullptr) contents.shared->levels[&contents] = level;
  return SQLITE_OK;
}

int is_reserved(sqlite3_file* file, int* answer) {
  *answer = 0;
  if (of(file).shared == nullptr) return SQLITE_OK;
  for (const auto& [other, held] : of(file).shared->levels) {
    if (held >= SQLITE_LOCK_RESERVED) *answer = 1;
  }
  return SQLITE_OK;
}

int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int map_memory(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
  auto& regions = of(file).shared->regions;
  const auto number = static_cast<size_t>(region);
  *memory = nullptr;
  if (number >= regions.size() && extend == 0) return SQLITE_OK;
  while (number >= regions.size()) {
    regions.push_back(std::make_unique<std::string>(static_cast<size_t>(size), '\0'));
  }
  *memory = regions[number]->data();
  return SQLITE_OK;
}

int lock_memory(sqlite3_file* file, int first, int count, int flags) {
  Contents& contents = of(file);
  Shared& shared = *contents.shared;
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    for (int slot = first; slot < first + count; ++slot) {
      if (exclusive) {
        shared.exclusive.erase(slot);
      } else {
        std::erase(shared.readers[slot], &contents);
      }
    }
    return SQLITE_OK;
  }
  for (int slot = first; slot < first + count; ++slot) {
    const auto held = shared.exclusive.find(slot);
    if (held != shared.exclusive.end() && held->second != &contents) return SQLITE_BUSY;
    if (!exclusive) continue;
    for (const void* reader : shared.readers[slot]) {
      if (reader != &contents) return SQLITE_BUSY;
    }
  }
  for (int slot = first; slot < first + count; ++slot) {
    if (exclusive) {
      shared.exclusive[slot] = &contents;
    } else {
      shared.readers[slot].push_back(&contents);
    }
  }
  return SQLITE_OK;
}

void memory_barrier(sqlite3_file*) {}

int unmap_memory(sqlite3_file* file, int remove) {
  if (remove != 0) of(file).shared->regions.clear();
  return release_locks(of(file));
}

const sqlite3_io_methods kMethods = {2,
                                     close_file,
                                     read_file,
                                     write_file,
                                     truncate_file,
                                     sync_file,
                                     file_size,
                                     lock_file,
                                     unlock_file,
                                     is_reserved,
                                     control_file,
                                     sector_size,
                                     characteristics,
                                     map_memory,
                                     lock_memory,
                                     memory_barrier,
                                     unmap_memory,
                                     nullptr,
                                     nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;
  if (name == nullptr || world().root == nullptr) return SQLITE_CANTOPEN;
  auto opened = world().root->open(name, ports::Directory::Open::kExisting);
  const bool is_new = !opened.ok() && opened.error() == ports::IoError::kNotFound &&
                      (flags & SQLITE_OPEN_CREATE) != 0;
  if (is_new) {
    opened = world().root->open(name, ports::Directory::Open::kCreateNew);
  }
  if (!opened.ok()) return SQLITE_CANTOPEN;
  auto contents = std::make_unique<Contents>();
  contents->file = std::move(*opened);
  contents->name = name;
  contents->new_journal = is_new && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
    std::shared_ptr<Shared>& shared = world().shared[name];
    if (shared == nullptr) shared = std::make_shared<Shared>();
    contents->shared = shared;
  }
  reinterpret_cast<SimFile*>(file)->contents = contents.release();
  file->pMethods = &kMethods;
  if (flags_out != nullptr) *flags_out = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char* name, int sync_directory) {
  if (world().root == nullptr) return SQLITE_IOERR_DELETE;
  const ports::IoStatus removed = world().root->remove(name);
  if (!removed.ok()) {
    return removed.error() == ports::IoError::kNotFound ? SQLITE_IOERR_DELETE_NOENT
                                                        : SQLITE_IOERR_DELETE;
  }
  if (sync_directory != 0 && !world().root->sync().ok()) return SQLITE_IOERR_DIR_FSYNC;
  return SQLITE_OK;
}

int access_file(sqlite3_vfs*, const char* name, int, int* answer) {
  *answer = 0;
  if (world().root == nullptr) return SQLITE_IOERR_ACCESS;
  const auto names = world().root->list();
  if (!names.ok()) return SQLITE_IOERR_ACCESS;
  *answer = std::find(names->begin(), names->end(), name) != names->end() ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* to) {
  sqlite3_snprintf(size, to, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int size, char* to) {
  for (int i = 0; i < size; ++i) to[i] = static_cast<char>(world().random.next());
  return size;
}

int sleep_for(sqlite3_vfs*, int microseconds) { return microseconds; }

int current_time(sqlite3_vfs*, double* julian) {
  *julian = 2461000.5;
  return SQLITE_OK;
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

int on_open(sqlite3* database, char**, const sqlite3_api_routines*) {
  return sqlite3_wal_autocheckpoint(database, world().checkpoint_pages);
}

void register_once() {
  static sqlite3_vfs vfs;
  if (vfs.zName != nullptr) return;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(SimFile);
  vfs.mxPathname = 256;
  vfs.zName = "simulation";
  vfs.xOpen = open_file;
  vfs.xDelete = delete_file;
  vfs.xAccess = access_file;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep_for;
  vfs.xCurrentTime = current_time;
  vfs.xGetLastError = last_error;
  sqlite3_vfs_register(&vfs, 1);
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(on_open));
}

}  // namespace

void set_database_directory(ports::Directory* root, uint64_t seed) {
  register_once();
  world().root = root;
  world().random = tests::Random(seed);
  world().shared.clear();
  sqlite3_randomness(0, nullptr);  // takes a new seed when it is next asked
}

void set_checkpoint_pages(int pages) { world().checkpoint_pages = pages; }

}  // namespace ds::sim
