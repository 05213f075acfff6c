// The module's face: what the shell calls (exports), and what it gives (imports). One instance
// serves either the edge or one stream object. Text and bytes go in through one inbox, which the
// shell fills before it calls: the sizes that calls take say how it is divided.
//
// Numbers beyond 32 bits (positions, times in milliseconds, request numbers) are doubles: all of
// them are below 2^53.
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/wire/common_headers.h"
#include "core/wire/etag.h"
#include "core/wire/sse.h"
#include "worker/wasm/edge.h"
#include "worker/wasm/stream_object.h"

#define DS_EXPORT(name) extern "C" __attribute__((export_name(#name)))
#define DS_IMPORT(name) __attribute__((import_module("host"), import_name(#name)))

extern "C" {
DS_IMPORT(append_rows) int32_t host_append_rows(double at, const char* bytes, size_t size);
DS_IMPORT(read_rows) void host_read_rows(double from, double to);
DS_IMPORT(drop_rows) uint32_t host_drop_rows(double before, uint32_t most);
DS_IMPORT(put_fact)
int32_t host_put_fact(const char* key, size_t key_size, const char* value, size_t size);
DS_IMPORT(erase_fact) void host_erase_fact(const char* key, size_t key_size);
DS_IMPORT(read_facts)
void host_read_facts(const char* from, size_t from_size, const char* through, size_t through_size,
                     int32_t descending);
DS_IMPORT(stored_bytes) double host_stored_bytes();
DS_IMPORT(set_alarm) void host_set_alarm(double ms);
DS_IMPORT(respond)
void host_respond(double request, uint32_t status, const char* head, size_t head_size,
                  const char* body, size_t body_size);
DS_IMPORT(open_sse)
void host_open_sse(double request, const char* head, size_t head_size, const char* reader,
                   size_t reader_size, double at);
DS_IMPORT(send_sse)
void host_send_sse(const double* requests, size_t count, double begin, double end, int32_t pulled,
                   const char* frame, size_t size);
DS_IMPORT(end_sse) void host_end_sse(double request);
DS_IMPORT(call_peer)
void host_call_peer(uint32_t token, const char* path, size_t path_size, const char* message,
                    size_t size);
DS_IMPORT(answer_peer) void host_answer_peer(uint32_t token, const char* message, size_t size);
DS_IMPORT(put_object)
void host_put_object(uint32_t token, const char* key, size_t key_size, const char* bytes,
                     size_t size);
DS_IMPORT(get_object)
void host_get_object(uint32_t token, const char* key, size_t key_size, double offset, double size);
DS_IMPORT(delete_object)
void host_delete_object(uint32_t token, const char* key, size_t key_size);
DS_IMPORT(edge_answer)
void host_edge_answer(uint32_t status, const char* head, size_t head_size, const char* body,
                      size_t body_size);
DS_IMPORT(edge_stream)
void host_edge_stream(const char* name, size_t name_size, int32_t read, int32_t shared,
                      int32_t sse);
}

namespace ds::worker {
namespace {

double number(uint64_t value) { return static_cast<double>(value); }

Stored stored(int32_t code) {
  return code == 0 ? Stored::kDone : code == 1 ? Stored::kFull : Stored::kFailed;
}

// One row or fact at a time comes in while a read is under way.
std::string incoming;
const Host::RowSink* row_sink = nullptr;
const Host::FactSink* fact_sink = nullptr;

class Imports final : public Host {
 public:
  Stored append_rows(LogPosition at, std::string_view bytes) override {
    return stored(host_append_rows(number(at.value), bytes.data(), bytes.size()));
  }
  void read_rows(LogPosition from, LogPosition to, const RowSink& row) override {
    const RowSink* outer = std::exchange(row_sink, &row);
    host_read_rows(number(from.value), number(to.value));
    row_sink = outer;
  }
  uint32_t drop_rows(LogPosition before, uint32_t most) override {
    return host_drop_rows(number(before.value), most);
  }
  Stored put_fact(std::string_view key, std::string_view value) override {
    return stored(host_put_fact(key.data(), key.size(), value.data(), value.size()));
  }
  void erase_fact(std::string_view key) override { host_erase_fact(key.data(), key.size()); }
  void read_facts(std::string_view from, std::string_view through, Order order,
                  const FactSink& fact) override {
    const FactSink* outer = std::exchange(fact_sink, &fact);
    host_read_facts(from.data(), from.size(), through.data(), through.size(),
                    order == Order::kDescending ? 1 : 0);
    fact_sink = outer;
  }
  uint64_t stored_bytes() override { return static_cast<uint64_t>(host_stored_bytes()); }
  void set_alarm(Instant when) override {
    host_set_alarm(std::ceil(static_cast<double>(when.us) / 1000));
  }
  void respond(uint64_t request, uint16_t status, std::string_view head,
               std::string_view body) override {
    host_respond(number(request), status, head.data(), head.size(), body.data(), body.size());
  }
  void open_sse(uint64_t request, std::string_view head, std::string_view reader,
                Position at) override {
    host_open_sse(number(request), head.data(), head.size(), reader.data(), reader.size(),
                  number(at.value));
  }
  void send_sse(std::span<const uint64_t> requests, Position begin, Position end, bool pulled,
                std::string_view frame) override {
    std::vector<double> ids;
    ids.reserve(requests.size());
    for (const uint64_t id : requests) ids.push_back(number(id));
    host_send_sse(ids.data(), ids.size(), number(begin.value), number(end.value), pulled ? 1 : 0,
                  frame.data(), frame.size());
  }
  void end_sse(uint64_t request) override { host_end_sse(number(request)); }
  void call_peer(Token token, std::string_view path, std::string_view message) override {
    host_call_peer(token, path.data(), path.size(), message.data(), message.size());
  }
  void answer_peer(Token token, std::string_view message) override {
    host_answer_peer(token, message.data(), message.size());
  }
  void put_object(Token token, std::string_view key, std::string_view bytes) override {
    host_put_object(token, key.data(), key.size(), bytes.data(), bytes.size());
  }
  void get_object(Token token, std::string_view key, uint64_t offset, uint64_t size) override {
    host_get_object(token, key.data(), key.size(), number(offset), number(size));
  }
  void delete_object(Token token, std::string_view key) override {
    host_delete_object(token, key.data(), key.size());
  }
};

Imports imports;
std::unique_ptr<StreamObject> object;
std::string inbox;
Options options;

Instant at(double ms) { return Instant{static_cast<int64_t>(ms * 1000)}; }
uint64_t id_of(double request) { return static_cast<uint64_t>(request); }

// Large ones are not kept: many objects share one isolate's memory.
void empty_inbox() {
  constexpr size_t kKeptBytes = 64 << 10;
  if (inbox.capacity() > kKeptBytes) std::string().swap(inbox);
}

}  // namespace

// Room for `size` bytes of input to the next call.
DS_EXPORT(room) char* room(size_t size) {
  inbox.resize(size);
  return inbox.data();
}

// Room for a row or a fact that is handed over while a read is under way.
DS_EXPORT(row_room) char* row_room(size_t size) {
  incoming.resize(size);
  return incoming.data();
}
DS_EXPORT(take_row) int32_t take_row(double position) {
  // Whoever takes it may read something else meanwhile.
  const std::string row = std::move(incoming);
  return (*row_sink)(LogPosition{id_of(position)}, row) ? 1 : 0;
}
DS_EXPORT(take_fact) int32_t take_fact(size_t key_size) {
  const std::string fact = std::move(incoming);
  const std::string_view all = fact;
  return (*fact_sink)(all.substr(0, key_size), all.substr(key_size)) ? 1 : 0;
}

// --- Set up: options by number, then start() ----------------------------------------------------

DS_EXPORT(set_seed) void set_seed(double k0, double k1) {
  options.seed = HashKey{id_of(k0), id_of(k1)};
}
DS_EXPORT(set_option) void set_option(uint32_t which, double value) {
  const auto bytes = static_cast<uint64_t>(value);
  const Duration time = milliseconds(static_cast<int64_t>(value));
  switch (which) {
    case 0:
      options.long_poll_timeout = time;
      return;
    case 1:
      options.max_chunk_bytes = bytes;
      return;
    case 2:
      options.body_bytes_max = bytes;
      return;
    case 3:
      options.checkpoint_ops = static_cast<uint32_t>(bytes);
      return;
    case 4:
      options.checkpoint_bytes = bytes;
      return;
    case 5:
      options.storage_bytes_max = bytes;
      return;
    case 6:
      options.seal_bytes = bytes;
      return;
    case 7:
      options.seal_ops = static_cast<uint32_t>(bytes);
      return;
    case 8:
      options.audit_after = time;
      return;
    case 9:
      options.retry_after = time;
      return;
    default:
      return;
  }
}
DS_EXPORT(body_bytes_max) double body_bytes_max() { return number(options.body_bytes_max); }

DS_EXPORT(start) void start(double now) {
  object = std::make_unique<StreamObject>(imports, options);
  object->start(at(now));
}

// --- Events of a stream object ------------------------------------------------------------------

DS_EXPORT(on_request)
void on_request(double id, size_t head_size, double now) {
  const std::string_view all = inbox;
  object->on_request(id_of(id), all.substr(0, head_size), all.substr(head_size), at(now));
  empty_inbox();
}
DS_EXPORT(refuse_body) void refuse_body(double id) { object->refuse_body(id_of(id), inbox); }
DS_EXPORT(on_disconnect) void on_disconnect(double id) { object->on_disconnect(id_of(id)); }
DS_EXPORT(on_reader_back)
void on_reader_back(double id, double position, int32_t pulling, double now) {
  object->on_reader_back(id_of(id), inbox, Position{id_of(position)}, pulling != 0, at(now));
}
DS_EXPORT(on_reader_ready) void on_reader_ready(double id, double now) {
  object->on_reader_ready(id_of(id), at(now));
}
DS_EXPORT(on_time) void on_time(double now) { object->on_time(at(now)); }
DS_EXPORT(on_alarm) void on_alarm(double now) { object->on_alarm(at(now)); }
// Milliseconds since 1970; infinity if there is nothing to wait for.
DS_EXPORT(deadline) double deadline() {
  const Instant due = object->deadline();
  return due == kNever ? HUGE_VAL : std::ceil(static_cast<double>(due.us) / 1000);
}
DS_EXPORT(on_peer) void on_peer(uint32_t token, size_t path_size, double now) {
  const std::string_view all = inbox;
  object->on_peer(token, all.substr(0, path_size), all.substr(path_size), at(now));
  empty_inbox();
}
DS_EXPORT(on_peer_reply) void on_peer_reply(uint32_t token, int32_t answered, double now) {
  object->on_peer_reply(token, answered != 0, inbox, at(now));
  empty_inbox();
}
DS_EXPORT(on_object) void on_object(uint32_t token, int32_t outcome, double now) {
  object->on_object(token, static_cast<ObjectOutcome>(outcome), inbox, at(now));
  empty_inbox();
}

// --- The edge -----------------------------------------------------------------------------------

DS_EXPORT(edge_request) void edge_request(double request_number) {
  const std::string id = make_request_id(options.seed.k1, id_of(request_number));
  const EdgeDecision decision = decide_at_edge(inbox, id);
  if (decision.kind == EdgeDecision::Kind::kAnswer) {
    return host_edge_answer(decision.status, decision.head.data(), decision.head.size(),
                            decision.body.data(), decision.body.size());
  }
  host_edge_stream(decision.name.data(), decision.name.size(), decision.read ? 1 : 0,
                   decision.shared ? 1 : 0, decision.sse ? 1 : 0);
}
// Whether the If-None-Match in the inbox, behind the tag, names the tag.
DS_EXPORT(etag_matches) int32_t etag_matches(size_t tag_size) {
  const std::string_view all = inbox;
  return wire::if_none_match_names(all.substr(tag_size), all.substr(0, tag_size)) ? 1 : 0;
}

// --- Constants: text that the shell keeps -------------------------------------------------------

DS_EXPORT(common_headers) const char* common_headers() { return wire::kCommonHeaders.data(); }
DS_EXPORT(common_headers_size) size_t common_headers_size() { return wire::kCommonHeaders.size(); }
DS_EXPORT(heartbeat) const char* heartbeat() { return wire::kSseHeartbeat.data(); }
DS_EXPORT(heartbeat_size) size_t heartbeat_size() { return wire::kSseHeartbeat.size(); }

}  // namespace ds::worker
