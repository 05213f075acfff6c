// Readers of live streams, over long-poll or SSE. Reader i follows stream i mod N from its
// beginning, and goes on where it stood after every answer or lost connection.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/connection.h"
#include "bench/load/delivery.h"
#include "bench/load/sse_parser.h"
#include "bench/load/streams.h"

namespace ds::bench {

class LiveReaders {
 public:
  // Connects the readers, one after the other, as connections 0 to `readers` - 1.
  LiveReaders(EventLoop& loop, const Endpoint& endpoint, const Streams& streams)
      : loop_(loop), endpoint_(endpoint), streams_(streams) {}
  virtual ~LiveReaders() = default;
  LiveReaders(const LiveReaders&) = delete;
  LiveReaders& operator=(const LiveReaders&) = delete;

  virtual void start(uint32_t readers) = 0;
  // Readers that wait for data, as far as that can be known.
  virtual uint32_t ready() const = 0;
  // The number of appends that this reader has received.
  virtual uint64_t received(uint32_t reader) const = 0;

  Deliveries& deliveries() { return deliveries_; }
  // Long-polls that ended with no data, or SSE responses that the server ended.
  uint64_t resumed() const { return resumed_; }

 protected:
  // Renders the reader's next GET into `request`.
  void render(uint32_t reader, std::string_view offset, std::string_view more,
              std::string& request) const;

  EventLoop& loop_;
  const Endpoint& endpoint_;
  const Streams& streams_;
  Deliveries deliveries_;
  uint64_t resumed_ = 0;
};

class LongPollReaders final : public LiveReaders, private Connection::Owner {
 public:
  using LiveReaders::LiveReaders;
  void start(uint32_t readers) override;
  // A parked poll says nothing, so all count as ready at once; they start at the beginning of
  // their stream and miss nothing.
  uint32_t ready() const override { return static_cast<uint32_t>(readers_.size()); }
  uint64_t received(uint32_t reader) const override { return readers_[reader].marks.next_number(); }

 private:
  struct Reader {
    std::unique_ptr<Connection> connection;
    MarkReader marks;
    std::string offset = "-1";
    std::string more;  // the rest of the query
    std::string request;
  };
  void poll(Reader& reader);
  void on_body(Connection&, std::string_view bytes) override;
  void on_response(Connection&, int64_t now) override;
  void on_end(Connection&, Connection::End why) override;

  std::vector<Reader> readers_;
};

class SseReaders final : public LiveReaders, private Connection::Owner {
 public:
  using LiveReaders::LiveReaders;
  void start(uint32_t readers) override;
  // Readers that have had their first control event, or, of a plain server, the response's head.
  uint32_t ready() const override { return ready_; }
  uint64_t received(uint32_t reader) const override { return readers_[reader].marks.next_number(); }

 private:
  struct Reader {
    explicit Reader(bool nameless_events) : events(nameless_events) {}
    std::unique_ptr<Connection> connection;
    SseParser events;
    MarkReader marks;
    std::string offset = "-1";
    bool ready = false;
    bool given_up = false;
  };
  void connect(Reader& reader);
  void on_head(Connection&) override;
  void on_body(Connection&, std::string_view bytes) override;
  void on_response(Connection&, int64_t now) override;
  void on_end(Connection&, Connection::End why) override;

  std::deque<Reader> readers_;
  uint32_t ready_ = 0;
  std::string request_;
};

}  // namespace ds::bench
