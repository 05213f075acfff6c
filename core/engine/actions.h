// What an engine asks its host to do. Engine calls append actions to a list; the host carries them
// out in order when the call has returned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/slice.h"
#include "core/base/types.h"
#include "core/segment/sealed_read.h"
#include "core/stream/fork_link.h"
#include "core/wire/response.h"

namespace ds::engine {

// Names a request, and the SSE reader that it may become. Chosen by the host, opaque to the engine,
// unique among the requests that are open at one engine.
struct RequestId {
  uint64_t value = 0;
  friend constexpr auto operator<=>(RequestId, RequestId) = default;
};

// The one answer to a request. The engine forgets the request.
struct Respond {
  RequestId to;
  wire::Response response;
};

// The request has become an SSE reader at `position`: send the head, then the frames that follow.
// The reader lives until EndSse, or until the host reports its disconnect.
struct OpenSse {
  RequestId to;
  wire::Response head;
  Position position;
  std::optional<uint64_t> cursor;  // the one it brought
};

// Bytes for one or more SSE readers, shared by all of them. They take a reader from `begin` to
// `end` (equal for a heartbeat or a control frame without data). A host that has dropped a frame
// for a reader (see Engine::on_reader_lagging) drops every later one until a frame arrives whose
// begin is the position it reported.
struct SendSse {
  std::vector<RequestId> to;
  Slice frame;
  Position begin;
  Position end;
  bool pulled = false;  // asked for by on_reader_ready: call that again once this has drained
  Incarnation stream;   // of an event; none for a heartbeat
};

// End of the SSE response: write out what is queued, then end the body cleanly.
struct EndSse {
  RequestId to;
};

// Read payload bytes back from the log or its cache on disk, off the event loop, and report with
// Engine::on_loaded. Pieces are in stream order; the result is their concatenation.
struct LoadPiece {
  LogPosition record;  // where the record starts
  uint32_t skip = 0;   // payload bytes to leave out at its beginning
  uint32_t bytes = 0;  // payload bytes wanted
};
struct Load {
  uint64_t load_id = 0;
  std::vector<LoadPiece> pieces;
};

// Read sealed messages, off the event loop, and report with Engine::on_sealed_read.
struct ReadSealed {
  uint64_t load_id = 0;
  segment::SealedRead read;
};

// How a Load or ReadSealed ended.
enum class LoadOutcome : uint8_t {
  kDone,
  kGone,     // its generation has been sealed and removed: look again
  kFailed,   // I/O error, or too much to do
  kCorrupt,  // what is stored there is missing or fails its checksum
};

// Look a stream up in the catalog, by its path, or by its identity if the path is empty, and report
// with Engine::on_found.
struct Find {
  uint64_t find_id = 0;
  std::string path;
  Incarnation stream;
};

// A message to the engine that owns `to_path_hash` (perhaps this one): forks.
struct PeerMessage {
  uint64_t to_path_hash = 0;
  std::variant<stream::PinRequest, stream::PinReply, stream::Unpin> body;
};

using Action = std::variant<Respond, OpenSse, SendSse, EndSse, Load, ReadSealed, Find, PeerMessage>;
using Actions = std::vector<Action>;

// Ops that wait to become durable, encoded as records back to back (core/stream/op_record.h).
// Commits complete in the order in which their batches were taken.
struct Batch {
  uint64_t batch_id = 0;
  SharedBytes records;
  uint32_t op_count = 0;
};

// How a commit ended.
enum class [[nodiscard]] CommitOutcome : uint8_t{
    kDurable,   // safe, as durable as the server was told to be
    kDiskFull,  // nothing of it is in the log
    kFailed,    // nothing of it is in the log
};

}  // namespace ds::engine
