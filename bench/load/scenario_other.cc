#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "bench/load/endpoint.h"
#include "bench/load/event_loop.h"
#include "bench/load/fail.h"
#include "bench/load/measurement.h"
#include "bench/load/other_protocol.h"
#include "bench/load/scenario.h"

namespace ds::bench {
namespace {

// What the connections share.
struct Appends {
  uint32_t streams = 1;
  uint32_t connections = 1;
  uint32_t ready = 0;
  uint32_t under_way = 0;
  bool running = false;
  bool counting = false;
  Histogram latency;
  WrongAnswers wrong;
};

class Appender final : public EventHandler {
 public:
  Appender(EventLoop& loop, const Endpoint& endpoint, std::unique_ptr<OtherProtocol> protocol,
           Appends& all, uint32_t id)
      : loop_(loop), protocol_(std::move(protocol)), all_(all), id_(id), stream_(id % all.streams) {
    fd_ = endpoint.connect(id);
    if (fd_ < 0) fail_errno("cannot connect to " + endpoint.host);
    loop.add(fd_, *this);
    const std::string greeting = protocol_->greeting();
    if (greeting.empty()) {
      ++all_.ready;
    } else {
      send(greeting);
    }
  }
  ~Appender() { ::close(fd_); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  void send_next(int64_t now) {
    if (all_.connections < all_.streams) {
      stream_ = stream_ + all_.connections < all_.streams ? stream_ + all_.connections : id_;
    }
    since_ = now;
    ++all_.under_way;
    send(protocol_->append(stream_));
  }

 private:
  // One append is far less than a socket's buffer, which is empty when the last was answered.
  void send(std::string_view bytes) {
    if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
      fail_errno("send");
    }
  }

  void on_event(uint32_t epoll_events) override {
    if ((epoll_events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return;
    while (true) {
      const ssize_t got = ::recv(fd_, loop_.read_buffer(), EventLoop::kReadBytesMax, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) fail("the server has closed a connection");
      take({loop_.read_buffer(), static_cast<size_t>(got)});
      if (static_cast<size_t>(got) < EventLoop::kReadBytesMax) return;
    }
  }

  void take(std::string_view input) {
    while (true) {
      switch (protocol_->next(input)) {
        case OtherProtocol::Step::kNeedMore:
          return;
        case OtherProtocol::Step::kReady:
          ++all_.ready;
          break;
        case OtherProtocol::Step::kAnswer:
          send(protocol_->to_send());
          break;
        case OtherProtocol::Step::kStored:
          stored(now_ns());
          break;
        case OtherProtocol::Step::kWrong:
          if (all_.ready < all_.connections) fail("refused: " + protocol_->error());
          all_.wrong.add(Wrong::kStatus, protocol_->error());
          --all_.under_way;
          return;
      }
    }
  }

  void stored(int64_t now) {
    --all_.under_way;
    if (all_.counting) all_.latency.record(now - since_);
    if (all_.running) send_next(now);
  }

  EventLoop& loop_;
  std::unique_ptr<OtherProtocol> protocol_;
  Appends& all_;
  const uint32_t id_;
  uint32_t stream_;
  int fd_ = -1;
  int64_t since_ = 0;
};

using MakeProtocol = std::unique_ptr<OtherProtocol> (*)(const OtherAppends&, uint32_t);

Result run_other(const Options& options, MakeProtocol make) {
  EventLoop loop;
  const Endpoint endpoint = Endpoint::resolve(options.url);
  Measurement measurement(options, endpoint);
  Appends all;
  all.streams = options.streams;
  all.connections = options.connections;
  const OtherAppends what = {options.run, options.streams, options.connections, options.body_bytes};
  std::vector<std::unique_ptr<Appender>> appenders;
  for (uint32_t i = 0; i < options.connections; ++i) {
    appenders.push_back(std::make_unique<Appender>(loop, endpoint, make(what, i), all, i));
  }
  const int64_t patience = seconds_to_ns(options.drain_seconds);
  if (!loop.run_until_done([&] { return all.ready == all.connections; }, now_ns() + patience)) {
    fail("the server does not answer");
  }

  all.running = true;
  for (const auto& appender : appenders) appender->send_next(now_ns());
  loop.run_until(now_ns() + seconds_to_ns(options.warmup_seconds));
  measurement.begin();
  all.counting = true;
  loop.run_until(now_ns() + seconds_to_ns(options.seconds));
  all.counting = false;
  measurement.end();
  all.running = false;
  if (!loop.run_until_done([&] { return all.under_way == 0; }, now_ns() + patience)) {
    all.wrong.add(Wrong::kUnanswered, "no answer in time", all.under_way);
  }

  Result result;
  result.unit = "append";
  result.units = "appends";
  measurement.put_into(result);
  result.latency = all.latency;
  result.completed = all.latency.count();
  result.body_bytes = result.completed * options.body_bytes;
  result.wrong = all.wrong;
  return result;
}

}  // namespace

Result run_redis_xadd(const Options& options) { return run_other(options, make_redis); }

Result run_nats_publish(const Options& options) { return run_other(options, make_nats); }

}  // namespace ds::bench
