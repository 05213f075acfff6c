// The streams of one run, and requests that are rendered once and patched in place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/endpoint.h"
#include "bench/load/options.h"

namespace ds::bench {

inline constexpr uint32_t kStreamDigits = 8;
inline constexpr uint32_t kStreamsMax = 99'999'999;

// A request with fields of fixed width that are overwritten before it is sent.
class RequestTemplate {
 public:
  struct Field {
    size_t at;
    size_t width;
  };

  RequestTemplate& text(std::string_view more) {
    bytes_ += more;
    return *this;
  }
  Field field(size_t width, char fill) {
    bytes_.append(width, fill);
    return {bytes_.size() - width, width};
  }
  // Decimal digits with leading zeros. What does not fit is cut off on the left.
  void set_number(Field field, uint64_t value);
  // Decimal digits, then spaces: for a header's value, where trailing space does not count.
  void set_header_number(Field field, uint64_t value);
  // Hexadecimal digits with leading zeros.
  void set_hex(Field field, uint64_t value);

  // Valid until the next change.
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Streams {
 public:
  Streams(const Options& options, const Endpoint& endpoint);

  uint32_t count() const { return count_; }
  bool plain() const { return plain_; }
  // Everything of a stream's path but its number, which has kStreamDigits digits and ends the path.
  const std::string& path_prefix() const { return path_prefix_; }
  std::string path(uint32_t stream) const;
  // The same for live readers.
  const std::string& read_prefix() const { return read_prefix_; }
  // "Host: ...\r\n"
  const std::string& host_header() const { return host_header_; }
  const std::string& content_type() const { return content_type_; }
  const std::string& run() const { return run_; }
  // A body of that size (with --batch: an array of strings of that size each) that this content
  // type allows.
  std::string body(uint64_t bytes) const;

  // A PUT or POST with the stream's number and, if `producer`, the producer's headers as fields.
  struct Write {
    RequestTemplate request;
    RequestTemplate::Field stream{};
    RequestTemplate::Field producer_id{};
    RequestTemplate::Field producer_seq{};
    size_t body_at = 0;  // where the body begins
  };
  enum class Producer : bool { kNo, kYes };
  Write write(std::string_view method, std::string_view body, Producer producer) const;

  // A GET of the stream with that query ("?offset=-1", or nothing).
  std::string read(uint32_t stream, std::string_view query) const;

 private:
  uint32_t count_;
  uint32_t batch_;
  bool plain_;
  std::string run_;
  std::string path_prefix_;
  std::string read_prefix_;
  std::string host_header_;
  std::string content_type_;
};

}  // namespace ds::bench
