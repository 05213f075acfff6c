// durable-streams backup TO --data-dir DIR: a consistent copy of a data directory, which a server
// may be working on, and what a server makes of such a copy. docs/operations.md.
#pragma once

#include <functional>
#include <string>

#include "server/commands/segment.h"

namespace ds::server {

struct BackupRequest {
  std::string data_dir;
  std::string to;
  std::string version;  // of this program, for the manifest
  // For tests: called between the steps.
  std::function<void()> between = [] {};
};

// Brings the backup in `to` up to date, or makes one in a directory that is empty or not there.
// Segments are linked where that is possible. Until everything is there and synced the backup that
// `to` held before is left as it was. Returns the exit code.
int back_up(const BackupRequest& request, const Print& out, const Print& error);

// For a server that starts on `data_dir`: a backup that is complete becomes a data directory like
// any other, which no later backup may be written over. "", or why it is not to be served.
std::string claim_backup(const std::string& data_dir);

}  // namespace ds::server
