#include "bench/load/delivery.h"

#include <algorithm>
#include <charconv>

namespace ds::bench {
namespace {

constexpr size_t kHexDigits = 16;
static_assert(kMarkBytes == 1 + 2 * kHexDigits);

bool parse_hex(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

MarkedAppend::MarkedAppend(const Streams& streams, uint64_t body_bytes) {
  const std::string body = "@" + std::string(body_bytes - 1, 'x');
  write_ = streams.write("POST", body, Streams::Producer::kNo);
  number_ = {write_.body_at + 1, kHexDigits};
  due_ = {write_.body_at + 1 + kHexDigits, kHexDigits};
}

std::string_view MarkedAppend::render(uint32_t stream, uint64_t number, int64_t due_ns) {
  write_.request.set_number(write_.stream, stream);
  write_.request.set_hex(number_, number);
  write_.request.set_hex(due_, static_cast<uint64_t>(due_ns));
  return write_.request.bytes();
}

void MarkReader::take_mark(std::string_view mark, int64_t now, Deliveries& all) {
  uint64_t number = 0;
  uint64_t due = 0;
  if (!parse_hex(mark.substr(1, kHexDigits), number) ||
      !parse_hex(mark.substr(1 + kHexDigits), due)) {
    all.wrong.add(Wrong::kDelivery, "an append arrived damaged");
    return;
  }
  const uint64_t bit = uint64_t{1} << number % all.round;
  if (number / all.round != next_ / all.round || (seen_ & bit) != 0) {
    all.wrong.add(Wrong::kDelivery, "append " + std::to_string(number) + " arrived where " +
                                        std::to_string(next_) + " was due");
  }
  // A lone append may be skipped over, so that one that is missing is one mistake.
  next_ = all.round == 1 ? number + 1 : next_ + 1;
  seen_ = next_ % all.round == 0 ? 0 : seen_ | bit;
  ++all.count;
  if (all.counting) all.latency.record(now - static_cast<int64_t>(due));
  if (all.count == all.awaited) all.listener->on_delivered(now);
}

void MarkReader::take(std::string_view bytes, int64_t now, Deliveries& all) {
  if (!carry_.empty()) {
    const size_t missing = std::min(kMarkBytes - carry_.size(), bytes.size());
    carry_.append(bytes.substr(0, missing));
    bytes.remove_prefix(missing);
    if (carry_.size() < kMarkBytes) return;
    take_mark(carry_, now, all);
    carry_.clear();
  }
  while (true) {
    const size_t at = bytes.find('@');
    if (at == std::string_view::npos) return;
    bytes.remove_prefix(at);
    if (bytes.size() < kMarkBytes) {
      carry_.assign(bytes);
      return;
    }
    take_mark(bytes.substr(0, kMarkBytes), now, all);
    bytes.remove_prefix(kMarkBytes);
  }
}

}  // namespace ds::bench
