// The command line.
#pragma once

#include <cstdint>
#include <string>

namespace ds::bench {

struct Options {
  std::string scenario;

  std::string url = "http://127.0.0.1:4437";
  std::string base = "/v1/stream/bench";
  std::string read_base;  // where live readers look for them; by default the same
  std::string run;  // the first part of every stream's name; by default one that was never used
  std::string content_type;  // by default what suits the scenario

  uint32_t streams = 1;
  uint32_t connections = 64;
  uint32_t readers = 100;
  uint64_t body_bytes = 100;
  uint32_t batch = 1;      // JSON: elements in one body, each of body_bytes
  uint32_t in_flight = 0;  // appends that go out together and are awaited; 0: rate decides
  uint64_t stream_bytes = 100;
  std::string path_offset = "-1";
  bool existing = false;
  double rate = 0;  // per second; 0: closed loop
  bool producers = false;
  bool verify = false;
  // Not a Durable Streams server: nothing is created, any 2xx is right, no header of the protocol
  // is asked for, and SSE events have no names.
  bool plain = false;

  double warmup_seconds = 1;
  double seconds = 5;
  double drain_seconds = 30;

  int server_pid = 0;  // 0: whoever listens on the URL's port of this machine
  std::string json_file;
};

// Parses the command line. Ends the program on --help and on what makes no sense.
Options parse_options(int argc, char** argv);

}  // namespace ds::bench
