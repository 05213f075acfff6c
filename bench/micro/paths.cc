#include "bench/micro/paths.h"

#include "core/base/assert.h"

namespace ds::bench {
namespace {

constexpr uint32_t kReaders = 100;
constexpr uint32_t kBatch = 100;
constexpr size_t kBodyBytes = 100;
constexpr std::string_view kTarget = "/v1/stream/bench/s HTTP/1.1\r\nHost: 127.0.0.1:4437\r\n";

std::string write(std::string_view method, std::string_view more, std::string_view body) {
  return std::string(method) + " " + std::string(kTarget) + std::string(more) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string read(std::string_view query) {
  return "GET /v1/stream/bench/s" + std::string(query) +
         " HTTP/1.1\r\nHost: 127.0.0.1:4437\r\n\r\n";
}

std::string json_batch() {
  const std::string element = '"' + std::string(kBodyBytes - 2, 'x') + '"';
  std::string array = "[" + element;
  for (uint32_t i = 1; i < kBatch; ++i) array += "," + element;
  return array + "]";
}

}  // namespace

const std::vector<std::string_view>& Path::names() {
  static const std::vector<std::string_view> kNames = {"append", "producer-retry", "append-json",
                                                       "read", "sse-100-readers"};
  return kNames;
}

Path::Path(std::string_view name)
    : name_(name),
      readers_(name == "sse-100-readers" ? kReaders : 0),
      server_(1 + readers_),
      answer_("HTTP/1.1 204 ") {
  const bool json = name == "append-json";
  const std::string type = json           ? "Content-Type: application/json\r\n"
                           : readers_ > 0 ? "Content-Type: text/plain\r\n"
                                          : "Content-Type: application/octet-stream\r\n";
  const std::string body(kBodyBytes, 'x');
  server_.send(0, write("PUT", type, name == "read" ? body : ""));
  DS_ASSERT(expect(0, "HTTP/1.1 201 "));
  for (uint32_t reader = 1; reader <= readers_; ++reader) {
    server_.send(reader, read("?offset=-1&live=sse"));
    DS_ASSERT(expect(reader, "HTTP/1.1 200 "));
  }
  if (name == "read") {
    request_ = read("?offset=-1");
    answer_ = "HTTP/1.1 200 ";
  } else if (name == "producer-retry") {
    request_ =
        write("POST", type + "Producer-Id: p\r\nProducer-Epoch: 0\r\nProducer-Seq: 0\r\n", body);
    server_.send(0, request_);
    DS_ASSERT(expect(0, "HTTP/1.1 200 "));
  } else {
    request_ = write("POST", type, json ? json_batch() : body);
  }
}

bool Path::expect(uint32_t client, std::string_view begin) {
  return server_.receive(client).substr(0, begin.size()) == begin;
}

void Path::drain_readers() {
  for (uint32_t reader = 1; reader <= readers_; ++reader) server_.receive(reader);
}

bool Path::once() {
  server_.send(0, request_);
  drain_readers();
  return expect(0, answer_);
}

}  // namespace ds::bench
