// durable-streams check --data-dir DIR [--quick]: whether everything in a data directory is as it
// was written and fits together. docs/operations.md.
#pragma once

#include <string>

#include "server/commands/segment.h"

namespace ds::server {

// Changes nothing. If no server has the directory, none can start while this looks at it. Prints a
// line for each finding and a summary. Returns the exit code: 0 if there is no problem.
int check_data_directory(const std::string& path, bool quick, const Print& out, const Print& error);

}  // namespace ds::server
