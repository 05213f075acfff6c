#include "store/log_format.h"

#include <gtest/gtest.h>

#include "core/base/crc32c.h"

namespace ds::store {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

const GenerationHeader kGeneration{0x01020304, 0x1112131415161718, 0x2122232425262728,
                                   0x3132333435363738};

TEST(LogFormat, TheGenerationHeadersLayoutIsFixed) {
  char bytes[kGenerationHeaderBytes];
  encode_generation_header(kGeneration, bytes);
  const std::string text = hex({bytes, sizeof bytes});
  EXPECT_EQ(text.substr(0, 24), "64732d6f706c6f6701000000");
  EXPECT_EQ(text.substr(32),
            "04030201"
            "00000000"
            "1817161514131211"
            "2827262524232221"
            "3837363534333231"
            "00000000000000000000000000000000");
}

TEST(LogFormat, TheFrameHeadersLayoutIsFixed) {
  FrameHeader header;
  header.salt = 0x2122232425262728;
  header.payload_crc = 0x41424344;
  header.payload_bytes = 0x51525354;
  header.flags = FrameHeader::kRelaxed | FrameHeader::kCleanClose;
  header.sequence = 0x1112131415161718;
  header.synced_through = 0x6162636465666768;
  header.generation = 0x01020304;
  char bytes[kFrameHeaderBytes];
  encode_frame_header(header, bytes);
  const std::string text = hex({bytes, sizeof bytes});
  EXPECT_EQ(text.substr(0, 16), "2827262524232221");
  EXPECT_EQ(text.substr(24),
            "44434241"
            "54535251"
            "03000000"
            "1817161514131211"
            "6867666564636261"
            "04030201"
            "00000000");
}

TEST(LogFormat, HeadersComeBackAsTheyWere) {
  char bytes[kGenerationHeaderBytes];
  encode_generation_header(kGeneration, bytes);
  GenerationHeader read;
  ASSERT_EQ(decode_generation_header({bytes, sizeof bytes}, &read), HeaderState::kValid);
  EXPECT_EQ(read.generation, kGeneration.generation);
  EXPECT_EQ(read.first_sequence, kGeneration.first_sequence);
  EXPECT_EQ(read.salt, kGeneration.salt);
  EXPECT_EQ(read.file_bytes, kGeneration.file_bytes);

  FrameHeader frame;
  frame.salt = 1;
  frame.payload_crc = 2;
  frame.payload_bytes = 3;
  frame.flags = FrameHeader::kCleanClose;
  frame.sequence = 5;
  frame.synced_through = 4;
  frame.generation = 7;
  char frame_bytes[kFrameHeaderBytes];
  encode_frame_header(frame, frame_bytes);
  const auto got = decode_frame_header({frame_bytes, sizeof frame_bytes});
  ASSERT_TRUE(got);
  EXPECT_EQ(got->salt, 1u);
  EXPECT_EQ(got->payload_crc, 2u);
  EXPECT_EQ(got->payload_bytes, 3u);
  EXPECT_EQ(got->flags, FrameHeader::kCleanClose);
  EXPECT_EQ(got->sequence, 5u);
  EXPECT_EQ(got->synced_through, 4u);
  EXPECT_EQ(got->generation, 7u);
}

TEST(LogFormat, AnyFlippedBitShows) {
  char bytes[kGenerationHeaderBytes];
  encode_generation_header(kGeneration, bytes);
  GenerationHeader read;
  for (size_t bit = 0; bit < sizeof bytes * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const HeaderState state = decode_generation_header({bytes, sizeof bytes}, &read);
    EXPECT_EQ(state, bit < 64 ? HeaderState::kForeign : HeaderState::kDamaged) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
  FrameHeader frame;
  frame.salt = 1;
  char frame_bytes[kFrameHeaderBytes];
  encode_frame_header(frame, frame_bytes);
  for (size_t bit = 0; bit < sizeof frame_bytes * 8; ++bit) {
    frame_bytes[bit / 8] = static_cast<char>(frame_bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_frame_header({frame_bytes, sizeof frame_bytes})) << bit;
    frame_bytes[bit / 8] = static_cast<char>(frame_bytes[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST(LogFormat, ZerosAreNeitherAGenerationNorAFrame) {
  const std::string zeros(kGenerationHeaderBytes, '\0');
  GenerationHeader read;
  EXPECT_EQ(decode_generation_header(zeros, &read), HeaderState::kForeign);
  EXPECT_FALSE(decode_frame_header(zeros));
  EXPECT_FALSE(decode_frame_header(""));
}

TEST(LogFormat, FramesAreAlignedWithZeros) {
  for (uint64_t payload = 0; payload < 40; ++payload) {
    EXPECT_EQ(frame_bytes(payload) % kFrameAlignment, 0u);
    EXPECT_EQ(kFrameHeaderBytes + payload + frame_padding(payload).size(), frame_bytes(payload));
    EXPECT_EQ(frame_padding(payload), std::string(frame_padding(payload).size(), '\0'));
    EXPECT_LT(frame_padding(payload).size(), kFrameAlignment);
  }
}

TEST(LogFormat, GenerationNames) {
  EXPECT_EQ(generation_name(17), "00000017.log");
  EXPECT_EQ(generation_name(4294967295), "4294967295.log");
  EXPECT_EQ(parse_generation_name("00000017.log"), 17u);
  EXPECT_EQ(parse_generation_name("4294967295.log"), 4294967295u);
  for (const char* name : {"", ".log", "17.log", "00000000.log", "000000017.log", "4294967296.log",
                           "00000017.lo", "00000017.log2", "0000001a.log", "-0000017.log"}) {
    EXPECT_FALSE(parse_generation_name(name)) << name;
  }
}

}  // namespace
}  // namespace ds::store
