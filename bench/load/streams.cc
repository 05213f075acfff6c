#include "bench/load/streams.h"

#include <charconv>

namespace ds::bench {
namespace {

constexpr size_t kProducerDigits = 6;
constexpr size_t kSequenceDigits = 16;

}  // namespace

void RequestTemplate::set_number(Field field, uint64_t value) {
  char* const begin = bytes_.data() + field.at;
  for (char* p = begin + field.width; p != begin; value /= 10) {
    *--p = static_cast<char>('0' + value % 10);
  }
}

void RequestTemplate::set_header_number(Field field, uint64_t value) {
  char* const begin = bytes_.data() + field.at;
  char* const end = begin + field.width;
  for (char* p = std::to_chars(begin, end, value).ptr; p != end; ++p) *p = ' ';
}

void RequestTemplate::set_hex(Field field, uint64_t value) {
  char* const begin = bytes_.data() + field.at;
  for (char* p = begin + field.width; p != begin; value >>= 4) {
    *--p = "0123456789abcdef"[value & 15];
  }
}

Streams::Streams(const Options& options, const Endpoint& endpoint)
    : count_(options.streams),
      batch_(options.batch),
      plain_(options.plain),
      run_(options.run),
      path_prefix_(options.base + "/" + options.run + "-"),
      read_prefix_(options.read_base + "/" + options.run + "-"),
      host_header_("Host: " + endpoint.host + "\r\n"),
      content_type_(options.content_type) {}

std::string Streams::path(uint32_t stream) const {
  const std::string digits = std::to_string(stream);
  return path_prefix_ + std::string(kStreamDigits - digits.size(), '0') + digits;
}

std::string Streams::body(uint64_t bytes) const {
  std::string body(bytes, 'x');
  if (content_type_.substr(0, 16) != "application/json") return body;
  body.front() = body.back() = '"';
  if (batch_ == 1) return body;
  std::string array = "[" + body;
  for (uint32_t i = 1; i < batch_; ++i) array.append(",").append(body);
  return array + "]";
}

Streams::Write Streams::write(std::string_view method, std::string_view body,
                              Producer producer) const {
  Write w;
  w.request.text(method).text(" ").text(path_prefix_);
  w.stream = w.request.field(kStreamDigits, '0');
  w.request.text(" HTTP/1.1\r\n").text(host_header_);
  w.request.text("Content-Type: ").text(content_type_).text("\r\n");
  if (producer == Producer::kYes) {
    w.request.text("Producer-Id: ").text(run_).text("-");
    w.producer_id = w.request.field(kProducerDigits, '0');
    w.request.text("\r\nProducer-Epoch: 0\r\nProducer-Seq: ");
    w.producer_seq = w.request.field(kSequenceDigits, ' ');
    w.request.text("\r\n");
  }
  w.request.text("Content-Length: ").text(std::to_string(body.size())).text("\r\n\r\n");
  w.body_at = w.request.bytes().size();
  w.request.text(body);
  return w;
}

std::string Streams::read(uint32_t stream, std::string_view query) const {
  return "GET " + path(stream) + std::string(query) + " HTTP/1.1\r\n" + host_header_ + "\r\n";
}

}  // namespace ds::bench
