// What a connection makes of its bytes does not depend on how they were cut on their way: the same
// requests reach the engines, the same answers leave, and it ends the same way. Memory for bodies
// follows what was really sent, and all of it is given back.
//
// Input: a byte that chooses limits, one that chooses where to cut, and what the client sends.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/wire/stream_path.h"
#include "server/http/connection.h"
#include "server/http/test_host.h"

namespace {

using namespace ds;
using namespace ds::server;

// How many requests may fit into an input, and turns that a connection may want after each part.
constexpr size_t kTurnsMax = 10000;
constexpr size_t kBodyStep = 64 << 10;

Config make(const OptionTexts& options, uint64_t body_memory_bytes) {
  Config config = *make_config(options, {}, {});
  config.body_memory_bytes = body_memory_bytes;
  return config;
}

constexpr uint64_t kPlenty = uint64_t{512} << 20;

const Config& config_of(uint8_t choice) {
  static const Config kConfigs[] = {
      make({}, kPlenty),
      make({{"max-body-bytes", {"1KiB"}},
            {"max-head-bytes", {"1KiB"}},
            {"max-uri-bytes", {"256"}},
            {"max-headers", {"8"}},
            {"max-pipeline", {"2"}},
            {"access-log", {"true"}}},
           kPlenty),
      make({}, 1000),
  };
  return kConfigs[choice % std::size(kConfigs)];
}

// The pieces in which bytes arrive.
class Cuts {
 public:
  explicit Cuts(uint8_t how) : how_(how), state_(how) {}
  size_t next(size_t left) {
    if (how_ == 0 || ++pieces_ == kPiecesMax) return left;
    if (how_ < 64) return std::min<size_t>(how_, left);
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return std::min<size_t>(1 + (state_ >> 33) % (how_ < 128 ? 8 : 200), left);
  }

 private:
  static constexpr uint32_t kPiecesMax = 400;
  uint32_t pieces_ = 0;
  const uint8_t how_;
  uint64_t state_;
};

struct Outcome {
  std::vector<Submitted> submitted;
  std::vector<std::string> access_log;
  std::vector<uint16_t> statuses;
  std::vector<DropReason> drops;
  std::string output;
  bool open = false;  // before the client closed its side
};

class Client {
 public:
  Client(const Config& config, Peer peer) : host_(config) {
    int ends[2];
    DS_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    socket_ = ends[0];
    connection_.emplace(host_, ends[1], std::move(peer), 0, 0, 1);
  }
  ~Client() {
    connection_.reset();
    ::close(socket_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Outcome run(std::string_view bytes, Cuts cuts) {
    size_t sent = 0;
    while (sent < bytes.size() && !host_.closed_) {
      const size_t size = cuts.next(bytes.size() - sent);
      const ssize_t n = ::send(socket_, bytes.data() + sent, size, MSG_NOSIGNAL);
      if (n <= 0) break;  // closed, or nobody reads any more
      sent += static_cast<size_t>(n);
      turn(EPOLLIN);
      // Announced sizes cost nothing before the bytes come. What doubles is at most twice that.
      DS_ASSERT(host_.body_bytes_ <= 4 * sent + kBodyStep + 512 * host_.submitted.size());
    }
    outcome_.open = !host_.closed_ && !ended_;
    ::shutdown(socket_, SHUT_WR);
    if (!host_.closed_) turn(EPOLLIN | EPOLLRDHUP);
    DS_ASSERT(host_.closed_);
    DS_ASSERT(host_.body_bytes_ == 0);
    DS_ASSERT(host_.answer_budget_.used() == 0);
    outcome_.submitted = std::move(host_.submitted);
    outcome_.access_log = std::move(host_.access_log);
    outcome_.statuses = std::move(host_.statuses);
    outcome_.drops = std::move(host_.drops);
    return std::move(outcome_);
  }

 private:
  // What the loop does until nothing is left to do; engines answer at once.
  void turn(uint32_t events) {
    connection_->on_events(events);
    for (size_t turns = 0; host_.dirty_ || host_.unread_ || waiting(); ++turns) {
      DS_ASSERT(turns < kTurnsMax);
      if (std::exchange(host_.unread_, false)) connection_->resume();
      if (std::exchange(host_.dirty_, false)) connection_->finish_turn();
      answer_one();
      receive();
    }
    receive();
  }
  bool waiting() const {
    return answered_ < host_.submitted.size() || asked_ < host_.status_asked.size();
  }

  void answer_one() {
    if (asked_ < host_.status_asked.size()) {
      const auto serial = static_cast<uint32_t>(host_.status_asked[asked_++].value);
      connection_->respond_text(serial, "text/plain", "status", 200);
    } else if (answered_ < host_.submitted.size()) {
      const Submitted& request = host_.submitted[answered_++];
      const auto serial = static_cast<uint32_t>(request.id.value);
      wire::Response response;
      response.status = 204;
      if (request.query.find("sse") != std::string::npos) {
        response.status = 200;
        response.sse = true;
        if (request.method == wire::Method::kGet && asks_for_live(request.query)) {
          return stream_sse(serial, response);
        }
        response.sse = false;
      }
      if (request.method == wire::Method::kGet) {
        response.status = 200;
        response.body.emplace_back(share("body of " + request.path));
      }
      connection_->respond(serial, std::move(response));
    }
  }

  void stream_sse(uint32_t serial, const wire::Response& head) {
    connection_->open_sse(serial, head, Position{0});
    Connection::SseFrame frame;
    frame.frame = Slice(share("event: data\ndata:x\n\n"));
    frame.end = Position{1};
    connection_->send_sse(serial, frame);
    // One for many: leaves at once if the first has left.
    std::string chunk;
    Connection::append_chunk(chunk, frame.frame.bytes);
    frame.chunk = Slice(share(std::move(chunk)));
    frame.when = Connection::SseFrame::When::kAtOnce;
    frame.begin = frame.end;
    frame.end = Position{2};
    connection_->send_sse(serial, frame);
    connection_->end_sse(serial);
  }

  void receive() {
    static char buffer[16384];
    ssize_t n = 0;
    while ((n = ::recv(socket_, buffer, sizeof buffer, 0)) > 0) {
      outcome_.output.append(buffer, static_cast<size_t>(n));
    }
    if (n == 0) ended_ = true;
  }

  FakeHost host_;
  std::optional<Connection> connection_;
  int socket_ = -1;
  size_t answered_ = 0;
  size_t asked_ = 0;
  bool ended_ = false;  // the server has closed its side
  Outcome outcome_;
};

// Whether a client is told to go on with its body depends on whether it has waited.
std::string without_continue(std::string output) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (size_t at = 0; (at = output.find(kContinue, at)) != std::string::npos;) {
    output.erase(at, kContinue.size());
  }
  return output;
}

void check_request(const Submitted& request, const Config& config) {
  DS_ASSERT(request.path.find('/') != std::string::npos);
  DS_ASSERT(request.body.size() <= config.body_bytes_max);
  DS_ASSERT(request.path.size() <= wire::kStreamPathBytesMax);
  DS_ASSERT(request.query.size() <= config.uri_bytes_max);
  for (const auto& header : request.headers) {
    if (!header) continue;
    DS_ASSERT(header->find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    DS_ASSERT(header->empty() || (header->front() != ' ' && header->back() != ' '));
  }
}

void check_same(const Outcome& whole, const Outcome& cut) {
  DS_ASSERT(whole.submitted.size() == cut.submitted.size());
  for (size_t i = 0; i < whole.submitted.size(); ++i) {
    const Submitted& a = whole.submitted[i];
    const Submitted& b = cut.submitted[i];
    DS_ASSERT(a.id.value == b.id.value);
    DS_ASSERT(a.owner == b.owner);
    DS_ASSERT(a.method == b.method);
    DS_ASSERT(a.path == b.path);
    DS_ASSERT(a.query == b.query);
    DS_ASSERT(a.body == b.body);
    DS_ASSERT(a.origin == b.origin);
    DS_ASSERT(a.headers == b.headers);
    DS_ASSERT(a.repeated_header == b.repeated_header);
  }
  DS_ASSERT(whole.statuses == cut.statuses);
  DS_ASSERT(whole.drops == cut.drops);
  DS_ASSERT(without_continue(whole.output) == without_continue(cut.output));
  DS_ASSERT(whole.open == cut.open);
}

// As many answers as there were requests, each with a head of its own.
void check_output(const Outcome& outcome) {
  DS_ASSERT(outcome.statuses.size() >= outcome.submitted.size());
  DS_ASSERT(outcome.output.empty() || outcome.output.starts_with("HTTP/1.1 "));
  DS_ASSERT(outcome.statuses.empty() == without_continue(outcome.output).empty());
  for (const uint16_t status : outcome.statuses) {
    DS_ASSERT(status >= 200);
    DS_ASSERT(status < 600);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Config& config = config_of(data[0]);
  const Peer peer{nullptr, (data[0] & 0x80) != 0};
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  const Outcome whole = Client(config, peer).run(bytes, Cuts(0));
  for (const Submitted& request : whole.submitted) check_request(request, config);
  check_output(whole);
  if (config.body_memory_bytes < kPlenty) return 0;  // parts of a body may need more than the whole
  check_same(whole, Client(config, peer).run(bytes, Cuts(data[1] == 0 ? 1 : data[1])));
  return 0;
}
