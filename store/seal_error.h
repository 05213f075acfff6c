// Why sealing did not succeed, and the errors of what it uses as that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ports/file.h"
#include "store/catalog.h"
#include "store/op_log.h"

namespace ds::store {

struct SealError {
  enum class Kind : uint8_t { kIo, kNoSpace, kCorrupt } kind = Kind::kIo;
  std::string message;  // one sentence for the operator
};

// Nothing, or what stops the sealing.
using SealProblem = std::optional<SealError>;

// "cannot write 00000000000000a1.seg: no space left on the disk"
SealError seal_error(const std::string& what, ports::IoError error);
SealError seal_error(const CatalogError& error);
SealError seal_error(const LogProblem& problem);
SealError seal_corrupt(std::string message);

}  // namespace ds::store
