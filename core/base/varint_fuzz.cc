// Numbers of variable length: each has one spelling, nothing else is accepted, and differences
// undo themselves.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/varint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ds::ByteReader in(bytes);
  uint64_t last = 0;
  while (!in.at_end()) {
    const uint64_t before = in.left();
    const uint64_t value = ds::take_varint(in);
    if (in.failed()) break;
    std::string spelt;
    ds::put_varint(spelt, value);
    DS_ASSERT(spelt.size() <= ds::kVarintBytesMax);
    DS_ASSERT(spelt == bytes.substr(size - static_cast<size_t>(before), spelt.size()));
    DS_ASSERT(before - in.left() == spelt.size());
    DS_ASSERT(ds::add_zigzag(last, ds::zigzag(last, value)) == value);
    last = value;
  }
  ds::ByteReader fixed(bytes);
  const auto value = fixed.take<uint64_t>();
  std::string spelt;
  ds::put_varint(spelt, value);
  ds::ByteReader again(spelt);
  DS_ASSERT(ds::take_varint(again) == value);
  DS_ASSERT(!again.failed());
  DS_ASSERT(again.at_end());
  return 0;
}
