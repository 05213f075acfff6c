// Reads records' payloads back from the generations' files: few large reads, every checksum
// checked.
#pragma once

#include <span>
#include <string>

#include "ports/file.h"
#include "store/generation_files.h"
#include "store/op_log.h"

namespace ds::store {

// See OpLog::read_payloads. Any thread. After a failure `out` is what it was before.
ports::IoStatus read_payloads(GenerationFiles& files, std::span<const OpLog::Piece> pieces,
                              std::string& out, bool* corrupt);

}  // namespace ds::store
