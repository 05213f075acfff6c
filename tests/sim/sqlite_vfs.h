// SQLite on the fake disk: a VFS whose files are ports::File, so that the catalog loses, tears and
// fails as everything else does. Locks and the write-ahead log's shared memory belong to the
// simulated process and end with it. One thread; one simulated process at a time.
#pragma once

#include <cstdint>

#include "ports/file.h"

namespace ds::sim {

// From now on, every database is opened in `root`, which the caller owns and which must outlive
// the connections. What SQLite does at random comes from `seed`. Null: opening fails.
void set_database_directory(ports::Directory* root, uint64_t seed);

// Checkpoints are made when the write-ahead log has this many pages.
void set_checkpoint_pages(int pages);

}  // namespace ds::sim
