#include "store/seal_error.h"

#include <utility>

#include "store/recovery.h"

namespace ds::store {

using Kind = SealError::Kind;

SealError seal_error(const std::string& what, ports::IoError error) {
  return {error == ports::IoError::kNoSpace ? Kind::kNoSpace : Kind::kIo,
          what + ": " + io_error_text(error)};
}

SealError seal_error(const CatalogError& error) {
  switch (error.kind) {
    case CatalogError::Kind::kNoSpace:
      return {Kind::kNoSpace, error.message};
    case CatalogError::Kind::kCorrupt:
    case CatalogError::Kind::kOtherVersion:
      return {Kind::kCorrupt, error.message};
    case CatalogError::Kind::kIo:
    case CatalogError::Kind::kBusy:
      break;
  }
  return {Kind::kIo, error.message};
}

SealError seal_error(const LogProblem& problem) {
  switch (problem.kind) {
    case LogProblem::Kind::kCorrupt:
    case LogProblem::Kind::kForeign:
    case LogProblem::Kind::kRefused:
      return {Kind::kCorrupt, problem.message};
    case LogProblem::Kind::kIo:
    case LogProblem::Kind::kLocked:
      break;
  }
  return {Kind::kIo, problem.message};
}

SealError seal_corrupt(std::string message) { return {Kind::kCorrupt, std::move(message)}; }

}  // namespace ds::store
